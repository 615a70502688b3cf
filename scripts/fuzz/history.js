"use strict";

// What keys must hold. Commands of one connection run in the order in which they were called, so each read can be held
// against the writes that were called before it. A write that was rejected (close() came) may have happened or not.

class History {
  constructor() {
    this.writes = new Map();
    this.reads = [];
  }

  of(key) {
    if (!this.writes.has(key)) this.writes.set(key, []);
    return this.writes.get(key);
  }

  /** A write is being called: `text`, null for a deletion. Returns `done(ok)`. */
  write(key, text) {
    const write = { text, ok: null };
    this.of(key).push(write);
    return (ok) => (write.ok = ok);
  }

  /** A read is being called. Returns `done(value)`, to be called if it succeeds; `present`: whether it asks only that. */
  read(key, present = false) {
    const before = this.of(key).length;
    return (value) => this.reads.push({ key, before, present, value });
  }

  /** What the key may hold after so many of its writes. */
  possible(key, before = this.of(key).length) {
    const writes = this.of(key).slice(0, before);
    const last = writes.findLastIndex((write) => write.ok);
    const texts = writes.filter((write, at) => at === last || write.ok === false).map((write) => write.text);
    return new Set(last < 0 ? [null, ...texts] : texts);
  }

  /** The reads that saw something else, when all calls are settled. */
  wrong() {
    const problems = [];
    for (const { key, before, present, value } of this.reads) {
      const texts = [...this.possible(key, before)];
      const expected = present ? texts.map((text) => text !== null) : texts;
      if (!expected.includes(value)) {
        problems.push(`${key} was read as ${shorten(value)} after ${before} writes; it should be ${expected.map(shorten).join(" or ")}`);
      }
    }
    return problems;
  }
}

const shorten = (value) => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}… (${text.length})` : text;
};

module.exports = { History };

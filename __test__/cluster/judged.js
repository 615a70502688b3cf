"use strict";

// A load that is judged: one writer a key counts upwards, another connection reads, and what Redis itself loses in a failover
// is told from what we would have lost.

const { sleep } = require("../support/sentinels.js");

const KEYS = 20;
/** What the near cache promises, and what the judge adds for its own timers. */
const LEASE_MS = 2_000;
const SLACK_MS = 250;

const contextOf = (key) => [`JUDGED${key}`, "judge", "binance"];
const rowOf = (key, id) => {
  const [symbol, strategyName, exchangeName] = contextOf(key);
  return { id, symbol, strategyName, exchangeName };
};

/** The key in Redis. */
const keyOf = (key) => `signal_cache:${contextOf(key).reverse().join(":")}`;

class Judged {
  /**
   * `writer` and `reader`: two copies of the package; `masterOf(lib, key)`: which server a copy sends calls of a key to; `pace`:
   * milliseconds between two writes of a key.
   */
  constructor(writer, reader, masterOf, { pace = 4 } = {}) {
    Object.assign(this, { writer, reader, masterOf, pace });
    this.running = true;
    /** Of each key its acknowledged writes: `{ id, at, by }`, and the number that was tried last. */
    this.acknowledged = Array.from({ length: KEYS }, () => []);
    this.tried = new Array(KEYS).fill(0);
    this.calls = 0;
    this.errors = {};
    this.problems = [];
    this.stale = 0;
    /** Moments at which writes were acknowledged. */
    this.moments = [];
    /** Of each call that was answered, and of each that was not: `{ key, start, took }`. */
    this.times = [];
    this.failures = [];
  }

  start() {
    const keys = Array.from({ length: KEYS }, (_, key) => key);
    this.work = [...keys.map((key) => this.write(key)), ...keys.map((key) => this.read(key))];
    return this;
  }

  failed(error, key, start) {
    this.failures.push({ key, start, code: error.code, message: error.message });
    this.errors[error.code] = (this.errors[error.code] ?? 0) + 1;
    this.message = error.message;
  }

  async write(key) {
    const { signalCacheService: service } = this.writer.ioc;
    while (this.running) {
      const id = ++this.tried[key];
      const start = performance.now();
      this.calls++;
      try {
        await service.setSignalId(rowOf(key, String(id)));
        const at = performance.now();
        this.acknowledged[key].push({ id, at, by: this.masterOf(this.writer, key) });
        this.moments.push(at);
        this.times.push({ key, start, took: at - start });
      } catch (error) {
        this.failed(error, key, start);
      }
      await sleep(this.pace);
    }
  }

  async read(key) {
    const { signalCacheService: service } = this.reader.ioc;
    while (this.running) {
      const start = performance.now();
      this.calls++;
      try {
        const text = await service.getSignalId(...contextOf(key));
        this.seen(key, text === null ? 0 : Number(text), start);
      } catch (error) {
        this.failed(error, key, start);
      }
      await sleep(3);
    }
  }

  /** What was read must have been written, and be no older than the lease allows on the server that acknowledged it. */
  seen(key, id, start) {
    if (!Number.isInteger(id) || id > this.tried[key]) this.problems.push(`key ${key} has ${id}, which nobody wrote`);
    const by = this.masterOf(this.reader, key);
    const { length } = this.acknowledged[key];
    for (let at = length - 1; at >= 0 && at >= length - 2000; at--) {
      const write = this.acknowledged[key][at];
      if (write.at > start - LEASE_MS - SLACK_MS) continue;
      // What another server acknowledged may be what a failover has lost.
      if (write.by !== by) return;
      if (write.id > id) {
        this.stale++;
        this.problems.push(`key ${key} has ${id}, ${Math.round(start - write.at)} ms after ${write.id} was acknowledged`);
      }
      return;
    }
  }

  /** When a write was first acknowledged after a moment; 0: none was. */
  wroteAfter(moment) {
    return this.moments.find((at) => at > moment) ?? 0;
  }

  /** The same, of a key. */
  wroteKeyAfter(key, moment) {
    return this.acknowledged[key].find(({ at }) => at > moment)?.at ?? 0;
  }

  /** Of writes of some keys that began between two moments: how long 99 of 100 took at the most, in milliseconds. */
  p99(keys, from, to) {
    const took = this.times.filter(({ key, start }) => keys.includes(key) && start >= from && start < to).map((one) => one.took);
    return took.sort((a, b) => a - b)[Math.floor(took.length * 0.99)] ?? 0;
  }

  /** The longest time without an acknowledged write. */
  longestPause() {
    return this.moments.reduce((longest, at, i) => Math.max(longest, at - (this.moments[i - 1] ?? at)), 0);
  }

  /** Ends the load. `valueOf(key)`: what the master holds; `since`: when the one before was cut off, or replaced. */
  async stop(valueOf, since) {
    this.running = false;
    await Promise.all(this.work);
    let lost = 0;
    let lostByRedis = 0;
    for (let key = 0; key < KEYS; key++) {
      const last = this.masterOf(this.writer, key);
      const value = Number((await valueOf(keyOf(key))) ?? 0);
      if (value > this.tried[key]) this.problems.push(`key ${key} holds ${value}, which nobody wrote`);
      const newest = this.acknowledged[key].at(-1);
      if (newest && newest.id > value) {
        if (newest.by === last) lost++;
        else lostByRedis++;
      }
      // What the one before has acknowledged after that is thrown away by Redis, also where it was written again since.
      lostByRedis += this.acknowledged[key].filter(({ at, by }) => at > since && by !== last).length;
    }
    if (lost > 0) this.problems.push(`${lost} acknowledged writes are not there`);
    const { hits } = this.reader.stats().nearCache;
    return { calls: this.calls, hits, lost, lostByRedis, stale: this.stale, wrong: this.problems.length - this.stale - Number(lost > 0) };
  }
}

module.exports = { Judged, KEYS, keyOf };

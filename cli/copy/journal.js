"use strict";
// How far a copy has come, in a file beside its target, so that it goes on there when it is started again. What it says is never
// ahead of what was written: rows that are copied twice meet by their key.

const { createHash } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const VERSION = 2;
/** How often it is written, in milliseconds. */
const PAUSE_MS = 200;

class Journal {
  /** @param {object} target a store; @param {string[]} names the titles of both, and what else the copy depends on */
  constructor(target, names, codec) {
    const hash = createHash("sha256").update(JSON.stringify(names)).digest("hex").slice(0, 12);
    const folder = target.folder ?? process.cwd();
    this.file = path.join(folder, `backtest-kit-native-copy-${hash}.json`);
    this.codec = codec;
    this.written = -Infinity;
    this.state = { version: VERSION, from: names[0], to: names[1], parts: {} };
    const before = this.read();
    /** Whether an earlier run was interrupted. */
    this.resumes = before !== null;
    if (before !== null) this.state = before;
  }

  read() {
    try {
      const found = JSON.parse(fs.readFileSync(this.file, "utf8"));
      return found.version === VERSION ? found : null;
    } catch {
      // None, or one that was cut off: everything is copied anew, which changes nothing of what is there.
      return null;
    }
  }

  /**
   * `{ place, rows, over, last }` of a part: after which key it goes on, how many rows were read, whether it is through, and the row
   * that was written last: its key, and its `_id` in the target.
   */
  of(part) {
    const { place = null, rows = 0, over = false, last = null } = this.state.parts[part] ?? {};
    return { place: this.read64(place), rows, over, last: this.read64(last) };
  }

  /** Notes that what comes before a place was written. */
  note(part, { place, rows, over, last }) {
    this.state.parts[part] = { place: this.write64(place), rows, over, last: this.write64(last) };
    if (over || performance.now() - this.written > PAUSE_MS) this.write();
  }

  read64(text) {
    return text === null ? null : this.codec.deserialize(Buffer.from(text, "base64"), { promoteValues: false });
  }

  write64(document) {
    return document === null ? null : Buffer.from(this.codec.serialize(document)).toString("base64");
  }

  write() {
    fs.mkdirSync(path.dirname(this.file), { recursive: true });
    fs.writeFileSync(`${this.file}.new`, JSON.stringify(this.state));
    fs.renameSync(`${this.file}.new`, this.file);
    this.written = performance.now();
  }

  /** The copy is through. */
  remove() {
    fs.rmSync(this.file, { force: true });
  }
}

module.exports = { Journal };

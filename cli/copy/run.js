"use strict";
// Copies a store into another: collection by collection, page by page; the next page is read while one is written.

const { count } = require("../progress.js");
const { lastOf } = require("../stores/opened.js");
const { Journal } = require("./journal.js");

const KEYS = "keys of maps";

class Copy {
  /** @param {{ from: object, to: object, progress: object, stop: AbortSignal }} parts */
  constructor({ from, to, progress, stop, fresh = false }) {
    Object.assign(this, { from, to, progress, stop });
    const names = [from.title, to.title, ...(from.given ?? [])];
    this.journal = new Journal(to, names, to.codec);
    if (fresh && this.journal.resumes) {
      this.journal.remove();
      this.journal = new Journal(to, names, to.codec);
    }
    // Files that an earlier run has left out are still left out.
    if (from.unread) this.journal.state.unread = Object.assign(from.unread, this.journal.state.unread);
    this.told = { collections: {}, keys: { read: 0, added: 0, kept: 0, skipped: 0 } };
  }

  /** `{ collections, keys, whole }`: what became of the rows of each; `whole` is false where it was interrupted. */
  async run() {
    const numbers = this.from.table.keys();
    for (const number of numbers) {
      if (this.stop.aborted) break;
      await this.collection(number);
    }
    if (!this.stop.aborted) await this.keys();
    const whole = !this.stop.aborted;
    if (whole) this.journal.remove();
    else this.journal.write();
    return { ...this.told, whole };
  }

  async collection(number) {
    const name = this.from.table[number].collection;
    const { from, to, journal, progress } = this;
    const { over, place: reached, rows: done, last: witness } = journal.of(name);
    // What an earlier run has written may be gone: a target that was emptied is begun anew. Others may have filled it since, so their
    // number alone does not tell; the row that was written last does, under the _id that it got there.
    const isThere = done === 0 || ((await to.count(number)) >= done && (await to.holds(number, witness)));
    let [rows, last] = isThere ? [done, witness] : [0, null];
    // They are looked at once more, and some may have been mended.
    if (!isThere && from.unread) Object.assign(from.unread, { count: 0, files: [] });
    const told = { read: 0, new: 0, newer: 0, kept: 0, before: rows };
    this.told.collections[name] = told;
    progress.skip(rows);
    if (over && isThere) return;
    const ask = (after) => {
      const page = Promise.resolve(from.page(number, after));
      // It is awaited later; until then a failure must not count as unhandled.
      page.catch(() => {});
      return page;
    };
    for (let next = ask(isThere ? reached : null); next !== null && !this.stop.aborted; ) {
      const page = await next;
      next = page.after === null ? null : ask(page.after);
      if (page.rows.length > 0) {
        const merged = await to.merge(number, page.rows);
        if (to.keepsIds(number)) await to.remember(number, page.rows, merged.ids);
        const read = merged.new + merged.newer + merged.kept;
        for (const fate of ["new", "newer", "kept"]) told[fate] += merged[fate];
        told.read += read;
        rows += read;
        last = lastOf(to, number, page.rows, merged.ids);
        progress.add(name, read);
      }
      journal.note(name, { place: page.after, rows, over: next === null, last });
    }
    if (rows > 0 && !this.stop.aborted) {
      progress.part(`${name}: ${count(told.new)} new, ${count(told.newer)} newer, ${count(told.kept)} that were there${told.before > 0 ? `, ${count(told.before)} by an earlier run` : ""}`);
    }
  }

  async keys() {
    const { from, to, progress } = this;
    const told = this.told.keys;
    for await (const entries of from.keys()) {
      const texts = entries.filter(({ value }) => value !== null);
      const added = await to.addKeys(texts);
      told.read += entries.length;
      told.added += added;
      told.kept += texts.length - added;
      told.skipped += entries.length - texts.length;
      progress.total += entries.length;
      progress.add(KEYS, entries.length);
      if (this.stop.aborted) break;
    }
    if (told.read > 0 && !this.stop.aborted) {
      const skipped = told.skipped > 0 ? `, ${count(told.skipped)} that have ended or are no text` : "";
      progress.part(`${KEYS}: ${count(told.added)} new, ${count(told.kept)} that were there${skipped}`);
    }
  }
}

module.exports = { Copy };

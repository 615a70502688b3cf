"use strict";
// backtest-kit's own folder of JSON files, as a store that is only read: a row a file, in the order of their names.

const fs = require("node:fs");
const path = require("node:path");

const { loadPackage } = require("./package.js");
const { LAYOUT } = require("./layout.js");

/** Rows of a page. */
const ROWS = 2_000;
/** The kit's unfinished writes. */
const UNFINISHED = ".tmp-";
/** How many files that are no rows are named. */
const NAMED = 20;

const compare = (a, b) => (a < b ? -1 : Number(a > b));

/** Names in an order of their own; none where the folder is not there. */
function namesIn(folder) {
  try {
    return fs.readdirSync(folder, { withFileTypes: true }).sort((a, b) => compare(a.name, b.name));
  } catch (error) {
    if (error.code === "ENOENT") return [];
    throw error;
  }
}

/** Paths of files below a folder, as lists of names, those that come after `after` in that order. */
function* filesBelow(folder, after = null, above = []) {
  for (const entry of namesIn(path.join(folder, ...above))) {
    const order = after === null ? 1 : compare(entry.name, after[0]);
    if (order < 0 || entry.name.startsWith(UNFINISHED)) continue;
    const names = [...above, entry.name];
    if (entry.isDirectory()) yield* filesBelow(folder, order === 0 ? after.slice(1) : null, names);
    else if (entry.name.endsWith(".json") && !(order === 0 && after.length === 1)) yield names;
  }
}

class Files {
  /** @param {string} data the folder `data`; @param {string[]} exchanges names that folders' names may have */
  constructor(data, exchanges) {
    const { mongo, codec, addon } = loadPackage();
    Object.assign(this, { table: mongo.table, codec: codec(), addon, data });
    this.name = path.relative(process.cwd(), data) || ".";
    this.title = data;
    /** Files that are no rows: how many, and why of the first of them. */
    this.unread = { count: 0, files: [] };
    this.noted = new Set();
    /** What was said of their names: with other words other files can be read. */
    this.given = exchanges;
    this.walk = null;
    const within = (...names) => namesIn(this.folderOf(...names)).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    const strategies = within("session");
    this.exchanges = [...new Set([...exchanges, ...within("candle"), ...strategies.flatMap((name) => within("session", name))])];
  }

  folderOf(kind, ...names) {
    return path.join(LAYOUT[kind].beside ? path.dirname(this.data) : this.data, kind, ...names);
  }

  kindOf(number) {
    return Object.keys(LAYOUT).find((kind) => LAYOUT[kind].collection === this.table[number].collection);
  }

  async open() {}

  async close() {}

  count(number) {
    const kind = this.kindOf(number);
    let files = 0;
    if (kind !== undefined) for (const names of filesBelow(this.folderOf(kind))) files += names.length > 0 ? 1 : 0;
    return files;
  }

  async page(number, after) {
    const kind = this.kindOf(number);
    const documents = [];
    if (kind === undefined) return { after: null, rows: Buffer.alloc(0) };
    const folder = this.folderOf(kind);
    const walk = this.walkFrom(kind, folder, after?.file ?? null);
    for (let files = 0; files < ROWS; files++) {
      const { done, value: names } = walk.files.next();
      if (done) return { after: null, rows: Buffer.concat(documents) };
      walk.last = names;
      const row = this.read(kind, folder, names);
      if (row !== null) documents.push(row);
    }
    return { after: { file: walk.last }, rows: Buffer.concat(documents) };
  }

  /** The files after a path: those of the page before go on, so that a folder of half a million is read once. */
  walkFrom(kind, folder, last) {
    if (this.walk === null || this.walk.kind !== kind || last === null || this.walk.last?.join("/") !== last.join("/")) {
      this.walk = { kind, last, files: filesBelow(folder, last) };
    }
    return this.walk;
  }

  /** The document of a file, or null where it is none. */
  read(kind, folder, names) {
    const file = path.join(folder, ...names);
    try {
      const content = JSON.parse(fs.readFileSync(file, "utf8"));
      const modified = Math.floor(fs.statSync(file).mtimeMs);
      const found = LAYOUT[kind].of(names.slice(0, -1), names.at(-1).slice(0, -5), content, this.exchanges);
      if (found === null) throw new Error("which row it is cannot be told from its path; --exchange <name> may help");
      return this.document(found, modified);
    } catch (error) {
      if (error.code === "ENOENT") return null;
      // A folder may be walked several times.
      if (this.noted.has(file)) return null;
      this.noted.add(file);
      this.unread.count++;
      if (this.unread.files.length < NAMED) this.unread.files.push(`${path.relative(process.cwd(), file)}: ${error.message}`);
      return null;
    }
  }

  /** The bytes of a row, its fields as the services order them: those of the key, and then the others, by their names. */
  document({ key, values, dated }, modified) {
    const { ObjectId, serialize } = this.codec;
    const date = new Date(modified);
    const rest = { __v: 0, createDate: date, updatedDate: date, ...(dated && { when: modified }), ...values };
    const ordered = (fields) => Object.fromEntries(Object.entries(fields).sort(([a], [b]) => compare(a, b)));
    return Buffer.from(serialize({ _id: new ObjectId(), ...ordered(key), ...ordered(rest) }));
  }

  /** The kit keeps no maps. */
  async *keys() {}
}

module.exports = { Files };

"use strict";
// The configured servers, or an embedded store: one engine each, read and written page by page.

const { Failure } = require("../failure.js");
const { loadPackage } = require("./package.js");

/** How many calls of maps and ids are under way at a time. */
const AT_ONCE = 1_000;
/** Bytes of an ObjectId. */
const ID = 12;
/** Errors of a row whose fields name no key of the cache. */
const UNNAMED = ["INVALID_ROW", "INVALID_CONTEXT", "KEY_EMPTY", "INVALID_VALUE"];

/** `{ after, rows }` of an answer to `export`: its first document says where the next page begins. */
function pageOf({ bytes }, codec) {
  const head = bytes.readInt32LE(0);
  return { after: codec.deserialize(bytes.subarray(0, head), { promoteValues: false }).after, rows: bytes.subarray(head) };
}

/** Goes through documents that stand one after the other. */
function* documentsOf(rows) {
  for (let at = 0; at < rows.length; at += rows.readInt32LE(at)) {
    yield rows.subarray(at, at + rows.readInt32LE(at));
  }
}

/** The key of the last of some rows, and the `_id` that it has in the store that took them in; null where it was not told. */
function lastOf(store, number, rows, ids) {
  let last;
  for (last of documentsOf(rows));
  // As the bytes have it: a number's type is part of a key.
  const row = store.codec.deserialize(last, { promoteValues: false });
  const key = Object.fromEntries(store.table[number].key.map(({ name }) => [name, row[name] ?? null]));
  const id = ids.subarray(-ID);
  return { key, id: id.some((byte) => byte !== 0) ? new store.codec.ObjectId(id) : null };
}

class Opened {
  /** @param {string} name what the user calls it; @param {object} changes variables that are put over those of the environment */
  constructor(name, changes, { defaults, isServers }) {
    this.name = name;
    this.isServers = isServers;
    this.package = loadPackage();
    const { engine, mongo, codec, addon } = this.package;
    this.codec = codec();
    this.addon = addon;
    this.table = mongo.table;
    const texts = engine.checked(Object.entries({ CC_CANDLE_CACHE_MAX_BYTES: "0", ...changes }));
    if (defaults === "setup") engine.adopt(texts);
    else engine.setConfig(texts);
    this.config = engine.getConfig();
    /** Keys that hold ids: they are never copied. */
    this.prefixes = engine.native.table.map((row) => `${row.prefix}:`);
  }

  /** Opens it, and says in one sentence what is wrong where that fails. */
  async open() {
    const { mongo, engine } = this.package;
    try {
      await mongo.ask(mongo.OPS.ping, 0, {});
      engine.native.ready();
      engine.native.engine.ping();
      await engine.native.enqueue();
    } catch (error) {
      const advice = this.isServers ? "npx backtest-kit-native doctor" : `npx backtest-kit-native doctor --store ${this.name}`;
      throw new Failure(`${this.name} cannot be used: ${error.message} (${error.code}); ${advice} says more`, { cause: error });
    }
  }

  ask(op, number, body) {
    const { mongo } = this.package;
    return mongo.ask(mongo.OPS[op], number, body);
  }

  /** How many rows a collection has. */
  async count(number) {
    return (await this.inspect(number)).rows;
  }

  /** What there is to know of a collection: `{ rows, missing, duplicates?, version? }`. */
  async inspect(number) {
    return this.codec.deserialize((await this.ask("inspect", number, {})).bytes);
  }

  /** A page of rows after a place, in the order of their keys: `{ after, rows }`; `after` is null at the end. */
  async page(number, after) {
    return pageOf(await this.ask("export", number, { after }), this.codec);
  }

  /** Takes rows in: `{ new, newer, kept, ids }`. */
  async merge(number, rows) {
    const told = this.codec.deserialize((await this.ask("merge", number, { rows })).bytes, { promoteBuffers: true });
    return told;
  }

  /** Whether a row is there that this store once took in, as `lastOf` has told it. */
  async holds(number, { key, id }) {
    const { bytes } = await this.ask("rows", number, { filter: key });
    for (const row of documentsOf(bytes)) if (id === null || id.equals(this.codec.deserialize(row)._id)) return true;
    return false;
  }

  /** Whether ids of a collection's rows are kept in the cache of ids. */
  keepsIds(number) {
    return this.table[number].collection !== "candle-items" || this.config.CC_CANDLE_IDS === "on";
  }

  /** Writes the ids of rows into the cache of ids; how many. `ids` has 12 bytes for each, zeros where there is none. */
  async remember(number, rows, ids) {
    const row = this.table[number];
    const service = this.package.cache.instances[row.cache];
    const set = service[`set${row.noun}Id`];
    const noted = [];
    let written = 0;
    let place = 0;
    for (const bytes of documentsOf(rows)) {
      const id = ids.toString("hex", place * ID, (place + 1) * ID);
      place++;
      if (!/[^0]/.test(id)) continue;
      const document = this.codec.deserialize(bytes);
      const identity = Object.fromEntries(row.key.map(({ name }) => [name, document[name]]));
      noted.push(
        set.call(service, { ...identity, id }).then(
          () => void written++,
          (error) => {
            // A row of somebody else's making, which no call could name either.
            if (!UNNAMED.includes(error.code)) throw error;
          },
        ),
      );
      if (noted.length >= AT_ONCE) await Promise.all(noted.splice(0));
    }
    await Promise.all(noted);
    return written;
  }

  /** Keys of maps, page by page, without those of ids: `[{ key, value, millis }]`; a key without a value is none of text. */
  async *keys() {
    const { native } = this.package.engine;
    native.ready();
    const { engine } = native;
    const scan = engine.openKeys();
    try {
      for (;;) {
        native.ready();
        const page = await native.promise(engine.page(scan));
        if (page === null) return;
        const wanted = page.filter((key) => !this.prefixes.some((prefix) => key.startsWith(prefix)));
        const entries = await Promise.all(wanted.map((key) => this.entry(key)));
        if (entries.length > 0) yield entries;
      }
    } finally {
      engine.closeScan(scan);
    }
  }

  async entry(key) {
    const { native } = this.package.engine;
    const value = this.valueOf(key);
    const millis = native.promise(native.engine.keyRemaining(key));
    const [bytes, rest] = await Promise.all([value, millis]);
    return { key, value: rest === null ? null : bytes, millis: rest };
  }

  /** Writes keys that are not there; how many were written. */
  async addKeys(entries) {
    const { native } = this.package.engine;
    const added = await Promise.all(
      entries.map(({ key, value, millis }) => {
        native.ready();
        return native.promise(native.engine.keyAdd(key, value, millis));
      }),
    );
    return added.filter((one) => one !== null && one !== false).length;
  }

  /** The value of a key, or null where there is none, or none of a map. */
  valueOf(key) {
    const { native } = this.package.engine;
    native.ready();
    return native.promise(native.engine.keyBytes(key)).catch((error) => {
      // A list or a hash of Redis.
      if (error.code === "REDIS_REPLY" && error.message.startsWith("WRONGTYPE")) return null;
      throw error;
    });
  }

  close() {
    return this.package.engine.close();
  }
}

module.exports = { Opened, documentsOf, lastOf };

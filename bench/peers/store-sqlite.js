"use strict";

// What one would write by hand over SQLite: our schema, our pragmas, the same bytes. better-sqlite3 and Node's own module have
// the same calls.

const path = require("node:path");
const { createRequire } = require("node:module");
const { serialize, deserialize, ObjectId } = require("bson");
const { versionOf } = require("./version.js");
const { STRATEGY, EXCHANGE, SPACE, valueOf, payloadOf } = require("./store-data.js");

const folder = path.join(__dirname, "..", "stores");
const load = createRequire(path.join(folder, "package.json"));

/** A unique key as the store has it: each text with its tag and its length. */
function keyOf(...parts) {
  const texts = parts.map((part) => Buffer.from(part));
  const key = Buffer.allocUnsafe(texts.reduce((sum, text) => sum + 5 + text.length, 0));
  let at = 0;
  for (const text of texts) {
    key[at] = 0x20;
    key.writeUInt32BE(text.length, at + 1);
    at += 5 + text.copy(key, at + 5);
  }
  return key;
}

const idOf = (id) => Buffer.concat([Buffer.of(0x60), id.id]);

/** Milliseconds as SQLite's integers, which both modules bind from BigInt alone. */
const millis = () => BigInt(Date.now());

async function open({ storePath }, { module }) {
  const file = path.join(storePath, "store.sqlite");
  const own = module === "node:sqlite";
  const Database = own ? require(module).DatabaseSync : load(module);
  const db = new Database(file);
  // The log is written back when it has grown, as the store does it; what is left out is left to SQLite.
  for (const pragma of ["synchronous = NORMAL", "cache_size = -16384", "temp_store = MEMORY", "wal_autocheckpoint = 4096"]) db.exec(`PRAGMA ${pragma}`);
  const get = db.prepare("SELECT value FROM maps WHERE key = ? AND (expires IS NULL OR expires > ?)");
  const set = db.prepare(
    "INSERT INTO maps (key, value, expires) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires",
  );
  const byKey = db.prepare('SELECT n, doc FROM "signal-items" WHERE key = ?');
  const insert = db.prepare(
    'INSERT INTO "signal-items" (id, key, created, updated, odd, symbol, strategyName, exchangeName, doc) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?)',
  );
  const replace = db.prepare('UPDATE "signal-items" SET updated = ?, doc = ? WHERE n = ?');
  const [begin, commit] = ["BEGIN IMMEDIATE", "COMMIT"].map((sql) => db.prepare(sql));
  const itemKey = (i) => Buffer.from(`${SPACE}:key:${i}`);
  const put = (i) => set.run(itemKey(i), Buffer.from(valueOf(i)), null);
  const { version } = db.prepare("SELECT sqlite_version() AS version").get();
  return {
    version: own ? `of Node ${process.versions.node}, SQLite ${version}` : `${versionOf(module, folder)}, SQLite ${version}`,
    store: {
      ops: {
        async get(i) {
          const row = get.get(itemKey(i), millis());
          return row === undefined ? null : (own ? Buffer.from(row.value) : row.value).toString();
        },
        async set(i) {
          put(i);
        },
        async upsert(i) {
          const symbol = `SYM${i}`;
          const key = keyOf(symbol, STRATEGY, EXCHANGE);
          const payload = payloadOf(i);
          begin.run();
          const found = byKey.get(key);
          const now = new Date();
          if (found === undefined) {
            const _id = new ObjectId();
            const row = { _id, exchangeName: EXCHANGE, strategyName: STRATEGY, symbol, __v: 0, createDate: now, payload, updatedDate: now };
            insert.run(idOf(_id), key, millis(), millis(), symbol, STRATEGY, EXCHANGE, serialize(row));
          } else {
            const row = deserialize(found.doc);
            Object.assign(row, { payload, updatedDate: now });
            replace.run(millis(), serialize(row), found.n);
          }
          commit.run();
        },
        async findByContext(i) {
          const found = byKey.get(keyOf(`SYM${i}`, STRATEGY, EXCHANGE));
          if (found === undefined) return null;
          const row = deserialize(found.doc);
          row.id = row._id.toHexString();
          return row;
        },
      },
      async setMany(numbers) {
        begin.run();
        for (const i of numbers) put(i);
        commit.run();
      },
      state: () => null,
    },
    close: () => db.close(),
  };
}

module.exports = { open };

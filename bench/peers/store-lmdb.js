"use strict";

// lmdb-js as it comes: puts of one tick are one transaction, and a promise resolves when that is committed. It has no rows, so a
// row is its BSON under its key, read and written as a whole.

const path = require("node:path");
const { createRequire } = require("node:module");
const { serialize, deserialize, ObjectId } = require("bson");
const { versionOf } = require("./version.js");
const { STRATEGY, EXCHANGE, SPACE, valueOf, payloadOf } = require("./store-data.js");

const folder = path.join(__dirname, "..", "stores");
const load = createRequire(path.join(folder, "package.json"));

async function open({ storePath }) {
  const { open: openStore } = load("lmdb");
  const db = openStore({ path: path.join(storePath, "lmdb"), encoding: "binary" });
  const rowKey = (i) => `signal:${EXCHANGE}:${STRATEGY}:SYM${i}`;
  const put = (i) => db.put(`${SPACE}:key:${i}`, Buffer.from(valueOf(i)));
  return {
    version: versionOf("lmdb", folder),
    store: {
      ops: {
        async get(i) {
          const value = db.get(`${SPACE}:key:${i}`);
          return value === undefined ? null : value.toString();
        },
        set: put,
        async upsert(i) {
          const now = new Date();
          const found = db.get(rowKey(i));
          const before = found === undefined ? { _id: new ObjectId(), createDate: now } : deserialize(found);
          const row = { ...before, exchangeName: EXCHANGE, strategyName: STRATEGY, symbol: `SYM${i}`, __v: 0, payload: payloadOf(i), updatedDate: now };
          await db.put(rowKey(i), Buffer.from(serialize(row)));
        },
        async findByContext(i) {
          const found = db.get(rowKey(i));
          if (found === undefined) return null;
          const row = deserialize(found);
          row.id = row._id.toHexString();
          return row;
        },
      },
      setMany: (numbers) => Promise.all(numbers.map(put)),
      state: () => null,
    },
    close: () => db.close(),
  };
}

module.exports = { open };

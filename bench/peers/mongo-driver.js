"use strict";

// The plain driver, as somebody would use it who writes for speed: no mongoose, no Redis, the same documents and indexes.
// New candles by one unordered insertMany; where that says that they exist, it is done (first write wins).

const { MongoClient } = require("mongodb");
const { START, MINUTE, STRATEGY, EXCHANGE, payloadOf, candlesOf } = require("./mongo-data.js");
const { versionOf } = require("./version.js");

const INDEXES = {
  "signal-items": { single: ["symbol", "strategyName", "exchangeName"], unique: ["symbol", "strategyName", "exchangeName"] },
  "candle-items": { single: ["symbol", "interval", "timestamp", "exchangeName"], unique: ["exchangeName", "symbol", "interval", "timestamp"] },
};
const DUPLICATE = 11000;

async function open(server, { prefix, upserts = false }) {
  const client = await MongoClient.connect(server.mongoUrl);
  const database = client.db();
  for (const [name, { single, unique }] of Object.entries(INDEXES)) {
    await database.collection(name).createIndex(Object.fromEntries(unique.map((field) => [field, 1])), { unique: true });
    await database.collection(name).createIndexes(single.map((field) => ({ key: { [field]: 1 } })));
  }
  const signals = database.collection("signal-items");
  const candles = database.collection("candle-items");
  const keyOf = (i) => ({ symbol: `${prefix}${i}`, strategyName: STRATEGY, exchangeName: EXCHANGE });
  return {
    version: versionOf("mongodb"),
    mongo: {
      ops: {
        upsert(i) {
          const now = new Date();
          const update = { $set: { payload: payloadOf(i), updatedDate: now }, $setOnInsert: { __v: 0, createDate: now } };
          return signals.findOneAndUpdate(keyOf(i), update, { upsert: true, returnDocument: "after" });
        },
        findByContext: (i) => signals.findOne(keyOf(i)),
      },
      write: upserts ? writeUpserts : writeInserts,
      async read(symbol, count) {
        const filter = { exchangeName: EXCHANGE, symbol, interval: "1m", timestamp: { $gte: START, $lt: START + count * MINUTE } };
        return (await candles.find(filter).sort({ timestamp: 1 }).toArray()).length;
      },
    },
    close: () => client.close(),
  };

  async function writeInserts(symbol, count) {
    const now = new Date();
    const documents = candlesOf(symbol, count).map((candle) => ({ ...candle, __v: 0, createDate: now, updatedDate: now }));
    await candles.insertMany(documents, { ordered: false }).catch((error) => {
      if (![error.writeErrors].flat().every(({ code }) => code === DUPLICATE)) throw error;
    });
    return count;
  }

  async function writeUpserts(symbol, count) {
    const now = new Date();
    const operations = candlesOf(symbol, count).map(({ exchangeName, symbol: name, interval, timestamp, ...rest }) => ({
      updateOne: {
        filter: { exchangeName, symbol: name, interval, timestamp },
        update: { $setOnInsert: { ...rest, __v: 0, createDate: now }, $set: { updatedDate: now } },
        upsert: true,
      },
    }));
    const { matchedCount, upsertedCount } = await candles.bulkWrite(operations, { ordered: false });
    return matchedCount + upsertedCount;
  }
}

module.exports = { open };

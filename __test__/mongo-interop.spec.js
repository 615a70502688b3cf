"use strict";

// This package and the TypeScript original on the same servers: each reads what the other wrote, in both directions.

const { serial: test } = require("ava");
const { loadFresh } = require("./support/addon.js");
const { startMongo } = require("./support/mongo.js");
const { openOriginal } = require("./support/original-mongo/index.js");
const { collections, isOriginal, write, read, cacheKey, SAMPLE } = require("./support/mongo-peer.js");
const { startRedis } = require("./support/redis.js");
const { storedDocuments, wipe } = require("./support/golden-documents.js");

let mongo, redis, original, lib;
test.before(async () => {
  [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
  original = await openOriginal({ mongo, redis });
  // With the original on both sides it is the tests themselves that are tested.
  if (isOriginal) lib = await openOriginal({ mongo, redis });
  // Candles are asked for and sent like other rows; candle-cache*.spec.js has those from memory.
  else lib = loadFresh({ CC_MONGO_CONNECTION_STRING: mongo.url, CC_REDIS_URL: redis.url, CC_CANDLE_CACHE_MAX_BYTES: 0 });
});
test.after.always(async () => {
  if (lib) await lib.close();
  if (original) await original.close();
  await Promise.all([mongo, redis].map((server) => server && server.stop()));
});

const PAYLOAD = { int: 1, big: 1767225600000, half: 0.5, minusZero: -0, text: "юникод 😀", list: [1, null, { a: [] }], date: new Date(5), empty: {}, removed: false };

/** ObjectIds and Binary of two copies of bson are equal by what they say, not by their class. */
function comparable(row) {
  return { ...row, _id: String(row._id) };
}

for (const row of collections) {
  for (const [title, from, to] of [["the original wrote", () => original.ioc, () => lib.ioc], ["this package wrote", () => lib.ioc, () => original.ioc]]) {
    test(`${row.collection}: what ${title} is read by the other side, through the cache and without`, async (t) => {
      await wipe(mongo, redis, row.collection);
      await write(from(), row, { payload: PAYLOAD });
      const mine = await read(from(), row);
      t.deepEqual(comparable(await read(to(), row)), comparable(mine));
      await redis.command("DEL", cacheKey(row));
      t.deepEqual(comparable(await read(to(), row)), comparable(mine));
      t.is(String(await redis.command("GET", cacheKey(row))), mine.id);
    });
  }

  test(`${row.collection}: both sides store the same document and cache it under the same key`, async (t) => {
    const seen = [];
    for (const ioc of [original.ioc, lib.ioc]) {
      await wipe(mongo, redis, row.collection);
      await write(ioc, row, { payload: PAYLOAD });
      const documents = await storedDocuments(mongo, row.collection);
      seen.push(JSON.stringify([documents, (await redis.command("KEYS", "*")).map(String)]));
    }
    t.is(seen[1], seen[0]);
  });

  test(`${row.collection}: writes of both sides to one key make one row`, async (t) => {
    await wipe(mongo, redis, row.collection);
    for (const ioc of [original.ioc, lib.ioc, original.ioc]) await write(ioc, row);
    t.is(await mongo.count(row.collection), 1);
  });
}

test("an update of the other side is seen by the next read, although the id comes from the near cache", async (t) => {
  await wipe(mongo, redis, "signal-items");
  for (let i = 0; i < 20; i++) {
    await original.ioc.signalDbService.upsert("S", "s", "e", { i });
    t.is((await lib.ioc.signalDbService.findByContext("S", "s", "e")).payload.i, i);
    await lib.ioc.signalDbService.upsert("S", "s", "e", { ours: i });
    t.is((await original.ioc.signalDbService.findByContext("S", "s", "e")).payload.ours, i);
  }
});

test("a row that was deleted and written anew by the other side is found by its new id", async (t) => {
  await wipe(mongo, redis, "state-items");
  await lib.ioc.stateDbService.upsert("s", "b", { a: 1 }, SAMPLE.when);
  const before = await lib.ioc.stateDbService.findByContext("s", "b");
  await original.models["state-items"].deleteMany({});
  t.is(await lib.ioc.stateDbService.findByContext("s", "b"), null);
  await original.ioc.stateDbService.upsert("s", "b", { a: 2 }, SAMPLE.when);
  const after = await lib.ioc.stateDbService.findByContext("s", "b");
  t.deepEqual(after.payload, { a: 2 });
  t.not(after.id, before.id);
});

test("BSON types that other clients stored are read as mongoose reads them", async (t) => {
  const { Long, Decimal128, Binary, Timestamp, ObjectId, Int32, Double, MinKey, Code, UUID } = require("bson");
  await wipe(mongo, redis, "state-items");
  const payload = { long: Long.fromString("5"), huge: Long.fromString("9223372036854775807"), decimal: Decimal128.fromString("1.5"), binary: new Binary(Buffer.from([1, 2])), uuid: new UUID("0b8b6d2e-9d4f-4e6b-8b53-0a4d2b6f7e11"), stamp: new Timestamp({ t: 1, i: 2 }), id: new ObjectId("65a1b2c3d4e5f60718293a4b"), int: new Int32(1), double: new Double(1), min: new MinKey(), code: new Code("1"), re: /x/i, nothing: null };
  await mongo.insert("state-items", [{ signalId: "s", bucketName: "b", payload, when: Long.fromString("1767323045678"), createDate: new Date(5), updatedDate: new Date(6), __v: 0 }]);
  const [theirs, ours] = [await original.ioc.stateDbService.findByContext("s", "b"), await lib.ioc.stateDbService.findByContext("s", "b")];
  t.is(JSON.stringify(ours), JSON.stringify(theirs));
  for (const [name, value] of Object.entries(theirs.payload)) {
    t.is(ours.payload[name]?._bsontype ?? typeof ours.payload[name], value?._bsontype ?? typeof value, name);
  }
});

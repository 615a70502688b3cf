"use strict";

// First writers of an empty database, in one process and in several; unique indexes that an older release left behind;
// duplicates that prevent an index.

const { fork } = require("node:child_process");
const { once } = require("node:events");
const path = require("node:path");
const { serial: test } = require("ava");
const { loadFor, outcome, recorder, until } = require("./support/addon.js");
const { startMongo } = require("./support/mongo.js");
const { collections, write, read, SAMPLE, CANDLE } = require("./support/mongo-peer.js");
const { startRedis } = require("./support/redis.js");

let mongo, redis;
test.before(async () => {
  [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
});
test.after.always(() => Promise.all([mongo, redis].map((server) => server && server.stop())));

/** A copy of the package on an empty database of its own, and the words to look into it. */
let databases = 0;
async function emptyDatabase(t) {
  const database = `races-${++databases}`;
  await redis.command("FLUSHALL");
  const env = { CC_MONGO_CONNECTION_STRING: mongo.urlOf(database), CC_REDIS_URL: redis.url };
  const open = () => loadFor(t, env);
  return { database, env, open };
}

const uniqueIndexes = async (collection, database) => (await mongo.indexes(collection, database)).filter((index) => index.unique).map((index) => Object.keys(index.key));

for (const row of collections) {
  test(`${row.collection}: a hundred first writers of one key make one document and fail nobody`, async (t) => {
    const { database, open } = await emptyDatabase(t);
    const { ioc } = open();
    const results = await Promise.all(Array.from({ length: 100 }, (_, i) => outcome(write(ioc, row, { payload: { i } }))));
    t.deepEqual(results.filter(({ error }) => error).map(({ error }) => String(error)), []);
    t.is(await mongo.count(row.collection, {}, database), 1);
    t.deepEqual(await uniqueIndexes(row.collection, database), [row.key]);
    t.truthy(await read(ioc, row));
  });
}

test("all indexes of the newer release are there after a while, and none besides", async (t) => {
  const { database, open } = await emptyDatabase(t);
  const { ioc } = open();
  await Promise.all(collections.map((row) => write(ioc, row)));
  for (const row of collections) {
    const single = Object.keys(row.fields).filter((name) => row.key.includes(name) || name === "removed" || name === "when");
    const wanted = [...single.map((name) => ({ [name]: 1 })), Object.fromEntries(row.key.map((name) => [name, 1])), ...(row.indexes || [])];
    const texts = [...new Set(wanted.map((key) => JSON.stringify(key)))].sort();
    const present = async () => (await mongo.indexes(row.collection, database)).map((index) => JSON.stringify(index.key)).filter((key) => key !== '{"_id":1}').sort();
    await until(async () => (await present()).length >= texts.length, `the indexes of ${row.collection}`);
    t.deepEqual(await present(), texts, row.collection);
  }
});

test("indexes that mongoose made are taken as they are", async (t) => {
  const { openOriginal } = require("./support/original-mongo/index.js");
  const { database, open } = await emptyDatabase(t);
  const original = await openOriginal({ mongo, redis, database });
  t.teardown(() => original.close());
  const before = await Promise.all(collections.map(({ collection }) => mongo.indexes(collection, database)));
  const { ioc } = open();
  await Promise.all(collections.map((row) => write(ioc, row)));
  const after = await Promise.all(collections.map(({ collection }) => mongo.indexes(collection, database)));
  t.deepEqual(after, before);
});

test("several processes that write first rows at once make one document for each key", async (t) => {
  const { database, env } = await emptyDatabase(t);
  const script = path.join(__dirname, "support", "child", "mongo-writer.js");
  const children = Array.from({ length: 4 }, () => fork(script, { env: { ...process.env, ...env } }));
  t.teardown(() => children.forEach((child) => child.kill("SIGKILL")));
  await Promise.all(children.map((child) => once(child, "message")));
  const answers = children.map((child) => once(child, "message"));
  for (const child of children) child.send({ writes: 50, symbols: 5 });
  for (const [{ failures }] of await Promise.all(answers)) t.deepEqual(failures, []);
  for (const collection of ["signal-items", "state-items", "candle-items"]) {
    t.is(await mongo.count(collection, {}, database), 5, collection);
  }
});

const LEFT_BEHIND = [
  { service: "candleDbService", collection: "candle-items", index: ["symbol", "interval", "timestamp"], over: { exchangeName: "another" } },
  { service: "sessionDbService", collection: "session-items", index: ["strategyName", "exchangeName", "frameName"], over: { symbol: "ETHUSDT" } },
];
for (const { service, collection, index, over } of LEFT_BEHIND) {
  test(`${collection}: an E11000 of an older release's index names that index and the command that drops it`, async (t) => {
    const { database, open } = await emptyDatabase(t);
    const name = index.map((field) => `${field}_1`).join("_");
    const key = Object.fromEntries(index.map((field) => [field, 1]));
    await mongo.command({ createIndexes: collection, indexes: [{ key, name, unique: true }] }, { database });
    const { ioc } = open();
    const row = collections.find((one) => one.service === service);
    await write(ioc, row);
    const { error } = await outcome(write(ioc, row, over));
    t.is(error?.code, "MONGO_WRITE");
    t.regex(error.message, /E11000/);
    t.true(error.message.includes(name), error.message);
    t.true(error.message.includes("dropIndex"), error.message);
    t.is(error.cause.code, 11000);
    t.is(await mongo.count(collection, {}, database), 1);
    await mongo.command({ dropIndexes: collection, index: name }, { database });
    await write(ioc, row, over);
    t.is(await mongo.count(collection, {}, database), 2);
  });
}

test("createMany into a collection with an older release's index says so too", async (t) => {
  const { database, open } = await emptyDatabase(t);
  const key = { symbol: 1, interval: 1, timestamp: 1 };
  const name = "symbol_1_interval_1_timestamp_1";
  await mongo.command({ createIndexes: "candle-items", indexes: [{ key, name, unique: true }] }, { database });
  const { ioc } = open();
  const candle = (exchangeName) => ({ exchangeName, symbol: "S", interval: "1m", timestamp: 60_000, ...CANDLE });
  await ioc.candleDbService.createMany([candle("a")]);
  const { error } = await outcome(ioc.candleDbService.createMany([candle("b")]));
  t.is(error?.code, "MONGO_WRITE");
  t.true(error.message.includes(name), error.message);
});

test("duplicates that prevent the unique index: one line in the log, health() says so, writes go on", async (t) => {
  const { database, open } = await emptyDatabase(t);
  const two = ["a", "b"].map((id) => ({ symbol: "X", strategyName: "s", exchangeName: "e", payload: { id }, __v: 0 }));
  await mongo.insert("signal-items", two, database);
  const lib = open();
  const logger = recorder();
  lib.setLogger(logger);
  for (let i = 0; i < 3; i++) await lib.ioc.signalDbService.upsert(`S${i}`, "s", "e", {});
  const warnings = logger.calls.filter(([level]) => level === "warn");
  t.is(warnings.length, 1);
  t.true(warnings[0][1].includes("signal-items"), warnings[0][1]);
  const { indexProblems } = lib.health().mongo;
  t.is(indexProblems.length, 1);
  t.true(indexProblems[0].includes("signal-items"), indexProblems[0]);
  t.is(await mongo.count("signal-items", {}, database), 5);
});

test("documents of the older layouts are read", async (t) => {
  const { database, open } = await emptyDatabase(t);
  const dates = { createDate: new Date(5), updatedDate: new Date(6), __v: 0 };
  const candle = { interval: "1m", symbol: "S", timestamp: 1767225600000, exchangeName: "ccxt_binance", ...CANDLE };
  await mongo.insert("candle-items", [{ ...candle, ...dates }], database);
  await mongo.insert("session-items", [{ exchangeName: "e", frameName: "f", strategyName: "s", payload: { a: 1 }, when: 5, ...dates }], database);
  const { ioc } = open();
  t.is((await ioc.candleDbService.findBySymbolIntervalTimestamp("S", "1m", 1767225600000)).close, 1.75);
  t.is((await ioc.candleDbService.findBySymbolIntervalTimestamp("S", "1m", "ccxt_binance", 1767225600000)).close, 1.75);
  t.is(await ioc.candleDbService.hasCandle("S", "1m", 1767225600000), true);
  t.deepEqual((await ioc.sessionDbService.findByContext("s", "e", "f")).payload, { a: 1 });
});

test("a session with three keys never reads or overwrites a row with five", async (t) => {
  const { database, open } = await emptyDatabase(t);
  const { sessionDbService } = open().ioc;
  await sessionDbService.upsert("s", "e", "f", "BTCUSDT", true, { five: true }, SAMPLE.when);
  t.is(await sessionDbService.findByContext("s", "e", "f"), null);
  await sessionDbService.upsert("s", "e", "f", { three: true }, SAMPLE.when);
  t.deepEqual((await sessionDbService.findByContext("s", "e", "f")).payload, { three: true });
  const five = await sessionDbService.findByContext("s", "e", "f", "BTCUSDT", true);
  t.deepEqual(five.payload, { five: true });
  // Even where the cache says otherwise.
  await redis.command("SET", "session_cache:e:s:f", five.id);
  t.deepEqual((await sessionDbService.findByContext("s", "e", "f")).payload, { three: true });
  t.is(await mongo.count("session-items", {}, database), 2);
});

"use strict";

// Many calls at once, with a server that is there and without one; replies that are lost; what is nested without end.

const { serialize } = require("bson");
const { serial: test } = require("ava");
const { loadFor, outcome, until } = require("./support/addon.js");
const { freePort, startMongo } = require("./support/mongo.js");
const { SAMPLE, CANDLE } = require("./support/mongo-peer.js");
const { startProxy } = require("./support/proxy.js");
const { startRedis } = require("./support/redis.js");

const DEADLINE = 300;
/** A deadline that one round trip keeps on a busy machine, and thousands of them do not. */
const SHORT = 600;

/** The package on servers of the test's own; MongoDB's calls go through `port` where one is given. */
async function scene(t, { port, ...config } = {}) {
  const [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
  t.teardown(() => Promise.all([mongo.stop(), redis.stop()]));
  const url = port === undefined ? mongo.url : `mongodb://127.0.0.1:${port}/${mongo.database}`;
  const lib = loadFor(t, { CC_MONGO_CONNECTION_STRING: url, CC_REDIS_URL: redis.url, ...config });
  return { mongo, redis, lib, ioc: lib.ioc };
}

const candle = (i) => ({ symbol: "BTCUSDT", interval: "1m", exchangeName: "binance", timestamp: SAMPLE.timestamp + i * 60_000, ...CANDLE });
const risk = (i) => ({ riskName: `r${i}`, exchangeName: "e", positions: [], when: 5 });

/** Calls that are made in one tick: their errors, and how long the last of them took. */
async function together(count, call) {
  const started = performance.now();
  const results = await Promise.all(Array.from({ length: count }, (_, i) => outcome(call(i))));
  return { codes: new Set(results.map(({ error }) => error?.code)), errors: results.filter(({ error }) => error), ms: performance.now() - started };
}

test("thousands of calls of one tick succeed on a sound server, however short the deadline of each", async (t) => {
  const { mongo, lib, ioc } = await scene(t);
  // The index and the connections are there before: they have deadlines of their own.
  await together(20, (i) => ioc.candleDbService.create(candle(i)));
  await lib.close();
  lib.setConfig({ CC_MONGO_TIMEOUT_MS: SHORT });
  // As many as take several deadlines on this machine; few machines need more than the first.
  for (let count = 3_000, ms = 0; ms < 3 * SHORT; count *= 2) {
    await mongo.command({ delete: "candle-items", deletes: [{ q: {}, limit: 0 }] });
    const told = await together(count, (i) => ioc.candleDbService.create(candle(count + i)));
    t.deepEqual(told.errors.slice(0, 3).map(({ error }) => String(error)), []);
    t.is(await mongo.count("candle-items"), count);
    ms = told.ms;
  }
});

test("first writers who wait for an absent server are refused together, by one deadline", async (t) => {
  const { ioc } = await scene(t, { port: await freePort(), CC_MONGO_TIMEOUT_MS: DEADLINE });
  const { codes, ms } = await together(10, (i) => ioc.riskDbService.create(risk(i)));
  t.deepEqual([...codes], ["MONGO_UNAVAILABLE"]);
  t.true(ms < 2.5 * DEADLINE, `${ms} ms`);
});

test("hundreds of reads that wait for an absent server are refused together, by one deadline", async (t) => {
  const { ioc } = await scene(t, { port: await freePort(), CC_MONGO_TIMEOUT_MS: DEADLINE });
  const { codes, ms } = await together(500, () => ioc.riskDbService.findAll());
  t.deepEqual([...codes], ["MONGO_UNAVAILABLE"]);
  t.true(ms < 2.5 * DEADLINE, `${ms} ms`);
});

test("hundreds of reads that a silent server leaves waiting are refused together, and succeed once it speaks", async (t) => {
  const { mongo, ioc } = await scene(t, { CC_MONGO_TIMEOUT_MS: DEADLINE });
  await ioc.riskDbService.findAll();
  await mongo.pause();
  const { codes, ms } = await together(500, () => ioc.riskDbService.findAll());
  await mongo.resume();
  t.deepEqual([...codes], ["MONGO_TIMEOUT"]);
  t.true(ms < 2.5 * DEADLINE, `${ms} ms`);
  await until(async () => (await together(100, () => ioc.riskDbService.findAll())).errors.length === 0, "all were answered", 60_000);
});

test("a create whose reply is lost is sent again, and knows its own row", async (t) => {
  const { mongo, lib } = await scene(t, { port: 1 });
  const proxy = await startProxy(mongo);
  t.teardown(() => proxy.stop());
  lib.setConfig({ CC_MONGO_CONNECTION_STRING: `mongodb://127.0.0.1:${proxy.port}/${mongo.database}` });
  const crud = new (lib.BaseCRUD("risk-items"))();
  await crud.create(risk(1));
  let lost = 0;
  // `{ n: 1 }`: the reply of the insert.
  proxy.corrupt((bytes) => {
    if (lost > 0 || !bytes.includes(Buffer.from("\x10n\0\x01\0\0\0", "latin1"))) return bytes;
    lost++;
    proxy.cut();
    return Buffer.alloc(0);
  });
  const created = await crud.create({ ...risk(2), positions: [{ a: 1 }] });
  t.is(lost, 1);
  // The other indexes may have been under way in a connection of their own.
  t.true(lib.stats().mongo.retried >= 1);
  t.deepEqual((await crud.findById(created.id)).positions, [{ a: 1 }]);
  t.is(await mongo.count("risk-items"), 2);
});

/** A reply of the server, with the document put in place of its own. */
function replyWith(bytes, document) {
  const body = serialize(document);
  const reply = Buffer.concat([bytes.subarray(0, 21), body]);
  reply.writeInt32LE(reply.length, 0);
  return reply;
}

test("of upserts of one key in one tick the last one stays, though an earlier one had to be tried again", async (t) => {
  const { mongo, lib, ioc } = await scene(t, { port: 1 });
  const proxy = await startProxy(mongo);
  t.teardown(() => proxy.stop());
  lib.setConfig({ CC_MONGO_CONNECTION_STRING: `mongodb://127.0.0.1:${proxy.port}/${mongo.database}` });
  await ioc.measureDbService.upsert("b", "before", 0);
  const race = { index: 0, code: 11000, errmsg: "E11000 duplicate key", keyPattern: { bucket: 1, entryKey: 1 } };
  let raced = 0;
  proxy.corrupt((bytes) => {
    if (raced > 0 || !bytes.includes("nModified")) return bytes;
    raced++;
    return replyWith(bytes, { n: 1, nModified: 0, writeErrors: [race], ok: 1 });
  });
  // The second attempt is slow on its way.
  proxy.corrupt((bytes) => {
    proxy.delay(bytes.includes("findAndModify") ? 300 : 0, "up");
    return bytes;
  }, "up");
  const values = [["k", 1], ["other", 1], ["k", 2], ["other", 2]];
  await Promise.all(values.map(([key, value]) => ioc.measureDbService.upsert("b", key, { value })));
  t.is(raced, 1);
  t.is((await ioc.measureDbService.findByKey("b", "k")).payload.value, 2);
});

/** The answers in a buffer of them, each with its head; see `Answer::push` in src/mongo/wire.rs. */
function* answersOf(bytes) {
  for (let at = 0; at < bytes.length; ) {
    const end = at + 16 + bytes.readUInt32LE(at + 12);
    yield bytes.subarray(at, end);
    at = end;
  }
}

test("an answer that cannot be decoded rejects its own call, and the others that come with it are settled", async (t) => {
  const { lib, ioc } = await scene(t);
  await ioc.measureDbService.upsert("b", "k", { text: "a row" });
  const { native } = require("../js/engine.js");
  const { settle } = native.mongo;
  t.teardown(() => (native.mongo.settle = settle));
  const answers = [];
  native.mongo.settle = (bytes) => answers.push(...answersOf(Buffer.from(bytes)));
  const find = (filter) => outcome(ioc.measureDbService.findAll(filter));
  const calls = [find({}), find({ _id: "no id" }), find({ entryKey: "k" }), find({ bucket: "none" })];
  await until(() => answers.length === calls.length, "all are answered");
  answers.sort((a, b) => a.readUInt32LE(0) - b.readUInt32LE(0));
  // No UTF-8: in the words of an error, in a row, and in a notice that nobody waits for.
  const breakText = (bytes, text) => (bytes[bytes.indexOf(text)] = 0xff);
  breakText(answers[1], "no id");
  breakText(answers[2], "a row");
  const notice = Buffer.from(answers[1]);
  notice.writeUInt32LE(0, 0);
  settle(Buffer.concat([notice, ...answers]));
  native.mongo.settle = settle;
  const [whole, failed, row, none] = await Promise.all(calls);
  t.deepEqual(whole.value.map(({ entryKey }) => entryKey), ["k"]);
  t.deepEqual(none.value, []);
  for (const { error } of [failed, row]) {
    t.is(error?.code, "MONGO_REPLY", String(error));
    t.regex(error.message, /cannot be decoded/);
    t.truthy(error.cause);
  }
  t.is(lib.health().mongo.waiting, 0);
});

test("what is nested without an end is refused, in filters and in rows", async (t) => {
  const { mongo, ioc } = await scene(t);
  const nested = (levels) => Array.from({ length: levels }).reduce((inner) => ({ a: inner }), 1);
  for (const call of [
    () => ioc.stateDbService.findAll({ payload: nested(1550) }),
    () => ioc.stateDbService.findAll({ payload: { $not: nested(1550) } }),
    () => ioc.stateDbService.paginate({ unknown: nested(1550) }, { limit: 1, offset: 0 }),
    () => ioc.stateDbService.upsert("s", "b", nested(1550), new Date(5)),
    () => ioc.stateDbService.create({ signalId: "s", bucketName: "b", when: 5, payload: nested(1550) }),
  ]) {
    t.is((await outcome(call())).error?.code, "INVALID_VALUE");
  }
  t.is(await mongo.count("state-items"), 0);
  await ioc.stateDbService.upsert("s", "b", nested(170), new Date(5));
  t.is((await ioc.stateDbService.findAll({ payload: nested(170) })).length, 1);
});

test("more calls than the bound reject with QUEUE_FULL, nothing of them is sent, and the others are answered", async (t) => {
  const { mongo, ioc } = await scene(t, { CC_MONGO_QUEUE_MAX: 10 });
  await ioc.measureDbService.upsert("b", "before", {});
  const results = await Promise.all(Array.from({ length: 25 }, (_, i) => outcome(ioc.measureDbService.upsert("b", `k${i}`, {}))));
  const codes = results.map(({ error }) => error?.code);
  t.deepEqual(codes, [...Array(10).fill(undefined), ...Array(15).fill("QUEUE_FULL")]);
  t.regex(results[10].error.message, /10 calls wait \(CC_MONGO_QUEUE_MAX\)/);
  t.is(await mongo.count("measure-items"), 11);
  await ioc.measureDbService.upsert("b", "after", {});
});

test("more bytes than the bound reject with QUEUE_FULL, and nothing of them is sent", async (t) => {
  const { mongo, lib, ioc } = await scene(t, { CC_MONGO_QUEUE_MAX_BYTES: 100_000 });
  const large = (key) => outcome(ioc.measureDbService.upsert("b", key, { text: "x".repeat(60_000) }));
  const [first, second] = await Promise.all([large("k1"), large("k2")]);
  t.is(first.error, undefined);
  t.is(second.error?.code, "QUEUE_FULL");
  t.regex(second.error.message, /CC_MONGO_QUEUE_MAX_BYTES/);
  t.deepEqual((await mongo.documents("measure-items")).map((row) => row.entryKey), ["k1"]);
  t.is((await large("k2")).error, undefined, "there is room again");
  t.is(lib.stats().mongo.waiting, 0);
});

test("an index that is not made before the deadline is named, in the error and by health(), until it is there", async (t) => {
  const { mongo, lib, ioc } = await scene(t, { CC_MONGO_TIMEOUT_MS: DEADLINE });
  await ioc.mongoService.waitForInit();
  await mongo.pause();
  const { error } = await outcome(ioc.riskDbService.upsert("r", "e", [], new Date(5)));
  await mongo.resume();
  t.is(error?.code, "MONGO_TIMEOUT");
  t.regex(error.message, /the unique index riskName_1\S* of risk-items/);
  t.is(lib.health().mongo.indexProblems.length, 1);
  await ioc.riskDbService.upsert("r", "e", [], new Date(5));
  t.deepEqual(lib.health().mongo.indexProblems, []);
});

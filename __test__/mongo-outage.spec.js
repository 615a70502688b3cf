"use strict";

// MongoDB or Redis away, late, restarted, silent; a connection string that cannot be used. Each test has servers and a
// copy of the package of its own, because it harms them.

const { inspect } = require("node:util");
const { serial: test } = require("ava");
const { loadFor, outcome, recorder, until } = require("./support/addon.js");
const { freePort, startMongo, MongoServer } = require("./support/mongo.js");
const { collections, write, read, cacheKey, CANDLE, SAMPLE } = require("./support/mongo-peer.js");
const { startRedis } = require("./support/redis.js");

const signal = collections.find((row) => row.service === "signalDbService");

/** Within this a busy server that is there makes a collection with its indexes. */
const PATIENCE_MS = 2_000;

/** Both servers and the package on them. */
async function both(t, config) {
  const [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
  t.teardown(() => Promise.all([mongo.stop(), redis.stop()]));
  const lib = loadFor(t, { CC_MONGO_CONNECTION_STRING: mongo.url, CC_REDIS_URL: redis.url, ...config });
  return { mongo, redis, lib, ioc: lib.ioc };
}

async function onlyRedis(t, config) {
  const redis = await startRedis();
  t.teardown(() => redis.stop());
  return loadFor(t, { CC_REDIS_URL: redis.url, ...config });
}

test("without MongoDB calls reject at their deadline with MONGO_UNAVAILABLE, the address and the reason", async (t) => {
  const port = await freePort();
  const lib = await onlyRedis(t, { CC_MONGO_CONNECTION_STRING: `mongodb://trader:s3cr3t@127.0.0.1:${port}/db`, CC_MONGO_TIMEOUT_MS: 300 });
  const started = Date.now();
  const results = await Promise.all([outcome(write(lib.ioc, signal)), outcome(read(lib.ioc, signal)), outcome(lib.ioc.riskDbService.findAll())]);
  t.true(Date.now() - started < 10_000);
  for (const { error } of results) {
    t.is(error?.code, "MONGO_UNAVAILABLE", String(error));
    t.true(error.message.includes(`connect ECONNREFUSED 127.0.0.1:${port}`), error.message);
    t.notRegex(inspect(error), /trader|s3cr3t/);
    t.truthy(error.cause);
  }
  t.is(await lib.ioc.signalCacheService.getSignalId("a", "b", "c"), null, "Redis alone still works");
});

test("calls that wait for an absent MongoDB succeed when it comes up within their deadline", async (t) => {
  const mongo = new MongoServer({ port: await freePort() });
  t.teardown(() => mongo.stop());
  const lib = await onlyRedis(t, { CC_MONGO_CONNECTION_STRING: mongo.url, CC_MONGO_TIMEOUT_MS: 60_000 });
  const writing = write(lib.ioc, signal);
  await mongo.start();
  await writing;
  t.is(await mongo.count("signal-items"), 1);
});

test("after a restart of MongoDB calls go on by themselves", async (t) => {
  const { mongo, ioc } = await both(t, { CC_MONGO_TIMEOUT_MS: 60_000 });
  await write(ioc, signal);
  await mongo.restart();
  t.truthy(await read(ioc, signal));
  await write(ioc, signal, { payload: { after: true } });
  t.deepEqual((await read(ioc, signal)).payload, { after: true });
});

test("after MongoDB was killed and started anew, calls succeed again", async (t) => {
  const { mongo, ioc } = await both(t, { CC_MONGO_TIMEOUT_MS: PATIENCE_MS });
  await write(ioc, signal);
  await mongo.kill();
  t.regex(String((await outcome(read(ioc, signal))).error?.code), /^MONGO_/);
  await mongo.start();
  await until(() => write(ioc, signal).then(() => true, () => false), "a write succeeded", 60_000);
  t.truthy(await read(ioc, signal));
});

test("a silent MongoDB is a MONGO_TIMEOUT at the deadline; resumed, calls succeed", async (t) => {
  const { mongo, ioc } = await both(t, { CC_MONGO_TIMEOUT_MS: PATIENCE_MS });
  await write(ioc, signal);
  await mongo.pause();
  const started = Date.now();
  const { error } = await outcome(write(ioc, signal, { symbol: "B" }));
  t.is(error?.code, "MONGO_TIMEOUT", String(error));
  t.true(Date.now() - started >= PATIENCE_MS - 50, "it was given the whole time");
  t.true(Date.now() - started < 10_000);
  await mongo.resume();
  await until(() => write(ioc, signal, { symbol: "C" }).then(() => true, () => false), "a write succeeded", 60_000);
});

test("a restarted replica set is followed", async (t) => {
  const [mongo, redis] = await Promise.all([startMongo({ replSet: true }), startRedis()]);
  t.teardown(() => Promise.all([mongo.stop(), redis.stop()]));
  const { ioc } = loadFor(t, { CC_MONGO_CONNECTION_STRING: mongo.url, CC_REDIS_URL: redis.url, CC_MONGO_TIMEOUT_MS: 60_000 });
  await write(ioc, signal);
  await mongo.restart();
  await write(ioc, signal, { payload: { after: true } });
  t.deepEqual((await read(ioc, signal)).payload, { after: true });
});

test("without Redis reads and writes go on with MongoDB alone, for every collection", async (t) => {
  const mongo = await startMongo();
  t.teardown(() => mongo.stop());
  const { ioc } = loadFor(t, { CC_MONGO_CONNECTION_STRING: mongo.url, CC_REDIS_URL: `redis://127.0.0.1:${await freePort()}` });
  for (const row of collections) {
    await write(ioc, row);
    t.truthy(await read(ioc, row), row.collection);
    t.is(await mongo.count(row.collection), 1);
  }
  await ioc.measureDbService.softRemove("bucket", "key-1");
  t.is(await ioc.memoryDbService.hasMemoryEntry("sig-1", "bucket", "mem-1"), true);
  t.is(await ioc.candleDbService.hasCandle("BTCUSDT", "1m", "binance", SAMPLE.timestamp), true);
  await ioc.intervalDbService.clearBucket("bucket");
  t.is(await mongo.count("interval-items"), 0);
});

test("Redis that is known to be down is not waited for", async (t) => {
  const mongo = await startMongo();
  t.teardown(() => mongo.stop());
  const { ioc } = loadFor(t, { CC_MONGO_CONNECTION_STRING: mongo.url, CC_REDIS_URL: `redis://127.0.0.1:${await freePort()}` });
  await write(ioc, signal);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const started = Date.now();
  for (let i = 0; i < 200; i++) await read(ioc, signal);
  // With 50 ms for each it would be ten seconds.
  t.true(Date.now() - started < 5000, `${Date.now() - started} ms`);
});

test("Redis killed in the middle of work: nothing rejects, and the cache heals when it is back", async (t) => {
  const { mongo, redis, ioc } = await both(t);
  await write(ioc, signal);
  await redis.kill();
  const results = await Promise.all(Array.from({ length: 50 }, (_, i) => outcome(write(ioc, signal, { symbol: `S${i}` }))));
  t.deepEqual(results.filter(({ error }) => error).map(({ error }) => String(error)), []);
  t.is(await mongo.count("signal-items"), 51);
  t.truthy(await read(ioc, signal, { symbol: "S7" }));
  await redis.start();
  await until(async () => {
    await read(ioc, signal);
    return (await redis.command("GET", cacheKey(signal))) !== null;
  }, "the id was cached again");
});

test("a silent Redis delays a call by little, and fails none", async (t) => {
  const { redis, ioc } = await both(t);
  await write(ioc, signal);
  await redis.kill("SIGSTOP");
  t.teardown(() => redis.kill("SIGCONT"));
  const started = Date.now();
  await write(ioc, signal, { payload: { silent: true } });
  t.deepEqual((await read(ioc, signal)).payload, { silent: true });
  // Its deadline is ten seconds.
  t.true(Date.now() - started < 2000, `${Date.now() - started} ms`);
});

test("a queue that is full of what waits for Redis fails no read and no write", async (t) => {
  const mongo = await startMongo();
  t.teardown(() => mongo.stop());
  const url = `redis://127.0.0.1:${await freePort()}`;
  const { ioc } = loadFor(t, { CC_MONGO_CONNECTION_STRING: mongo.url, CC_REDIS_URL: url, CC_REDIS_QUEUE_MAX: 1, CC_REDIS_TIMEOUT_MS: 300 });
  await write(ioc, signal);
  // The id of that write was given up.
  await new Promise((resolve) => setTimeout(resolve, 600));
  const waiting = outcome(ioc.signalCacheService.getSignalId("a", "b", "c"));
  t.is((await outcome(ioc.signalCacheService.getSignalId("a", "b", "d"))).error?.code, "QUEUE_FULL");
  t.truthy(await read(ioc, signal));
  await write(ioc, signal, { payload: { full: true } });
  t.is((await waiting).error?.code, "REDIS_UNAVAILABLE");
});

test("an id that was written while Redis was away does not come back stale", async (t) => {
  const { mongo, redis, ioc } = await both(t);
  await write(ioc, signal);
  const before = await read(ioc, signal);
  await redis.kill();
  await mongo.command({ delete: "signal-items", deletes: [{ q: {}, limit: 0 }] });
  await write(ioc, signal, { payload: { anew: true } });
  await redis.start();
  await redis.command("SET", cacheKey(signal), before.id);
  for (let i = 0; i < 20; i++) t.deepEqual((await read(ioc, signal)).payload, { anew: true });
});

const bucketIds = async (redis) => (await redis.command("KEYS", "interval_cache:*")).map(String).sort();

test("ids of a bucket that was cleared while Redis was silent are gone when it speaks again", async (t) => {
  const { mongo, redis, ioc } = await both(t);
  for (const key of ["k1", "k2"]) await ioc.intervalDbService.upsert("b", key, {}, SAMPLE.when);
  await ioc.intervalDbService.upsert("other", "k1", {}, SAMPLE.when);
  await redis.kill("SIGSTOP");
  t.teardown(() => redis.kill("SIGCONT"));
  // From now on it is known to be away, and nothing is sent to it.
  await ioc.signalDbService.findByContext("a", "b", "c");
  await ioc.intervalDbService.clearBucket("b");
  t.is(await mongo.count("interval-items"), 1);
  await redis.kill("SIGCONT");
  await until(async () => (await bucketIds(redis)).length === 1, "the ids were removed");
  t.deepEqual(await bucketIds(redis), ["interval_cache:other:k1"]);
});

test("where Redis stays away beyond its deadline, ids of a cleared bucket go with the first call after its return", async (t) => {
  const { redis, ioc } = await both(t, { CC_REDIS_TIMEOUT_MS: 200 });
  for (const key of ["k1", "k2"]) await ioc.intervalDbService.upsert("b", key, {}, SAMPLE.when);
  await redis.kill("SIGSTOP");
  t.teardown(() => redis.kill("SIGCONT"));
  await ioc.signalDbService.findByContext("a", "b", "c");
  await ioc.intervalDbService.clearBucket("b");
  t.regex(String((await outcome(ioc.signalCacheService.getSignalId("x", "y", "z"))).error?.code), /^REDIS_/);
  await redis.kill("SIGCONT");
  t.is((await bucketIds(redis)).length, 2);
  await until(async () => {
    t.is(await ioc.signalDbService.findByContext("a", "b", "c"), null);
    return (await bucketIds(redis)).length === 0;
  }, "the ids were removed");
});

test("a cached id of a deleted row is a miss, and is forgotten by the read that finds nothing", async (t) => {
  const { redis, ioc } = await both(t);
  await ioc.intervalDbService.upsert("b", "k1", {}, SAMPLE.when);
  const { id } = await ioc.intervalDbService.findByKey("b", "k1");
  await ioc.intervalDbService.clearBucket("b");
  await redis.command("SET", "interval_cache:b:k1", id);
  t.is(await ioc.intervalDbService.findByKey("b", "k1"), null);
  t.deepEqual(await bucketIds(redis), []);
  await ioc.intervalDbService.upsert("b", "k1", { anew: true }, SAMPLE.when);
  t.deepEqual((await ioc.intervalDbService.findByKey("b", "k1")).payload, { anew: true });
});

test("waitForInit of mongoService resolves undefined when MongoDB is there, asks once until clear(), and works detached", async (t) => {
  const { lib } = await both(t);
  const { waitForInit } = lib.ioc.mongoService;
  const asked = () => lib.stats().mongo.requests;
  t.is(await waitForInit(), undefined);
  t.is(asked(), 1);
  t.is(await waitForInit(), undefined);
  t.is(asked(), 1);
  t.is(waitForInit.clear(), undefined);
  t.is(await waitForInit(), undefined);
  t.is(asked(), 2);
});

test("the log calls of waitForInit are the original's", async (t) => {
  const { lib } = await both(t);
  const logger = recorder();
  lib.setLogger(logger);
  await lib.waitForInit();
  const lines = logger.calls.map((line) => line.join(" ")).sort();
  t.deepEqual(lines, ["log mongooseService waitForInit", "log redisService ready", "log redisService waitForInit"]);
});

test("waitForInit of the package asks both servers again after clear()", async (t) => {
  const { lib, mongo } = await both(t, { CC_MONGO_TIMEOUT_MS: PATIENCE_MS });
  t.is(await lib.waitForInit(), undefined);
  await mongo.pause();
  // What was found out once stays, until it is forgotten.
  t.is(await lib.waitForInit(), undefined);
  t.is(lib.waitForInit.clear(), undefined);
  let over = false;
  const waiting = lib.waitForInit().then(() => (over = true));
  await until(() => lib.stats().mongo.timeouts > 0, "MongoDB was asked again");
  t.false(over);
  await mongo.resume();
  await waiting;
});

test("waitForInit of the package says which server is missing", async (t) => {
  const lib = await onlyRedis(t, { CC_MONGO_CONNECTION_STRING: `mongodb://127.0.0.1:${await freePort()}/db` });
  const { error } = await outcome(lib.waitForInit());
  t.regex(error.message, /^Mongoose connection timeout/);
  t.truthy(error.cause);
});

test("a connection string that cannot be used is INVALID_CONFIG, without its password", async (t) => {
  for (const text of ["nonsense", "http://localhost/db", "mongodb://", "mongodb://user:secret-word@:x/db"]) {
    const lib = loadFor(t);
    let failure;
    try {
      lib.setConfig({ CC_MONGO_CONNECTION_STRING: text });
      failure = (await outcome(lib.ioc.riskDbService.findAll())).error;
    } catch (error) {
      failure = error;
    }
    t.is(failure?.code, "INVALID_CONFIG", text);
    t.true(failure.message.includes("CC_MONGO_CONNECTION_STRING"), failure.message);
    t.false(failure.message.includes("secret-word"), failure.message);
  }
});

test("what only the driver finds wrong with a connection string is INVALID_CONFIG too, and health() says so", async (t) => {
  for (const text of ["mongodb://127.0.0.1:1,127.0.0.1:2/db?directConnection=true", "mongodb://127.0.0.1:1/db?tls=true&tlsCAFile=/there/is/none.pem"]) {
    const lib = await onlyRedis(t, { CC_MONGO_CONNECTION_STRING: text, CC_MONGO_TIMEOUT_MS: 300 });
    const { error } = await outcome(lib.ioc.riskDbService.findAll());
    t.is(error?.code, "INVALID_CONFIG", String(error));
    t.true(error.message.includes("CC_MONGO_CONNECTION_STRING"), error.message);
    const { state, lastError } = lib.health().mongo;
    t.is(state, "waiting");
    t.is(lastError, error.message);
  }
});

test("no error and no configuration shows the password", async (t) => {
  const port = await freePort();
  const lib = await onlyRedis(t, { CC_MONGO_CONNECTION_STRING: `mongodb://user:secret-word@127.0.0.1:${port}/db`, CC_MONGO_TIMEOUT_MS: 200 });
  const { error } = await outcome(write(lib.ioc, signal));
  const shown = require("node:util").inspect(error, { depth: 10 }) + JSON.stringify(lib.getConfig()) + JSON.stringify(lib.health());
  t.false(shown.includes("secret-word"), shown);
});

test("close finishes what is in flight, and the next call opens a new connection", async (t) => {
  const { mongo, lib, ioc } = await both(t);
  const writing = Array.from({ length: 200 }, (_, i) => write(ioc, signal, { symbol: `S${i}` }));
  await lib.close();
  await Promise.all(writing);
  t.is(await mongo.count("signal-items"), 200);
  t.truthy(await read(ioc, signal, { symbol: "S5" }));
});

test("of two close() calls none is over while a call is in flight", async (t) => {
  const { lib, ioc } = await both(t);
  await write(ioc, signal);
  const over = [];
  const writing = ioc.candleDbService.create({ ...SAMPLE, ...CANDLE }).then(() => over.push("create"));
  await Promise.all([writing, lib.close().then(() => over.push("first")), lib.close().then(() => over.push("second"))]);
  t.is(over[0], "create");
  t.is(lib.health().mongo, null);
});

test("waitForInit of mongoService ends with close(), and opens nothing afterwards", async (t) => {
  const url = `mongodb://127.0.0.1:${await freePort()}/db`;
  const lib = await onlyRedis(t, { CC_MONGO_CONNECTION_STRING: url, CC_MONGO_TIMEOUT_MS: 200 });
  const waiting = outcome(lib.ioc.mongoService.waitForInit());
  await lib.close();
  t.is((await waiting).error?.code, "CLOSED");
  lib.setConfig({ CC_MONGO_TIMEOUT_MS: 300 });
  t.is(lib.getConfig().CC_MONGO_TIMEOUT_MS, 300);
});

test("a process ends by itself when its calls are answered", async (t) => {
  const { spawnSync } = require("node:child_process");
  const { root } = require("./support/addon.js");
  const { mongo, redis } = await both(t);
  const script = `const { ioc } = require(${JSON.stringify(root)});
    ioc.stateDbService.upsert("s", "b", { a: 1 }, new Date(5)).then(() => console.log("written"));`;
  const child = spawnSync(process.execPath, ["-e", script], { env: { ...process.env, ...mongo.env, ...redis.env }, encoding: "utf8", timeout: 60_000 });
  t.is(child.stderr, "");
  t.is(child.stdout, "written\n");
  t.is(child.status, 0);
  t.is(await mongo.count("state-items"), 1);
});

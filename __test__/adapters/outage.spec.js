"use strict";

// Servers that are away, silent or late, as the kit meets them: at the start, and in the middle of a backtest. Each test has
// servers and a copy of the package of its own, because it harms them.

const { spawnSync } = require("node:child_process");
const { serial: test } = require("ava");
const { loadFor, outcome, root, until } = require("../support/addon.js");
const { configOf } = require("../support/adapters.js");
const { MongoServer, freePort, startMongo } = require("../support/mongo.js");
const { startRedis } = require("../support/redis.js");
const { standInKit } = require("../support/stand-in-kit.js");

const MINUTE = 60_000;
const START = 1_767_225_600_000;
const WHEN = new Date(START);
const candle = (timestamp) => ({ timestamp, open: 1, high: 2, low: 0.5, close: 1.5, volume: 10 });
const CONTEXT = ["BTCUSDT", "1m", "binance"];

/** The package set up on a kit, and both servers. */
async function both(t, config) {
  const [mongo, redis] = await Promise.all([startMongo({ database: "backtest-kit" }), startRedis()]);
  t.teardown(() => Promise.all([mongo.stop(), redis.stop()]));
  return { mongo, redis, ...setUp(t, { ...configOf({ mongo, redis }), ...config }) };
}

function setUp(t, config) {
  const lib = loadFor(t, config);
  const kit = standInKit();
  lib.install(kit);
  return { lib, kit };
}

/** How long a call took, and what became of it. */
async function timed(call) {
  const started = performance.now();
  const result = await outcome(call());
  return { ...result, ms: performance.now() - started };
}

const reading = (kit, since = START, limit = 5) => kit.PersistCandleAdapter.readCandlesData(...CONTEXT, limit, since, 0);
const writing = (kit, timestamp) => kit.PersistCandleAdapter.writeCandlesData([candle(timestamp)], ...CONTEXT);

test("without MongoDB all contexts share one attempt of 15 s, and a failure for a second", async (t) => {
  const redis = await startRedis();
  t.teardown(() => redis.stop());
  const port = await freePort();
  const mongo = new MongoServer({ port, database: "backtest-kit" });
  t.teardown(() => mongo.stop());
  const { kit } = setUp(t, { ...configOf({ mongo, redis }), CC_MONGO_TIMEOUT_MS: 500 });
  const first = timed(() => kit.PersistSignalAdapter.readSignalData("a", "b", "c"));
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  const second = timed(() => kit.PersistStateAdapter.readStateData("a", "b"));
  const [one, other] = await Promise.all([first, second]);
  t.is(one.error?.code, "MONGO_UNAVAILABLE");
  t.regex(one.error.message, /Mongoose connection timeout/);
  t.truthy(one.error.cause);
  t.is(other.error, one.error, "the later one has waited for the same");
  t.true(one.ms > 14_000 && one.ms < 17_000, `${one.ms} ms`);
  const third = await timed(() => kit.PersistRiskAdapter.readPositionData("a", "b", WHEN));
  t.is(third.error, one.error);
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const fourth = timed(() => kit.PersistLogAdapter.readLogData());
  await mongo.start();
  t.deepEqual((await fourth).value, [], "after a second it is tried anew");
});

test("Redis need not be there: no adapter fails for it, nor waits for it", async (t) => {
  const mongo = await startMongo({ database: "backtest-kit" });
  t.teardown(() => mongo.stop());
  const { kit } = setUp(t, { CC_MONGO_CONNECTION_STRING: mongo.url, CC_REDIS_PORT: await freePort() });
  await kit.PersistSignalAdapter.writeSignalData({ id: "1" }, "a", "b", "c");
  t.deepEqual(await kit.PersistSignalAdapter.readSignalData("a", "b", "c"), { id: "1" });
  const list = Array.from({ length: 50 }, (_, n) => ({ id: `n-${n}` }));
  await kit.PersistNotificationAdapter.writeNotificationData(list, true);
  t.is((await kit.PersistNotificationAdapter.readNotificationData(true)).length, 50);
  await writing(kit, START);
  t.is((await reading(kit, START, 1)).length, 1);
});

for (const [what, harm] of [["stopped", (mongo) => mongo.end("SIGTERM")], ["silent", (mongo) => mongo.pause()]]) {
  test(`MongoDB ${what} in the middle: candle calls fail within 50 ms once that is known, and what is in memory is read on`, async (t) => {
    const { mongo, lib, kit } = await both(t, { CC_MONGO_TIMEOUT_MS: 1_000 });
    for (let i = 0; i < 5; i++) await writing(kit, START + i * MINUTE);
    t.is((await reading(kit)).length, 5);
    await harm(mongo);
    // The first one has its deadline: nothing is known yet.
    const first = await timed(() => writing(kit, START + 100 * MINUTE));
    t.regex(String(first.error?.code), /^MONGO_(UNAVAILABLE|TIMEOUT)$/);
    t.true(first.ms > 500, `${first.ms} ms`);
    const { requests } = lib.stats().mongo;
    const calls = [];
    for (let i = 0; i < 20; i++) {
      calls.push(await timed(() => reading(kit, START + (1_000_000 + i) * MINUTE)));
      calls.push(await timed(() => writing(kit, START + (2_000 + i) * MINUTE)));
    }
    t.deepEqual([...new Set(calls.map(({ error }) => error?.code))], ["MONGO_UNAVAILABLE"]);
    t.regex(calls[0].error.message, /known to be away/);
    t.truthy(calls[0].error.cause);
    const slow = calls.filter(({ ms }) => ms > 50);
    t.true(slow.length <= 2, `${slow.map(({ ms }) => ms.toFixed(0))} ms of ${calls.length} calls`);
    t.true(lib.stats().mongo.requests - requests <= 3, "one PING at a time, and no call");
    t.is((await reading(kit)).length, 5, "memory goes on");
    await writing(kit, START + 2 * MINUTE);
    const fresh = await timed(() => kit.PersistCandleAdapter.readCandlesData("ETHUSDT", "1m", "binance", 5, START, 0));
    t.is(fresh.error?.code, "MONGO_UNAVAILABLE", "a context that begins now too");
    t.true(fresh.ms < 500, `${fresh.ms} ms`);
    const other = await timed(() => kit.PersistSignalAdapter.readSignalData("x", "y", "z"));
    t.true(other.ms > 500, `others have their deadline: ${other.ms} ms`);
    if (what === "silent") await mongo.resume();
    else await mongo.start();
    await until(() => writing(kit, START + 3_000 * MINUTE).then(() => true, () => false), "candle calls succeed by themselves", 30_000);
    t.is(await mongo.count("candle-items", { timestamp: START + 3_000 * MINUTE }), 1);
  });
}

test("a server that was only slow fails no candle call afterwards", async (t) => {
  const { mongo, lib, kit } = await both(t, { CC_MONGO_TIMEOUT_MS: 2_000 });
  await writing(kit, START);
  await mongo.pause();
  t.is((await outcome(kit.PersistSignalAdapter.writeSignalData({ id: "1" }, "a", "b", "c"))).error?.code.startsWith("MONGO_"), true);
  await mongo.resume();
  // What it had received meanwhile is worked off; nobody has asked since, so it still counts as away.
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.is(lib.health().mongo.state, "waiting");
  const results = [];
  for (let i = 1; i < 5; i++) results.push(await outcome(writing(kit, START + i * MINUTE)));
  t.deepEqual(results, Array(4).fill({ value: undefined }));
});

test("the probe keeps no process alive", (t) => {
  const script = `const lib = require(${JSON.stringify(root)});
    const { standInKit } = require(${JSON.stringify(`${root}/__test__/support/stand-in-kit.js`)});
    const kit = standInKit();
    lib.setConfig({ CC_MONGO_CONNECTION_STRING: "mongodb://127.0.0.1:1/none", CC_MONGO_TIMEOUT_MS: 3_000 });
    lib.install(kit);
    const read = () => new lib.PersistCandleInstance("a", "1m", "b").readCandlesData(1, 0, 0);
    (async () => {
      const codes = [];
      for (let i = 0; i < 3; i++) await read().catch((error) => codes.push(error.code));
      console.log(JSON.stringify(codes));
      console.log(process.uptime());
      process.on("exit", () => console.log(process.uptime()));
    })();`;
  const child = spawnSync(process.execPath, ["-e", script], { encoding: "utf8", timeout: 60_000 });
  t.is(child.stderr, "");
  t.is(child.status, 0);
  const [codes, last, end] = child.stdout.trim().split("\n").map((line) => JSON.parse(line));
  t.deepEqual(codes, ["MONGO_UNAVAILABLE", "MONGO_UNAVAILABLE", "MONGO_UNAVAILABLE"]);
  t.true(end - last < 1, `it has ended ${end - last} s after its last call`);
});

test("MongoDB killed while lists and rows are written: what was acknowledged is there, and what failed is sent again", async (t) => {
  const mongo = await startMongo({ database: "backtest-kit", args: ["--setParameter", "syncdelay=1"] });
  const redis = await startRedis();
  t.teardown(() => Promise.all([mongo.stop(), redis.stop()]));
  const uri = mongo.urlOf("backtest-kit", { journal: "true" });
  const { kit } = setUp(t, { ...configOf({ mongo, redis }), CC_MONGO_CONNECTION_STRING: uri, CC_MONGO_TIMEOUT_MS: 1_000 });
  const list = [];
  let acknowledged = 0;
  let failed = 0;
  let stop = false;
  const load = (async () => {
    for (let n = 0; !stop; n++) {
      list.push({ id: `n-${n}`, n });
      const { error } = await outcome(kit.PersistStorageAdapter.writeStorageData(list, true));
      if (error) failed++;
      else acknowledged = list.length;
    }
  })();
  await until(() => acknowledged > 50, "some were written");
  await mongo.kill();
  await until(() => failed > 0, "a call fails");
  await mongo.start();
  const before = list.length;
  await until(() => acknowledged > before, "calls succeed again", 30_000);
  stop = true;
  await load;
  const rows = await mongo.documents("storage-items");
  t.deepEqual(rows.map(({ payload }) => payload.n).sort((a, b) => a - b).slice(0, acknowledged), list.slice(0, acknowledged).map(({ n }) => n));
});

test("what has not been sent when close() is called is refused with CLOSED once the write before it has failed; what was acknowledged is there", async (t) => {
  const { mongo, lib, kit } = await both(t, { CC_MONGO_TIMEOUT_MS: 2_000 });
  const write = (v) => outcome(kit.PersistSignalAdapter.writeSignalData({ v }, "a", "b", "c"));
  const list = (v) => outcome(kit.PersistNotificationAdapter.writeNotificationData([1, 2].map((n) => ({ id: `id-${n}`, v })), true));
  for (const call of [write, list]) t.is((await call(0)).error, undefined);
  await mongo.pause();
  // The second and third of each wait for the one before.
  const calls = [1, 2, 3].flatMap((v) => [write(v), list(v)]);
  // The kit hands them on a few promises later.
  await new Promise(setImmediate);
  await lib.close();
  const codes = (await Promise.all(calls)).map(({ error }) => error?.code);
  t.deepEqual(codes, ["MONGO_TIMEOUT", "MONGO_TIMEOUT", "CLOSED", "CLOSED", "CLOSED", "CLOSED"]);
  t.is(lib.health().mongo, null);
  await mongo.resume();
  for (const call of [write, list]) t.is((await call(9)).error, undefined);
  t.deepEqual(await kit.PersistSignalAdapter.readSignalData("a", "b", "c"), { v: 9 });
});

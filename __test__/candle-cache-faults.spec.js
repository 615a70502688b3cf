"use strict";

// The candle cache while something goes wrong or ends: MongoDB away, silent, restarted; close(); other processes and threads.

const { serial: test } = require("ava");
const { loadFor, outcome, until } = require("./support/addon.js");
const { CONTEXT, MINUTE, START, plain, plains, storeElsewhere, windowsOf } = require("./support/candles.js");
const { runChild } = require("./support/child.js");
const { startMongo } = require("./support/mongo.js");
const { startProxy } = require("./support/proxy.js");
const { startRedis } = require("./support/redis.js");

const NEVER = 86_400_000;
/** Within this a busy server that is there makes a collection with its indexes. */
const PATIENCE_MS = 2_000;
const at = (slot) => START + slot * MINUTE;
const [UNAVAILABLE, TIMEOUT, UNKNOWN] = ["MONGO_UNAVAILABLE", "MONGO_TIMEOUT", "MONGO_UNKNOWN"];

/** What becomes of a call, which may answer at once. */
const result = (call) => outcome((async () => call())());

async function servers(t) {
  const [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
  t.teardown(() => Promise.all([mongo.stop(), redis.stop()]));
  return { mongo, redis, env: { ...mongo.env, ...redis.env } };
}

/** Servers, and the package on them through a proxy that can harm the connection to MongoDB. */
async function behindProxy(t, config) {
  const { mongo, redis, env } = await servers(t);
  const proxy = await startProxy({ host: "127.0.0.1", port: mongo.port });
  t.teardown(() => proxy.stop());
  const url = `mongodb://127.0.0.1:${proxy.port}/${mongo.database}`;
  const lib = loadFor(t, { CC_MONGO_CONNECTION_STRING: url, CC_REDIS_URL: redis.url, ...config });
  return { mongo, proxy, lib, windows: windowsOf(), service: lib.ioc.candleDbService, env: { ...env, CC_MONGO_CONNECTION_STRING: url } };
}

test("while MongoDB is away what is in memory is answered, and what is missing fails; back again, nothing is taken for stored that is not", async (t) => {
  const { mongo, proxy, windows, lib } = await behindProxy(t, { CC_MONGO_TIMEOUT_MS: PATIENCE_MS });
  await windows.writeWindow(...CONTEXT, plains(0, 5));
  await proxy.refuse();
  t.deepEqual(await windows.readWindow(...CONTEXT, at(0), 5), plains(0, 5));
  for (const call of [() => windows.readWindow(...CONTEXT, at(2_000), 5), () => windows.writeWindow(...CONTEXT, plains(4, 6)), () => lib.ioc.candleDbService.create({ ...plain(9), symbol: "BTCUSDT", interval: "1m", exchangeName: "binance" })]) {
    t.is((await result(call)).error?.code, UNAVAILABLE);
  }
  await windows.writeWindow(...CONTEXT, plains(0, 5));
  await proxy.heal();
  await until(() => outcome(windows.writeWindow(...CONTEXT, plains(4, 6))).then(({ error }) => error === undefined), "writes succeed again");
  t.is(await mongo.count("candle-items"), 6);
  t.is(await windows.readWindow(...CONTEXT, at(9), 1), null);
});

test("whatever is acknowledged while MongoDB comes and goes is stored, and what is read is what is stored", async (t) => {
  const { mongo, proxy, windows } = await behindProxy(t, { CC_MONGO_TIMEOUT_MS: 300, CC_CANDLE_ABSENCE_MS: 100 });
  const acknowledged = new Set();
  let over = false;
  const work = async (start) => {
    for (let i = start; !over; i++) {
      const { error } = await outcome(windows.writeWindow(...CONTEXT, plains(i, i + 5)));
      if (!error) for (let slot = i; slot < i + 5; slot++) acknowledged.add(slot);
      const read = await result(() => windows.readWindow(...CONTEXT, at(i), 5));
      if (!error && !read.error) t.deepEqual(read.value, plains(i, i + 5));
      if (!error) continue;
      t.true([UNAVAILABLE, TIMEOUT, UNKNOWN].includes(error.code), error.code);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const workers = [0, 2_000, 2_003].map(work);
  for (const fault of ["cut", "swallow", "cut", "refuse", "cut", "swallow"]) {
    const before = acknowledged.size;
    await until(() => acknowledged.size > before + 20, "writes go on");
    await proxy[fault]();
    await new Promise((resolve) => setTimeout(resolve, 150));
    await proxy.heal();
    // What was swallowed stays lost: those connections end.
    proxy.cut();
  }
  over = true;
  await Promise.all(workers);
  const stored = new Set((await mongo.documents("candle-items")).map(({ timestamp }) => (timestamp - START) / MINUTE));
  t.deepEqual([...acknowledged].filter((slot) => !stored.has(slot)), []);
});

test("a silent MongoDB is a MONGO_TIMEOUT for what is missing, and its late work is not taken for anything", async (t) => {
  const { mongo, windows, lib } = await behindProxy(t, { CC_MONGO_TIMEOUT_MS: PATIENCE_MS });
  await storeElsewhere(mongo, 0, 10);
  t.deepEqual(await windows.readWindow(...CONTEXT, at(0), 5), plains(0, 5));
  await mongo.pause();
  const writing = outcome(windows.writeWindow(...CONTEXT, plains(100, 101)));
  const reading = result(() => windows.readWindow(...CONTEXT, at(2_000), 1));
  t.deepEqual(await windows.readWindow(...CONTEXT, at(5), 5), plains(5, 10));
  t.deepEqual([(await writing).error?.code, (await reading).error?.code], [TIMEOUT, TIMEOUT]);
  await mongo.resume();
  // The server may run the insert now. It counts as known when somebody reads it, and it is not written twice.
  await until(() => outcome(windows.writeWindow(...CONTEXT, plains(100, 101))).then(({ error }) => error === undefined), "writes succeed again");
  t.is(await mongo.count("candle-items", { timestamp: at(100) }), 1);
  t.deepEqual(await windows.readWindow(...CONTEXT, at(100), 1), plains(100, 101));
  t.true(lib.stats().candleCache.hits >= 1);
});

test("after a write whose outcome nobody knows, because its server is gone, MongoDB is known to be away", async (t) => {
  const { mongo, proxy, windows } = await behindProxy(t, { CC_MONGO_TIMEOUT_MS: 1_000 });
  await windows.writeWindow(...CONTEXT, plains(0, 1));
  proxy.swallow("down");
  const writing = outcome(windows.writeWindow(...CONTEXT, plains(1, 2)));
  await until(async () => (await mongo.count("candle-items")) === 2, "the server has it");
  await proxy.refuse();
  t.is((await writing).error?.code, UNKNOWN);
  const next = await outcome(windows.writeWindow(...CONTEXT, plains(2, 3)));
  t.is(next.error?.code, UNAVAILABLE);
  t.regex(next.error.message, /known to be away/);
  await proxy.heal();
  await until(() => outcome(windows.writeWindow(...CONTEXT, plains(1, 3))).then(({ error }) => error === undefined), "writes succeed again");
  t.is(await mongo.count("candle-items"), 3);
});

test("close() ends with calls under way answered and nothing remembered of them", async (t) => {
  const { mongo, windows, lib, service } = await behindProxy(t);
  await storeElsewhere(mongo, 0, 10);
  await windows.readWindow(...CONTEXT, at(0), 1);
  const calls = [windows.readWindow(...CONTEXT, at(2_000), 1), service.findRange(...CONTEXT, at(0), 5), windows.writeWindow(...CONTEXT, plains(50, 55))];
  await lib.close();
  const [absent, range] = await Promise.all(calls);
  t.is(absent, null);
  t.is(range.length, 5);
  t.is(await mongo.count("candle-items"), 15);
  t.like(lib.stats().candleCache, { candles: 0, blocks: 0, bytes: 0 });
  await mongo.command({ update: "candle-items", updates: [{ q: { timestamp: at(0) }, u: { $set: { close: 5 } } }] });
  t.is((await windows.readWindow(...CONTEXT, at(0), 1))[0].close, 5);
});

test("close() does not wait for a block that is fetched in the background, and neither does the next call", async (t) => {
  const { mongo, proxy, windows, lib } = await behindProxy(t, { CC_MONGO_TIMEOUT_MS: NEVER });
  await storeElsewhere(mongo, 600, 620);
  await windows.readWindow(...CONTEXT, at(600), 5);
  proxy.swallow();
  t.deepEqual(await windows.readWindow(...CONTEXT, at(601), 5), plains(601, 606));
  t.is(lib.stats().candleCache.readAheads, 1);
  await lib.close();
  await proxy.heal();
  t.deepEqual(await windows.readWindow(...CONTEXT, at(601), 5), plains(601, 606));
});

test("a block that cannot be fetched in the background fails nobody: who needs it asks for it", async (t) => {
  const { mongo, proxy, windows, lib } = await behindProxy(t, { CC_MONGO_TIMEOUT_MS: PATIENCE_MS });
  await storeElsewhere(mongo, 600, 1_100);
  await windows.readWindow(...CONTEXT, at(600), 5);
  proxy.swallow();
  t.deepEqual(await windows.readWindow(...CONTEXT, at(601), 5), plains(601, 606));
  t.is(lib.stats().candleCache.readAheads, 1);
  // It waits for the block that is on its way, and asks itself when that has failed.
  const needed = windows.readWindow(...CONTEXT, at(1_030), 5);
  await until(() => lib.stats().mongo.timeouts > 0, "the background question has failed");
  await proxy.heal();
  proxy.cut();
  const { value, error } = await result(() => needed);
  if (error) t.true([UNAVAILABLE, TIMEOUT].includes(error.code), "its own question met the same fault");
  else t.deepEqual(value, plains(1_030, 1_035));
  await until(() => result(() => windows.readWindow(...CONTEXT, at(1_030), 5)).then((read) => read.value?.length === 5), "it is read");
});

test("a process does not live on for a block that is fetched in the background", async (t) => {
  const { mongo, proxy, env } = await behindProxy(t);
  await storeElsewhere(mongo, 600, 620);
  const ended = await runChild("candle-ahead", {
    // With this deadline a process that waits for the answer never ends.
    env: { ...env, CC_MONGO_TIMEOUT_MS: String(NEVER) },
    onLine(line, child) {
      if (!line.ready) return;
      proxy.swallow();
      child.stdin.write("go\n");
    },
  });
  t.deepEqual([ended.code, ended.signal, ended.stderr], [0, null, ""]);
  t.deepEqual(ended.lines.at(-1), { candles: 5, readAheads: 1, waiting: 1 });
});

test("what another process stores is seen: by ioc's calls at once, by an adapter within a second", async (t) => {
  const { windows, service, env } = await behindProxy(t);
  t.is(await windows.readWindow(...CONTEXT, at(0), 20), null);
  t.is(await service.findRange(...CONTEXT, at(0), 20), null);
  await windows.writeWindow(...CONTEXT, plains(0, 10));
  const { lines, code, stderr } = await runChild("candle-writer", { env, args: ["5", "20"] });
  t.deepEqual([code, stderr], [0, ""]);
  t.deepEqual(lines, [{ inserted: 10, existing: 5, read: 15 }]);
  t.is((await service.findRange(...CONTEXT, at(0), 20)).length, 20);
  t.is((await service.findBySymbolIntervalTimestamp(...CONTEXT, at(19))).close, plain(19).close);
  await until(async () => (await windows.readWindow(...CONTEXT, at(0), 20)) !== null, "the adapter sees them");
  t.deepEqual(await windows.readWindow(...CONTEXT, at(0), 20), plains(0, 20));
});

test("each worker thread has a cache of its own, and sees what others store", async (t) => {
  const { env } = await behindProxy(t);
  const { lines, code, stderr } = await runChild("candle-threads", { env });
  t.deepEqual([code, stderr], [0, ""]);
  const [{ first, threads, seen }] = lines;
  t.deepEqual(first, [{ before: null, own: 50 }, { before: null, own: 50 }]);
  t.deepEqual(seen, [50, 50]);
  for (const thread of threads) {
    t.deepEqual(thread.seen, [50, 50, 50]);
    t.is(thread.stats.candles, 150);
  }
});

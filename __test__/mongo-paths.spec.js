"use strict";

// What a call costs: the operations that MongoDB executed (its own profiler) and the commands that Redis got (MONITOR).

const { serial: test } = require("ava");
const { until } = require("./support/addon.js");
const { withMongo, oursOnly, isOriginal, collections, argumentsFor, write, read, cacheKey, SAMPLE } = require("./support/mongo-peer.js");

// Candles are asked for and sent like other rows; candle-cache*.spec.js has those from memory.
const own = withMongo(test, { config: { CC_CANDLE_CACHE_MAX_BYTES: 0 } });
const ours = oursOnly(test);
const signal = collections.find((row) => row.service === "signalDbService");
const words = (commands) => commands.map(([name]) => name).filter((name) => !["CLIENT", "MULTI", "EXEC"].includes(name));

test.before(async () => {
  // Indexes, connections: what only the first call of a process does.
  for (const row of collections) await write(own.ioc, row);
});
test.beforeEach(() => own.wipe());

for (const row of collections) {
  test(`${row.service}: a hit is one find by _id`, async (t) => {
    await write(own.ioc, row);
    await read(own.ioc, row);
    const { mongo, redis } = await own.asked(() => read(own.ioc, row));
    t.deepEqual(mongo, [`find ${row.collection}`]);
    if (isOriginal) t.deepEqual(words(redis), ["GET"]);
    else t.deepEqual(redis, [], "the id comes from the near cache");
  });

  test(`${row.service}: a read without a cached id is one find, and the id is cached`, async (t) => {
    await write(own.ioc, row);
    await own.redis.command("FLUSHALL");
    const { mongo, redis } = await own.asked(() => read(own.ioc, row));
    t.deepEqual(mongo, [`find ${row.collection}`]);
    t.deepEqual(words(redis), ["GET", "SET"]);
    t.is(redis.at(-1)[1], cacheKey(row));
  });

  test(`${row.service}: a stale id costs one find more`, async (t) => {
    await write(own.ioc, row);
    await own.redis.command("SET", cacheKey(row), "000000000000000000000000");
    const { mongo } = await own.asked(() => read(own.ioc, row));
    t.deepEqual(mongo, [`find ${row.collection}`, `find ${row.collection}`]);
  });

  test(`${row.service}: one write is one findAndModify, and its id goes to the cache`, async (t) => {
    const { mongo, redis } = await own.asked(() => write(own.ioc, row));
    t.deepEqual(mongo, [`findAndModify ${row.collection}`]);
    t.deepEqual(words(redis), ["SET"]);
    t.is(redis[0][1], cacheKey(row));
  });
}

test("hasCandle with a cached id asks MongoDB nothing", async (t) => {
  const row = collections.find(({ service }) => service === "candleDbService");
  await write(own.ioc, row);
  const { mongo } = await own.asked(() => own.ioc.candleDbService.hasCandle(...argumentsFor(row.findArgs)));
  t.deepEqual(mongo, []);
});

ours("the refresh of an id that nobody has touched is left out, and one that somebody has touched heals", async (t) => {
  await write(own.ioc, signal);
  const id = String(await own.redis.command("GET", cacheKey(signal)));
  const again = await own.asked(() => write(own.ioc, signal));
  t.deepEqual([words(again.redis), again.mongo], [[], ["findAndModify signal-items"]]);
  await own.redis.command("SET", cacheKey(signal), "000000000000000000000000");
  t.is((await read(own.ioc, signal)).id, id);
  t.is(String(await own.redis.command("GET", cacheKey(signal))), id);
  // A foreign write of the same id may expire or be taken back: ours must not depend on it.
  const { invalidations } = own.lib.stats().nearCache;
  await own.redis.command("SET", cacheKey(signal), id);
  await until(() => own.lib.stats().nearCache.invalidations > invalidations, "the foreign write is announced");
  t.deepEqual(words((await own.asked(() => write(own.ioc, signal))).redis), ["SET"]);
  // What a user writes through the cache service is sent, whatever the db service knows.
  const { redis } = await own.asked(() => own.ioc.signalCacheService.setSignalId({ ...SAMPLE, id }));
  t.deepEqual(words(redis), ["SET"]);
});

ours("reads of known ids in one tick travel together", async (t) => {
  const symbols = Array.from({ length: 100 }, (_, i) => `S${i}`);
  await Promise.all(symbols.map((symbol) => write(own.ioc, signal, { symbol })));
  await Promise.all(symbols.map((symbol) => read(own.ioc, signal, { symbol })));
  let rows;
  const { mongo, redis } = await own.asked(async () => {
    rows = await Promise.all(symbols.map((symbol) => read(own.ioc, signal, { symbol })));
  });
  t.deepEqual(rows.map((row) => row.symbol), symbols);
  t.true(mongo.length <= 4, `${mongo.length} operations`);
  t.deepEqual(redis, []);
});

ours("the same row read many times in one tick is a row of its own for each caller", async (t) => {
  await write(own.ioc, signal);
  const rows = await Promise.all(Array.from({ length: 10 }, () => read(own.ioc, signal)));
  rows[0].payload.id = "changed";
  t.is(rows[1].payload.id, SAMPLE.payload.id);
  t.is(new Set(rows).size, 10);
});

ours("writes of different keys in one tick travel together, and each is there when its promise resolves", async (t) => {
  const symbols = Array.from({ length: 100 }, (_, i) => `S${i}`);
  // The profiler notes each statement of an update command; commands themselves are counted by the server.
  const updates = async () => (await own.mongo.command({ serverStatus: 1 }, { database: "admin" })).metrics.commands;
  const before = await updates();
  await Promise.all(
    symbols.map(async (symbol) => {
      t.is(await write(own.ioc, signal, { symbol, payload: { symbol } }), undefined);
      t.is(await own.mongo.count("signal-items", { "payload.symbol": symbol }), 1);
    }),
  );
  const after = await updates();
  const commands = (name) => Number(after[name].total) - Number(before[name].total);
  t.true(commands("update") + commands("findAndModify") <= 10, `${commands("update")} and ${commands("findAndModify")}`);
  const rows = await own.mongo.documents("signal-items");
  for (const row of rows) t.is(String(await own.redis.command("GET", cacheKey(signal, { symbol: row.symbol }))), row._id.toHexString());
});

ours("writes of one key in one tick are applied in the order of the calls", async (t) => {
  for (let round = 0; round < 5; round++) {
    await Promise.all(Array.from({ length: 20 }, (_, i) => write(own.ioc, signal, { payload: { i } })));
    t.is((await read(own.ioc, signal)).payload.i, 19);
    t.is(await own.mongo.count("signal-items"), 1);
  }
});

ours("one value that cannot be stored fails its own write, not those beside it", async (t) => {
  const cyclic = {};
  cyclic.self = cyclic;
  const results = await Promise.allSettled([
    write(own.ioc, signal, { symbol: "A" }),
    write(own.ioc, signal, { symbol: "B", payload: cyclic }),
    write(own.ioc, signal, { symbol: "C", payload: { huge: "x".repeat(17 * 1024 * 1024) } }),
    write(own.ioc, signal, { symbol: "D" }),
  ]);
  t.deepEqual(results.map((result) => result.status), ["fulfilled", "rejected", "rejected", "fulfilled"]);
  t.is(results[1].reason.code, "INVALID_VALUE");
  t.deepEqual((await own.mongo.documents("signal-items")).map((row) => row.symbol).sort(), ["A", "D"]);
});

ours("a payload that is changed after the call was made is stored as it was", async (t) => {
  const payload = { list: [1] };
  const writing = write(own.ioc, signal, { payload });
  payload.list.push(2);
  payload.late = true;
  await writing;
  t.deepEqual((await read(own.ioc, signal)).payload, { list: [1] });
});

test("a write is seen by the next read of everybody", async (t) => {
  for (let i = 0; i < 50; i++) {
    await write(own.ioc, signal, { payload: { i } });
    const [mine, [stored]] = await Promise.all([read(own.ioc, signal), own.mongo.documents("signal-items")]);
    t.deepEqual([mine.payload.i, stored.payload.i], [i, i]);
  }
});

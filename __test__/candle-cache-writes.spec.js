"use strict";

// Writes of candles through the candle cache, on a real server: what is sent, what is waited for, what is remembered.

const { serial: test } = require("ava");
const { loadFor, outcome, until } = require("./support/addon.js");
const { CONTEXT, MINUTE, NAMES, START, document, dto, dtos, operations, plain, plains, storeElsewhere, windowsOf } = require("./support/candles.js");
const { storedDocuments } = require("./support/golden-documents.js");
const { withMongo } = require("./support/mongo-peer.js");
const { startProxy } = require("./support/proxy.js");
const { chance, anySeed } = require("./support/random.js");

const own = withMongo(test);
const at = (slot) => START + slot * MINUTE;
const stats = () => own.lib.stats().candleCache;
const service = () => own.ioc.candleDbService;
const asked = (action) => operations(own, action);
const [INSERT, FIND, MODIFY] = ["insert candle-items", "find candle-items", "findAndModify candle-items"];
const idKeys = async () => (await own.redis.command("KEYS", "candle_cache:*")).map(String).sort();

// Later copies of the package have windows of their own.
test.before(() => (own.windows = windowsOf()));
test.beforeEach(() => own.wipe());

const copyFor = (t, config) => {
  const lib = loadFor(t, { CC_MONGO_CONNECTION_STRING: own.mongo.url, CC_REDIS_URL: own.redis.url, ...config });
  return { lib, windows: windowsOf(), service: lib.ioc.candleDbService };
};

test("windows that overlap are written in one command each, with nothing but the new candle, and no question before it", async (t) => {
  await own.windows.writeWindow(...CONTEXT, plains(0, 5));
  for (let i = 1; i < 10; i++) {
    const before = stats().skippedWrites;
    t.deepEqual(await asked(() => own.windows.writeWindow(...CONTEXT, plains(i, i + 5))), [INSERT]);
    t.is(stats().skippedWrites - before, 4);
  }
  t.is(await own.mongo.count("candle-items"), 14);
});

test("a thousand new candles of the kit are one command", async (t) => {
  await own.windows.writeWindow(...CONTEXT, plains(0, 1));
  t.deepEqual(await asked(() => own.windows.writeWindow(...CONTEXT, plains(1, 1_001))), [INSERT]);
  t.deepEqual(await own.windows.readWindow(...CONTEXT, at(0), 1_000), plains(0, 1_000));
});

test("candles that are known to be there are not sent again, by whatever call they became known", async (t) => {
  const ways = {
    "an adapter's write": () => own.windows.writeWindow(...CONTEXT, plains(0, 5)),
    "createMany of full rows": () => service().createMany(dtos(0, 5)),
    "createMany of a context": () => service().createMany(...CONTEXT, plains(0, 5)),
    "a window that was read": async () => (await storeElsewhere(own.mongo, 0, 5), own.windows.readWindow(...CONTEXT, at(0), 5)),
    "a range that was read": async () => (await storeElsewhere(own.mongo, 0, 5), service().findRange(...CONTEXT, at(0), 5)),
    "columns that were read": async () => (await storeElsewhere(own.mongo, 0, 5), service().findColumns(...CONTEXT, at(0), 5)),
    "one by one": async () => { for (let i = 0; i < 5; i++) await service().create(dto(i)); },
  };
  for (const [way, make] of Object.entries(ways)) {
    await own.wipe();
    await make();
    t.deepEqual(await asked(() => own.windows.writeWindow(...CONTEXT, plains(0, 5))), [], way);
  }
});

test("createMany of a context stores what createMany of full rows stores, and says how many were new", async (t) => {
  t.deepEqual(await service().createMany(dtos(0, 5)), { inserted: 5, existing: 0 });
  const full = await storedDocuments(own.mongo, "candle-items");
  await own.wipe();
  t.deepEqual(await service().createMany(...CONTEXT, plains(0, 5)), { inserted: 5, existing: 0 });
  t.deepEqual((await storedDocuments(own.mongo, "candle-items")).map((one) => JSON.stringify(one)), full.map((one) => JSON.stringify(one)));
  t.deepEqual(await service().createMany(...CONTEXT, plains(3, 8)), { inserted: 3, existing: 2 });
  t.deepEqual(await service().createMany(...CONTEXT, []), { inserted: 0, existing: 0 });
  t.deepEqual(await service().createMany(...CONTEXT, [{ ...plain(20), symbol: "another", timestamp: String(at(20)) }]), { inserted: 1, existing: 0 });
  t.is((await service().findBySymbolIntervalTimestamp(...CONTEXT, at(20))).symbol, "BTCUSDT");
});

test("createMany of a context refuses what is no list of candles, and what is no context", async (t) => {
  for (const wrong of [[...CONTEXT], [...CONTEXT, {}], [...CONTEXT, [null]], [...CONTEXT, [5]], ["BTCUSDT", "1m", null, []], ["BTCUSDT", "1m", undefined, plains(0, 1)], [null, "1m", "x", plains(0, 1)], [...CONTEXT, [{ ...plain(0), open: "abc" }]]]) {
    t.regex(String((await outcome(service().createMany(...wrong))).error?.code), /^INVALID_/, JSON.stringify(wrong));
  }
  t.is(await own.mongo.count("candle-items"), 0);
});

test("an adapter stores what the calls of ioc store, byte for byte", async (t) => {
  const rows = [plain(0), { ...plain(1), open: 67000, high: 2147483648, low: -0, close: 0.5 }, { ...plain(2), volume: undefined }, { ...plain(3), extra: 1 }];
  for (const row of rows) await service().create({ ...NAMES, ...row });
  const lines = async () => (await storedDocuments(own.mongo, "candle-items")).map((one) => JSON.stringify(one)).sort();
  const one = await lines();
  await own.wipe();
  for (const row of rows) await own.windows.writeWindow(...CONTEXT, [row]);
  t.deepEqual(await lines(), one);
  t.is((await own.windows.readWindow(...CONTEXT, at(1), 1))[0].low, -0);
});

test("an adapter leaves out candles that are not over at the moment of the call, and ioc stores what it is given", async (t) => {
  const now = Math.floor(Date.now() / MINUTE) * MINUTE;
  const candles = [-2, -1, 0, 1].map((i) => ({ ...plain(0), timestamp: now + i * MINUTE }));
  await own.windows.writeWindow(...CONTEXT, candles);
  const stored = (await own.mongo.documents("candle-items", { sort: { timestamp: 1 } })).map(({ timestamp }) => timestamp - now);
  t.deepEqual(stored.slice(0, 2), [-2 * MINUTE, -MINUTE]);
  // A minute may have ended since the test looked at the clock.
  t.true(stored.length <= 3);
  await service().createMany(...CONTEXT, candles);
  t.is(await own.mongo.count("candle-items"), 4);
});

test("a candle that stands twice in a call is stored as it came first", async (t) => {
  await own.windows.writeWindow(...CONTEXT, [plain(0), plain(0, 7), plain(1)]);
  t.is(await own.mongo.count("candle-items"), 2);
  t.deepEqual(await own.windows.readWindow(...CONTEXT, at(0), 2), plains(0, 2));
});

test("candles that somebody else has stored first stay, and are read as they are", async (t) => {
  await storeElsewhere(own.mongo, 0, 5);
  const mine = plains(0, 8, 100);
  t.deepEqual(await service().createMany(...CONTEXT, mine), { inserted: 3, existing: 5 });
  t.deepEqual(await own.windows.readWindow(...CONTEXT, at(0), 8), [...plains(0, 5), ...mine.slice(5)]);
  await own.wipe();
  await storeElsewhere(own.mongo, 0, 5);
  await own.windows.writeWindow(...CONTEXT, mine);
  t.deepEqual(await own.windows.readWindow(...CONTEXT, at(0), 8), [...plains(0, 5), ...mine.slice(5)]);
  await own.wipe();
  await storeElsewhere(own.mongo, 0, 1);
  t.is((await service().create(dto(0, { close: 1 }))).close, plain(0).close);
  t.is((await service().findBySymbolIntervalTimestamp(...CONTEXT, at(0))).close, plain(0).close);
});

test("create of a candle that is known sends nothing, and returns the row that is stored", async (t) => {
  const first = await service().create(dto(0));
  const { mongo, redis } = await own.asked(async () => {
    t.deepEqual(await service().create(dto(0, { close: 1 })), first);
    t.deepEqual(await service().create({ ...dto(0), exchangeName: "binance" }), first);
  });
  t.deepEqual([mongo, redis], [[], []]);
  // In a block of which nobody has asked for rows.
  await own.windows.writeWindow(...CONTEXT, plains(5_000, 5_001));
  t.deepEqual(await asked(async () => t.is((await service().create(dto(5_000))).close, plain(5_000).close)), [FIND], "its id is not known: it is read, not written");
  await own.mongo.command({ delete: "candle-items", deletes: [{ q: {}, limit: 0 }] });
  await own.windows.readWindow(...CONTEXT, at(20), 1);
  service().forget();
  t.deepEqual(await asked(() => service().create(dto(0))), [MODIFY], "it was forgotten");
});

test("create of a candle that cannot be stored is refused, also where the candle is known", async (t) => {
  await service().create(dto(0));
  for (const wrong of [{ open: "abc" }, { close: NaN }]) t.is((await outcome(service().create(dto(0, wrong)))).error?.code, "INVALID_VALUE");
  for (const wrong of [null, 5, "text"]) t.is((await outcome(service().create(wrong))).error?.code, "INVALID_VALUE");
});

test("candles without an exchange are those of ccxt_binance, known or not", async (t) => {
  const { exchangeName, ...bare } = dto(0);
  t.is(exchangeName, "binance");
  const first = await service().create(bare);
  t.is(first.exchangeName, "ccxt_binance");
  t.deepEqual(await asked(async () => t.deepEqual(await service().create(bare), first)), []);
  t.deepEqual(await asked(async () => t.deepEqual(await service().findBySymbolIntervalTimestamp("BTCUSDT", "1m", at(0)), first)), []);
  t.deepEqual(await service().createMany([bare, { ...bare, timestamp: at(1) }]), { inserted: 1, existing: 1 });
});

test("an adapter writes no ids to Redis unless CC_CANDLE_IDS says so, and ioc's calls write them", async (t) => {
  const keys = (from, to) => Array.from({ length: to - from }, (_, i) => `candle_cache:binance:BTCUSDT:1m:${at(from + i)}`);
  await own.windows.writeWindow(...CONTEXT, plains(0, 5));
  t.deepEqual(await idKeys(), []);
  await service().createMany(...CONTEXT, plains(5, 8));
  await service().create(dto(8));
  t.deepEqual(await idKeys(), keys(5, 9));
  await service().createMany(...CONTEXT, plains(0, 9));
  t.deepEqual(await idKeys(), keys(0, 9), "of those that were there too");
  await own.wipe();
  const { windows } = copyFor(t, { CC_CANDLE_IDS: "on" });
  await windows.writeWindow(...CONTEXT, plains(0, 3));
  await windows.writeWindow(...CONTEXT, plains(1, 5));
  t.deepEqual(await idKeys(), keys(0, 5));
  const [{ _id }] = await own.mongo.documents("candle-items", { sort: { timestamp: 1 } });
  t.is(String(await own.redis.command("GET", keys(0, 1)[0])), _id.toHexString());
});

test("createMany of known candles writes their ids again where Redis has lost them", async (t) => {
  await service().createMany(dtos(0, 3));
  await own.redis.command("FLUSHALL");
  t.deepEqual(await asked(() => service().createMany(dtos(0, 3))), []);
  t.is((await idKeys()).length, 3);
});

test("what another call is writing is left out and waited for, and each candle is sent once", async (t) => {
  const before = stats()?.skippedWrites ?? 0;
  const operations = await asked(async () => {
    const results = await Promise.all([service().createMany(...CONTEXT, plains(0, 10)), service().createMany(...CONTEXT, plains(5, 15)), own.windows.writeWindow(...CONTEXT, plains(0, 15)), service().create(dto(20))]);
    t.deepEqual(results.slice(0, 2), [{ inserted: 10, existing: 0 }, { inserted: 5, existing: 5 }]);
  });
  t.deepEqual(operations.sort(), [MODIFY, INSERT, INSERT].sort());
  t.is(stats().skippedWrites - before, 20);
  t.is(await own.mongo.count("candle-items"), 16);
});

test("many calls at once over the same candles store each candle once, and count it once", async (t) => {
  const random = chance(anySeed());
  const seen = new Set();
  let inserted = 0;
  for (let round = 0; round < 10; round++) {
    const calls = Array.from({ length: 12 }, async () => {
      const from = random.below(200);
      const candles = plains(from, from + 1 + random.below(30));
      candles.forEach(({ timestamp }) => seen.add(timestamp));
      if (random.maybe(0.2)) service().forget();
      if (random.maybe(0.3)) return void await own.windows.writeWindow(...CONTEXT, candles);
      if (random.maybe(0.1)) await own.windows.readWindow(...CONTEXT, candles[0].timestamp, 5);
      inserted += (await service().createMany(...CONTEXT, candles)).inserted;
    });
    await Promise.all(calls);
    const stored = await own.mongo.count("candle-items");
    t.is(stored, seen.size);
    for (const timestamp of random.shuffled([...seen]).slice(0, 20)) t.not(await own.windows.readWindow(...CONTEXT, timestamp, 1), null);
  }
  t.true(inserted <= seen.size);
});

test("a call that leaves out what another one is writing fails with it, and nothing of it is known", async (t) => {
  const proxy = await startProxy({ host: "127.0.0.1", port: own.mongo.port });
  t.teardown(() => proxy.stop());
  const { lib, windows, service: slow } = copyFor(t, { CC_MONGO_CONNECTION_STRING: `mongodb://127.0.0.1:${proxy.port}/${own.mongo.database}`, CC_MONGO_TIMEOUT_MS: 2_000 });
  await windows.writeWindow(...CONTEXT, plains(0, 1));
  proxy.swallow();
  const failed = await Promise.all([slow.createMany(...CONTEXT, plains(10, 12)), windows.writeWindow(...CONTEXT, plains(11, 12)), slow.create(dto(20)), windows.writeWindow(...CONTEXT, [plain(20)])].map(outcome));
  t.deepEqual(failed.map(({ error }) => error?.code), Array(4).fill("MONGO_TIMEOUT"));
  t.is(failed[0].error, failed[1].error);
  t.is(failed[2].error, failed[3].error);
  await proxy.heal();
  // What was swallowed stays lost: those connections end.
  proxy.cut();
  const before = lib.stats().candleCache.skippedWrites;
  await until(() => outcome(windows.writeWindow(...CONTEXT, [...plains(10, 12), plain(20)])).then(({ error }) => error === undefined), "writes succeed again");
  t.is(lib.stats().candleCache.skippedWrites, before, "nothing was taken for stored");
  t.deepEqual(await windows.readWindow(...CONTEXT, at(10), 2), plains(10, 12));
});

test("candles off the grid, of unknown intervals and with odd values are stored as given, and nothing is remembered of them", async (t) => {
  const odd = [dto(0, { timestamp: at(0) + 500 }), dto(1, { interval: "7m" }), dto(2, { timestamp: at(2) + 0.5 })];
  t.deepEqual(await service().createMany(odd), { inserted: 3, existing: 0 });
  await service().createMany([dto(3, { open: "1.5" }), dto(4, { timestamp: new Date(at(4)) })]);
  await service().create(dto(5, { timestamp: at(5) + 1 }));
  t.like(stats(), { candles: 0 });
  t.deepEqual(await service().createMany(odd), { inserted: 0, existing: 3 });
  t.is(await own.mongo.count("candle-items"), 6);
  t.is((await service().findBySymbolIntervalTimestamp(...CONTEXT, at(3))).open, 1.5);
  t.is((await service().findBySymbolIntervalTimestamp(...CONTEXT, at(4))).close, plain(4).close);
});

test("a write that is under way when rows are changed is not remembered", async (t) => {
  for (let i = 0; i < 20; i++) {
    const timestamp = at(100 + i);
    const writing = service().createMany(...CONTEXT, [plain(100 + i)]);
    const changing = own.crud("candle-items").update("0".repeat(24), { close: 1 }).catch(() => {});
    await Promise.all([writing, changing]);
    await own.mongo.command({ update: "candle-items", updates: [{ q: { timestamp }, u: { $set: { close: i } } }] });
    t.is((await own.windows.readWindow(...CONTEXT, timestamp, 1))[0].close, i);
  }
});

test("a large createMany is known when it is over, and one that is known sends nothing", async (t) => {
  const month = dtos(0, 12_000);
  t.deepEqual(await service().createMany(month), { inserted: 12_000, existing: 0 });
  t.deepEqual(await asked(async () => t.deepEqual(await service().createMany(month), { inserted: 0, existing: 12_000 })), []);
  t.is((await service().findRange(...CONTEXT, at(0), 12_000)).length, 12_000);
  t.deepEqual(document(0).close, plain(0).close);
});

"use strict";

// Reads of candles through the candle cache, on a real server.

const { Decimal128, Long } = require("bson");
const mongoose = require("mongoose");
const { serial: test } = require("ava");
const { loadFor, outcome, recorder, until } = require("./support/addon.js");
const { CONTEXT, MINUTE, START, document, dto, operations, plain, plains, storeElsewhere, windowsOf } = require("./support/candles.js");
const { withMongo } = require("./support/mongo-peer.js");
const { chance, anySeed } = require("./support/random.js");

const own = withMongo(test);
const BLOCK = 1_024;
const at = (slot) => START + slot * MINUTE;
const stats = () => own.lib.stats().candleCache;
const service = () => own.ioc.candleDbService;
const asked = (action) => operations(own, action);
const FIND = "find candle-items";

// Later copies of the package have windows of their own.
test.before(() => (own.windows = windowsOf()));
test.beforeEach(() => own.wipe());

/** A copy of the package with a configuration of its own, on the same servers. */
const copyFor = (t, config) => {
  const lib = loadFor(t, { CC_MONGO_CONNECTION_STRING: own.mongo.url, CC_REDIS_URL: own.redis.url, ...config });
  return { lib, windows: windowsOf(), service: lib.ioc.candleDbService };
};

test("stats() tells of the cache once a candle was asked for, and null where it is off", async (t) => {
  const { lib } = copyFor(t, {});
  t.is(lib.stats().candleCache, null);
  await lib.ioc.candleDbService.findRange(...CONTEXT, at(0), 1);
  t.like(lib.stats().candleCache, { hits: 0, misses: 1, queries: 1, candles: 0 });
  const { lib: off } = copyFor(t, { CC_CANDLE_CACHE_MAX_BYTES: 0 });
  await off.ioc.candleDbService.findRange(...CONTEXT, at(0), 1);
  t.is(off.stats().candleCache, null);
});

test("what one kind of call has read, all kinds are answered from memory", async (t) => {
  await storeElsewhere(own.mongo, 0, 20);
  const windows = own.windows;
  t.deepEqual(await asked(() => service().findRange(...CONTEXT, at(0), 5)), [FIND]);
  const none = await asked(async () => {
    t.deepEqual(await windows.readWindow(...CONTEXT, at(3), 4), plains(3, 7));
    t.deepEqual((await service().findRange(...CONTEXT, at(3), 4)).map(({ open }) => open), plains(3, 7).map(({ open }) => open));
    t.is((await service().findBySymbolIntervalTimestamp(...CONTEXT, at(7))).close, plain(7).close);
    t.true(await service().hasCandle(...CONTEXT, at(8)));
    t.deepEqual([...(await service().findColumns(...CONTEXT, at(10), 10)).volume], plains(10, 20).map(({ volume }) => volume));
    t.is((await service().findPresent(...CONTEXT, at(0), 20)).timestamp.length, 20);
  });
  t.deepEqual(none, []);
  t.like(stats(), { candles: 20 });
});

test("a window in memory is returned itself, and not as a promise, once the event loop has had its turn", async (t) => {
  await storeElsewhere(own.mongo, 0, 5);
  t.true(own.windows.readWindow(...CONTEXT, at(0), 5) instanceof Promise);
  await until(() => stats().candles === 5, "it is read");
  await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(own.windows.readWindow(...CONTEXT, at(0), 5), plains(0, 5));
});

test("windows and columns read numbers alone; the first call that wants rows reads ids and dates, in one query a block", async (t) => {
  await storeElsewhere(own.mongo, 0, 5);
  await own.windows.readWindow(...CONTEXT, at(0), 5);
  const before = stats().bytes;
  t.deepEqual(await asked(() => service().findBySymbolIntervalTimestamp(...CONTEXT, at(2))), [FIND]);
  t.true(stats().bytes > before);
  t.deepEqual(await asked(() => service().findRange(...CONTEXT, at(0), 5)), []);
});

test("rows from memory are those that the server gives, field by field and in the same order", async (t) => {
  await storeElsewhere(own.mongo, 0, 3);
  const { service: plainService } = copyFor(t, { CC_CANDLE_CACHE_MAX_BYTES: 0 });
  const expected = await plainService.findRange(...CONTEXT, at(0), 3);
  for (const again of [false, true]) {
    const rows = await service().findRange(...CONTEXT, at(0), 3);
    t.deepEqual(rows, expected, again ? "from memory" : "as they were read");
    t.deepEqual(rows.map((row) => Object.keys(row).join()), expected.map((row) => Object.keys(row).join()));
    t.deepEqual(await service().findBySymbolIntervalTimestamp(...CONTEXT, at(1)), expected[1]);
  }
  t.deepEqual(await own.crud("candle-items").findById(expected[1].id), expected[1]);
});

test("what a call has returned may be changed by who has it", async (t) => {
  await storeElsewhere(own.mongo, 0, 2);
  const [row] = await service().findRange(...CONTEXT, at(0), 2);
  const { close } = row;
  row.close = 0;
  row._id.id.fill(0);
  row.createDate.setTime(0);
  const columns = await service().findColumns(...CONTEXT, at(0), 2);
  columns.close.fill(0);
  (await own.windows.readWindow(...CONTEXT, at(0), 2))[0].close = 0;
  const [again] = await service().findRange(...CONTEXT, at(0), 2);
  t.is(again.close, close);
  t.is(again._id.toHexString(), row.id);
  t.is(again.createDate.getTime(), START);
  t.is((await service().findColumns(...CONTEXT, at(0), 2)).close[0], close);
});

test("a month that nobody has read costs one query a block", async (t) => {
  const month = 31 * 1_440;
  await storeElsewhere(own.mongo, 0, month);
  const queries = await asked(async () => {
    const columns = await service().findColumns(...CONTEXT, at(0), month);
    t.is(columns.close.length, month);
    t.deepEqual([columns.timestamp.at(-1), columns.close.at(-1)], [at(month - 1), plain(month - 1).close]);
  });
  t.deepEqual(queries, Array(Math.ceil(month / BLOCK)).fill(FIND));
  t.like(stats(), { candles: month });
  t.true(stats().bytes <= 2_500_000);
});

test("a candle that is missing makes null of a window, whoever asks, and findPresent gives the others", async (t) => {
  await storeElsewhere(own.mongo, 0, 3);
  await storeElsewhere(own.mongo, 4, 6);
  t.is(await own.windows.readWindow(...CONTEXT, at(0), 6), null);
  t.is(await service().findRange(...CONTEXT, at(0), 6), null);
  t.is(await service().findColumns(...CONTEXT, at(0), 6), null);
  t.is(await service().findBySymbolIntervalTimestamp(...CONTEXT, at(3)), null);
  t.false(await service().hasCandle(...CONTEXT, at(3)));
  const present = await service().findPresent(...CONTEXT, at(0), 6);
  t.deepEqual([...present.timestamp], [0, 1, 2, 4, 5].map(at));
  t.deepEqual([...present.high], [0, 1, 2, 4, 5].map((slot) => plain(slot).high));
  t.deepEqual([...(await service().findPresent(...CONTEXT, at(6), 5)).timestamp], []);
});

test("that a candle is missing is never remembered for calls of ioc, and for those nothing that is held is asked for again", async (t) => {
  await storeElsewhere(own.mongo, 0, 3);
  t.is(await service().findRange(...CONTEXT, at(0), 4), null);
  await storeElsewhere(own.mongo, 3, 4);
  t.is((await service().findRange(...CONTEXT, at(0), 4)).length, 4);
  t.is(await service().findBySymbolIntervalTimestamp(...CONTEXT, at(4)), null);
  await storeElsewhere(own.mongo, 4, 5);
  t.is((await service().findBySymbolIntervalTimestamp(...CONTEXT, at(4))).close, plain(4).close);
  t.is((await service().findPresent(...CONTEXT, at(0), 8)).close.length, 5);
});

test("that a candle is missing is remembered for an adapter for a second at the most, and then it is asked for", async (t) => {
  const windows = own.windows;
  t.is(await windows.readWindow(...CONTEXT, at(0), 5), null);
  const started = performance.now();
  await storeElsewhere(own.mongo, 0, 1_000);
  const none = await asked(async () => t.is(await windows.readWindow(...CONTEXT, at(0), 5), null));
  // The absence of a candle is a fact of the past; so is what this test saw, unless it was held up.
  if (performance.now() - started < 900) t.deepEqual(none, []);
  await until(async () => (await windows.readWindow(...CONTEXT, at(0), 5)) !== null, "the candles of the other process are seen");
  t.true(performance.now() - started < 5_000);
  t.deepEqual(await windows.readWindow(...CONTEXT, at(3), 900), plains(3, 903));
});

test("CC_CANDLE_ABSENCE_MS=0 remembers no absence", async (t) => {
  const { windows } = copyFor(t, { CC_CANDLE_ABSENCE_MS: 0 });
  t.is(await windows.readWindow(...CONTEXT, at(0), 5), null);
  await storeElsewhere(own.mongo, 0, 5);
  t.deepEqual(await windows.readWindow(...CONTEXT, at(0), 5), plains(0, 5));
});

test("absence of a candle of the last two minutes is not remembered", async (t) => {
  const windows = own.windows;
  const now = Math.floor(Date.now() / MINUTE) * MINUTE - MINUTE;
  t.is(await windows.readWindow(...CONTEXT, now, 1), null);
  await own.mongo.insert("candle-items", [document(0, { timestamp: now })]);
  t.is((await windows.readWindow(...CONTEXT, now, 1))[0].timestamp, now);
});

test("what this process writes it reads at once, although it was missing a moment ago", async (t) => {
  const windows = own.windows;
  for (const [slot, write] of [
    [0, () => windows.writeWindow(...CONTEXT, plains(0, 5))],
    [10, () => service().createMany(plains(10, 15).map((candle) => ({ ...dto(0), ...candle })))],
    [20, async () => { for (let i = 20; i < 25; i++) await service().create(dto(i)); }],
    [30, async () => { for (let i = 30; i < 35; i++) await new own.lib.CandleDbService().create(dto(i)); }],
    [40, async () => { for (let i = 40; i < 45; i++) await own.crud("candle-items").create(dto(i)); }],
    [50, () => service().createMany(plains(50, 55).map((candle) => ({ ...dto(0), ...candle, timestamp: String(candle.timestamp) })))],
  ]) {
    t.is(await windows.readWindow(...CONTEXT, at(slot), 5), null);
    await write();
    t.deepEqual(await windows.readWindow(...CONTEXT, at(slot), 5), plains(slot, slot + 5));
  }
});

test("requests that are not on the grid go past the cache, and are answered as without it", async (t) => {
  await storeElsewhere(own.mongo, 0, 5);
  await own.mongo.insert("candle-items", [document(0, { timestamp: at(0) + 500 }), document(1, { timestamp: at(1) + 500 }), document(0, { interval: "7m" })]);
  const before = stats();
  t.is((await service().findBySymbolIntervalTimestamp(...CONTEXT, at(0) + 500)).timestamp, at(0) + 500);
  t.is(await service().findBySymbolIntervalTimestamp(...CONTEXT, at(0) + 0.5), null);
  t.is((await service().findBySymbolIntervalTimestamp("BTCUSDT", "7m", "binance", at(0))).interval, "7m");
  t.deepEqual((await service().findRange(...CONTEXT, at(0) + 500, 2)).map(({ timestamp }) => timestamp), [at(0) + 500, at(1) + 500]);
  t.deepEqual([...(await service().findColumns(...CONTEXT, at(0) + 500, 2)).timestamp], [at(0) + 500, at(1) + 500]);
  t.deepEqual([...(await service().findPresent(...CONTEXT, at(0) + 500, 9)).close], [plain(0).close, plain(1).close]);
  t.deepEqual((await own.windows.readWindow(...CONTEXT, at(0) + 500, 2)).map(({ timestamp }) => timestamp), [at(0) + 500, at(1) + 500]);
  t.deepEqual(stats(), before);
  for (const call of ["findRange", "findColumns", "findPresent"]) {
    for (const wrong of [["BTCUSDT", "7m", "binance", at(0), 1], [...CONTEXT, "noon", 1], [...CONTEXT, at(0), -1], [...CONTEXT, at(0), 1.5], [...CONTEXT, at(0), 1_000_001], ["BTCUSDT", "1m", null, at(0), 1]]) {
      t.regex(String((await outcome(service()[call](...wrong))).error?.code), /^INVALID_/, `${call} ${wrong}`);
    }
    t.is((await service()[call](...CONTEXT, at(0), 0)).length ?? 0, 0);
  }
});

test("rows that columns do not hold are read from the server each time, as they are, and their neighbours from memory", async (t) => {
  const odd = [{ open: "60000.5" }, { close: null }, { volume: Decimal128.fromString("1.5") }, { volume: undefined }, { high: Long.fromNumber(7) }];
  await storeElsewhere(own.mongo, 0, 5, (slot) => odd[slot]);
  await storeElsewhere(own.mongo, 5, 10);
  const { service: plainService } = copyFor(t, { CC_CANDLE_CACHE_MAX_BYTES: 0 });
  const expected = await plainService.findRange(...CONTEXT, at(0), 10);
  for (let round = 0; round < 2; round++) {
    t.deepEqual(await service().findRange(...CONTEXT, at(0), 10), expected);
    t.deepEqual(await service().findBySymbolIntervalTimestamp(...CONTEXT, at(0)), expected[0]);
    t.is((await own.windows.readWindow(...CONTEXT, at(0), 10))[0].open, "60000.5");
    t.true(await service().hasCandle(...CONTEXT, at(1)));
  }
  t.deepEqual(await asked(() => service().findRange(...CONTEXT, at(5), 5)), []);
  t.deepEqual(await asked(() => service().findRange(...CONTEXT, at(4), 5)), [FIND]);
  // Read from the server, by somebody who corrected it.
  await own.mongo.command({ update: "candle-items", updates: [{ q: { timestamp: at(0) }, u: { $set: { open: "7" } } }] });
  t.is((await service().findBySymbolIntervalTimestamp(...CONTEXT, at(0))).open, "7");
});

test("columns of numbers hold what has a number, NaN where there is none, and refuse text by its field", async (t) => {
  const odd = [{ close: null }, { volume: undefined }, { high: Long.fromNumber(7) }];
  await storeElsewhere(own.mongo, 0, 3, (slot) => odd[slot]);
  await storeElsewhere(own.mongo, 4, 5, { low: "12" });
  const columns = await service().findColumns(...CONTEXT, at(0), 3);
  t.deepEqual([columns.close[0], columns.volume[1], columns.high[2], columns.close[1]], [NaN, NaN, 7, plain(1).close]);
  t.deepEqual([...(await service().findPresent(...CONTEXT, at(0), 4)).timestamp], [at(0), at(1), at(2)]);
  t.is(await service().findColumns(...CONTEXT, at(0), 4), null);
  for (const call of ["findColumns", "findPresent"]) {
    const { error } = await outcome(service()[call](...CONTEXT, at(4), 1));
    t.is(error?.code, "INVALID_VALUE");
    t.regex(error.message, /low/);
  }
});

test("rows of other layouts give their numbers from memory, and themselves from the server", async (t) => {
  const { exchangeName, ...older } = document(0);
  await own.mongo.insert("candle-items", [{ ...older, exchangeName }, { ...document(1), extra: 1 }, { ...document(2), _id: "mine" }]);
  t.deepEqual(await own.windows.readWindow(...CONTEXT, at(0), 3), plains(0, 3));
  t.deepEqual(await asked(() => own.windows.readWindow(...CONTEXT, at(0), 3)), []);
  for (let round = 0; round < 2; round++) {
    const rows = await service().findRange(...CONTEXT, at(0), 3);
    t.deepEqual(rows.map(({ _id, extra }) => [String(_id), extra]).slice(1), [[String(rows[1]._id), 1], ["mine", undefined]]);
    t.is((await service().findBySymbolIntervalTimestamp(...CONTEXT, at(1))).extra, 1);
  }
});

test("of two rows at one moment neither is remembered", async (t) => {
  const { mongo } = own;
  await mongo.command({ create: "candle-items" }, { database: "twice" });
  await mongo.insert("candle-items", [document(0), document(1), document(1, { close: 5 })], "twice");
  const { windows, service: twice } = copyFor(t, { CC_MONGO_CONNECTION_STRING: mongo.urlOf("twice") });
  t.deepEqual(await windows.readWindow(...CONTEXT, at(0), 1), plains(0, 1));
  await windows.readWindow(...CONTEXT, at(1), 1);
  await mongo.command({ delete: "candle-items", deletes: [{ q: { close: plain(1).close }, limit: 1 }] }, { database: "twice" });
  t.is((await windows.readWindow(...CONTEXT, at(1), 1))[0].close, 5);
  t.is((await twice.findBySymbolIntervalTimestamp(...CONTEXT, at(1))).close, 5);
});

test("names are strings that are compared: symbols with colons, and prototypes' names, are symbols", async (t) => {
  const names = [["BTC/USDT:USDT", "1m", "x"], ["BTC/USDT", "1m", "USDT:x"], ["__proto__", "1m", "constructor"], ["", "1m", "x"]];
  for (const [i, [symbol, interval, exchangeName]] of names.entries()) await own.mongo.insert("candle-items", [document(i, { symbol, interval, exchangeName, timestamp: at(0) })]);
  for (let round = 0; round < 2; round++) {
    for (const [i, context] of names.entries()) t.is((await own.windows.readWindow(...context, at(0), 1))?.[0].open, plain(i).open, String(context));
  }
});

test("update and forget are seen by the next read, and close() too", async (t) => {
  await storeElsewhere(own.mongo, 0, 3);
  const [row] = await service().findRange(...CONTEXT, at(0), 3);
  const read = async () => (await own.windows.readWindow(...CONTEXT, at(0), 3))?.[0].close ?? null;
  await service().update(row.id, { close: 1 });
  t.is(await read(), 1);
  await own.crud("candle-items").update(row.id, { close: 2 });
  t.is(await read(), 2);
  const correct = (close) => own.mongo.command({ update: "candle-items", updates: [{ q: { timestamp: at(0) }, u: { $set: { close } } }] });
  await correct(3);
  t.is(await read(), 2, "a correction of somebody else's is not heard of");
  service().forget("another symbol");
  t.is(await read(), 2);
  service().forget("BTCUSDT", undefined, "binance");
  t.is(await read(), 3);
  await correct(4);
  own.windows.empty({ symbol: "BTCUSDT", interval: "1m", exchangeName: "binance" });
  t.is(await read(), 4);
  await correct(5);
  await own.lib.close();
  t.is(await read(), 5);
  t.is((await service().findBySymbolIntervalTimestamp(...CONTEXT, at(0))).close, 5);
});

test("a change through BaseCRUD of a mongoose model of one's own is seen by the next read", async (t) => {
  await storeElsewhere(own.mongo, 0, 2);
  const connection = await mongoose.createConnection(own.mongo.url).asPromise();
  t.teardown(() => connection.close());
  const numbers = Object.fromEntries(["timestamp", "open", "high", "low", "close", "volume"].map((name) => [name, Number]));
  const schema = new mongoose.Schema({ symbol: String, interval: String, exchangeName: String, ...numbers });
  const crud = new own.lib.BaseCRUD(connection.model("candle-items", schema));
  const [row] = await service().findRange(...CONTEXT, at(0), 2);
  await crud.update(row.id, { close: 7 });
  t.is((await own.windows.readWindow(...CONTEXT, at(0), 2))[0].close, 7);
  t.is(await own.windows.readWindow(...CONTEXT, at(1), 2), null);
  await crud.create(dto(2));
  t.is((await own.windows.readWindow(...CONTEXT, at(1), 2)).length, 2);
});

test("reads that are under way when rows are changed are not remembered, in whatever order they are answered", async (t) => {
  const random = chance(anySeed());
  await storeElsewhere(own.mongo, 0, 1);
  const { id } = await service().findBySymbolIntervalTimestamp(...CONTEXT, at(0));
  for (let i = 0; i < 60; i++) {
    service().forget();
    const calls = [() => own.windows.readWindow(...CONTEXT, at(0), 1), () => service().update(id, { close: i }), () => service().findRange(...CONTEXT, at(0), 1)];
    await Promise.all(random.shuffled(calls).map((call) => call()));
    t.is((await own.windows.readWindow(...CONTEXT, at(0), 1))[0].close, i);
    t.is((await service().findRange(...CONTEXT, at(0), 1))[0].close, i);
  }
});

test("an update that fails empties the cache too, because nobody knows what it has done", async (t) => {
  await storeElsewhere(own.mongo, 0, 2);
  const [{ id }, other] = await service().findRange(...CONTEXT, at(0), 2);
  const { error } = await outcome(service().update(id, { timestamp: other.timestamp, symbol: "BTCUSDT", interval: "1m", exchangeName: "binance" }));
  // The collection has its unique index only once somebody has written through the package.
  if (error) t.is(error.code, "MONGO_WRITE");
  t.is(stats().candles, 0);
});

test("with hardly any room all answers are right, and the bound holds", async (t) => {
  await storeElsewhere(own.mongo, 0, 5 * BLOCK);
  const maxBytes = 100_000;
  const { lib, windows, service: small } = copyFor(t, { CC_CANDLE_CACHE_MAX_BYTES: maxBytes });
  const random = chance(anySeed());
  for (let i = 0; i < 150; i++) {
    const limit = 1 + random.below(random.maybe(0.1) ? 2_000 : 20);
    const slot = random.below(5 * BLOCK - limit);
    const expected = plains(slot, slot + limit);
    if (random.maybe(0.7)) t.deepEqual(await windows.readWindow(...CONTEXT, at(slot), limit), expected);
    else t.deepEqual((await small.findRange(...CONTEXT, at(slot), limit)).map(({ close }) => close), expected.map(({ close }) => close));
    t.true(lib.stats().candleCache.bytes <= maxBytes);
  }
  t.true(lib.stats().candleCache.evictions > 10);
});

test("a range that takes more than a quarter of the bound is answered, in one query, and not remembered", async (t) => {
  await storeElsewhere(own.mongo, 0, 3 * BLOCK);
  const { lib, windows } = copyFor(t, { CC_CANDLE_CACHE_MAX_BYTES: 8 * 42_000 });
  t.is((await windows.readWindow(...CONTEXT, at(0), 2_500)).length, 2_500);
  t.like(lib.stats().candleCache, { queries: 1, candles: 0 });
  t.is((await windows.readWindow(...CONTEXT, at(0), 1_500)).length, 1_500);
  t.true(lib.stats().candleCache.candles > 1_500);
});

test("CC_CANDLE_CACHE_MAX_BYTES=0 asks the server always", async (t) => {
  await storeElsewhere(own.mongo, 0, 3);
  const { lib, windows, service: off } = copyFor(t, { CC_CANDLE_CACHE_MAX_BYTES: 0 });
  for (let round = 0; round < 2; round++) {
    const before = lib.stats().mongo?.commands ?? 0;
    t.deepEqual(await windows.readWindow(...CONTEXT, at(0), 3), plains(0, 3));
    t.is((await off.findColumns(...CONTEXT, at(0), 3)).close.length, 3);
    t.is(lib.stats().mongo.commands - before, 2);
  }
});

test("a call that finds a block under way waits for it, and asks for what it does not bring", async (t) => {
  await storeElsewhere(own.mongo, 0, 20);
  const queries = await asked(async () => {
    const windows = Array.from({ length: 15 }, (_, i) => own.windows.readWindow(...CONTEXT, at(i), 5));
    t.deepEqual((await Promise.all(windows)).map((window) => window[0].timestamp), Array.from({ length: 15 }, (_, i) => at(i)));
  });
  t.deepEqual(queries, [FIND]);
});

test("where reads go forward the next block is there before it is needed", async (t) => {
  await storeElsewhere(own.mongo, 0, 3 * BLOCK);
  const windows = own.windows;
  for (let slot = 600; slot < 610; slot++) await windows.readWindow(...CONTEXT, at(slot), 5);
  await until(() => stats().candles === 2 * BLOCK, "the next block was fetched");
  t.like(stats(), { readAheads: stats().readAheads, candles: 2 * BLOCK });
  t.deepEqual(await asked(() => windows.readWindow(...CONTEXT, at(BLOCK), 5)), []);
});

test("a loop over answers from memory lets timers, the event loop and unawaited writes have their turn", async (t) => {
  await storeElsewhere(own.mongo, 0, 100);
  const windows = own.windows;
  await windows.readWindow(...CONTEXT, at(0), 100);
  await service().findRange(...CONTEXT, at(0), 100);
  const loops = {
    windows: () => windows.readWindow(...CONTEXT, at(0), 5),
    rows: () => service().findRange(...CONTEXT, at(0), 5),
    "single candles": () => service().findBySymbolIntervalTimestamp(...CONTEXT, at(5)),
    presence: () => service().hasCandle(...CONTEXT, at(5)),
    columns: () => service().findColumns(...CONTEXT, at(0), 100),
    "absence that is remembered": () => windows.readWindow(...CONTEXT, at(2_000), 1),
    "candles that are known, written again": () => windows.writeWindow(...CONTEXT, plains(0, 5)),
    "one candle that is known, written again": () => service().create(dto(5)),
  };
  for (const [name, hit] of Object.entries(loops)) {
    await hit();
    const turned = { timer: false, immediate: false, tick: false, write: false };
    setTimeout(() => (turned.timer = true), 1);
    setImmediate(() => (turned.immediate = true));
    process.nextTick(() => (turned.tick = true));
    own.ioc.logDbService.upsert("unawaited", { id: "unawaited" }).then(() => (turned.write = true));
    let calls = 0;
    // Without its turn the loop never ends; so many calls are a hundred times what it takes.
    while (Object.values(turned).includes(false) && calls < 3_000_000) {
      await hit();
      calls++;
    }
    t.deepEqual(turned, { timer: true, immediate: true, tick: true, write: true }, name);
  }
});

test("what nobody waits for leaves beyond a count, a size or an age, although the tick does not end", async (t) => {
  const { logDbService } = own.ioc;
  await logDbService.upsert("first", { id: "first" });
  const requests = () => own.lib.stats().mongo.requests;
  const payload = (size) => ({ id: "x", text: "x".repeat(size) });
  const cases = {
    count: () => Array.from({ length: 1_000 }, (_, i) => logDbService.upsert(`count ${i}`, payload(1))),
    size: () => Array.from({ length: 3 }, (_, i) => logDbService.upsert(`size ${i}`, payload(400_000))),
    age: () => {
      const early = logDbService.upsert("early", payload(1));
      for (const end = performance.now() + 30; performance.now() < end; );
      return [early, logDbService.upsert("late", payload(1))];
    },
  };
  for (const [what, write] of Object.entries(cases)) {
    const before = requests();
    const writing = write();
    // On a slow machine age comes before count.
    t.true(requests() > before, what);
    await Promise.all(writing);
  }
});

test("log calls are those of calls that ask the server, also where memory answers", async (t) => {
  await storeElsewhere(own.mongo, 0, 3);
  const logger = recorder();
  const logged = async (action) => {
    logger.calls.length = 0;
    own.setLogger(logger);
    await action();
    own.setLogger(null);
    return [...logger.calls];
  };
  const row = await service().findBySymbolIntervalTimestamp(...CONTEXT, at(0));
  const key = { symbol: "BTCUSDT", interval: "1m", exchangeName: "binance", timestamp: at(0) };
  const text = `binance:BTCUSDT:1m:${at(0)}`;
  t.deepEqual(await logged(() => service().findBySymbolIntervalTimestamp(...CONTEXT, at(0))), [
    ["log", "candleDbService findBySymbolIntervalTimestamp", key],
    ["log", "candleCacheService getCandleId", key],
    ["info", `BaseMap get key=${text}`],
    ["info", "BaseCRUD findByFilter modelName=candle-items", { filterData: { _id: row.id }, sort: undefined }],
  ]);
  const candle = { ...dto(0) };
  t.deepEqual(await logged(() => service().create(candle)), [
    ["log", "candleDbService create", { dto: candle }],
    ["log", "candleCacheService setCandleId", { symbol: "BTCUSDT", interval: "1m", timestamp: at(0) }],
    ["info", `BaseMap set key=${text}`, { key: text, value: row.id }],
  ]);
  const range = { symbol: "BTCUSDT", interval: "1m", exchangeName: "binance", sinceTimestamp: at(0), limit: 2 };
  t.deepEqual(await logged(() => own.windows.readWindow(...CONTEXT, at(0), 2)), [["log", "candleDbService findRange", range]]);
  t.deepEqual(await logged(() => service().findColumns(...CONTEXT, at(0), 2)), [["log", "candleDbService findColumns", range]]);
  t.deepEqual(await logged(() => service().forget("A")), [["log", "candleDbService forget", { symbol: "A", interval: undefined, exchangeName: undefined }]]);
});

"use strict";

// Candles by the thousand: createMany, findRange.

const { Long } = require("bson");
const { serial } = require("ava");
const { outcome } = require("./support/addon.js");
const { storedDocuments } = require("./support/golden-documents.js");
const { withMongo, oursOnly, CANDLE } = require("./support/mongo-peer.js");

const test = oursOnly(serial);
// Candles are asked for and sent like other rows; candle-cache*.spec.js has those from memory.
const own = withMongo(serial, { config: { CC_CANDLE_CACHE_MAX_BYTES: 0 } });
const START = 1767225600000;
const MINUTE = 60_000;

const candle = (i, over) => ({ exchangeName: "binance", symbol: "BTCUSDT", interval: "1m", timestamp: START + i * MINUTE, ...CANDLE, close: i, ...over });
const candles = (count, over) => Array.from({ length: count }, (_, i) => candle(i, over));
const range = (limit, { since = START, interval = "1m", exchangeName = "binance" } = {}) => own.ioc.candleDbService.findRange("BTCUSDT", interval, exchangeName, since, limit);
const ids = async () => (await own.redis.command("KEYS", "candle_cache:*")).length;

serial.beforeEach(() => own.wipe());

test("createMany says how many it inserted and how many were there", async (t) => {
  const { candleDbService } = own.ioc;
  t.deepEqual(await candleDbService.createMany(candles(10)), { inserted: 10, existing: 0 });
  t.deepEqual(await candleDbService.createMany(candles(15)), { inserted: 5, existing: 10 });
  t.deepEqual(await candleDbService.createMany(candles(15)), { inserted: 0, existing: 15 });
  t.deepEqual(await candleDbService.createMany([]), { inserted: 0, existing: 0 });
  t.is(await own.mongo.count("candle-items"), 15);
});

test("createMany stores the documents that create stores, in the same order of fields and with the same types", async (t) => {
  const rows = [candle(0), candle(1, { open: 67000, high: 2147483648, low: -0, close: 0.5 }), candle(2, { volume: undefined }), candle(3, { open: "1.25", timestamp: String(START) }), candle(4, { exchangeName: undefined }), candle(5, { extra: 1 })];
  for (const row of rows) await own.ioc.candleDbService.create(row);
  const one = await storedDocuments(own.mongo, "candle-items");
  await own.wipe();
  await own.ioc.candleDbService.createMany(rows);
  const many = await storedDocuments(own.mongo, "candle-items");
  const lines = (documents) => documents.map((document) => JSON.stringify(document)).sort();
  t.deepEqual(lines(many), lines(one));
});

test("createMany leaves rows that exist untouched, their updatedDate too, and caches their ids", async (t) => {
  const first = await own.ioc.candleDbService.create(candle(1));
  await own.redis.command("FLUSHALL");
  await own.ioc.candleDbService.createMany(candles(3, { close: 99 }));
  const [stored] = await own.mongo.documents("candle-items", { filter: { timestamp: START + MINUTE } });
  t.deepEqual({ ...stored, id: first.id }, first);
  t.is(String(await own.redis.command("GET", `candle_cache:binance:BTCUSDT:1m:${START + MINUTE}`)), first.id);
  t.is(await ids(), 3);
});

test("the first of several equal keys in one createMany wins", async (t) => {
  t.deepEqual(await own.ioc.candleDbService.createMany([candle(0), candle(0, { close: 5 }), candle(1)]), { inserted: 2, existing: 1 });
  t.is((await own.mongo.documents("candle-items", { sort: { timestamp: 1 } }))[0].close, 0);
});

test("two createMany of the same candles at once share the work between them", async (t) => {
  const both = await Promise.all([own.ioc.candleDbService.createMany(candles(3000)), own.ioc.candleDbService.createMany(candles(3000))]);
  t.is(both[0].inserted + both[1].inserted, 3000);
  t.is(both[0].existing + both[1].existing, 3000);
  t.is(await own.mongo.count("candle-items"), 3000);
  t.is(await ids(), 3000);
});

test("after createMany each candle is found by its id in the cache", async (t) => {
  await own.ioc.candleDbService.createMany(candles(2500));
  t.is(await ids(), 2500);
  const { mongo, redis } = await own.asked(async () => {
    const row = await own.ioc.candleDbService.findBySymbolIntervalTimestamp("BTCUSDT", "1m", "binance", START + 2000 * MINUTE);
    t.is(row.close, 2000);
  });
  t.deepEqual(mongo, ["find candle-items"]);
  t.true(redis.length <= 1);
});

test("createMany makes few operations of many candles", async (t) => {
  await own.ioc.candleDbService.createMany(candles(1));
  const inserts = async () => Number((await own.mongo.command({ serverStatus: 1 }, { database: "admin" })).metrics.commands.insert.total);
  const before = await inserts();
  await own.ioc.candleDbService.createMany(candles(5000));
  t.true((await inserts()) - before <= 20);
});

test("one candle that cannot be stored refuses the whole call before anything is written, and is named", async (t) => {
  for (const [wrong, field] of [[{ open: "abc" }, "open"], [{ symbol: null }, "symbol"], [{ timestamp: "noon" }, "timestamp"], [{ close: NaN }, "close"]]) {
    const { error } = await outcome(own.ioc.candleDbService.createMany([candle(0), candle(1, wrong), candle(2)]));
    t.regex(String(error?.code), /^INVALID_/);
    t.true(error.message.includes(field), error.message);
  }
  for (const wrong of [null, undefined, 5, "text", {}, [null], [5]]) {
    const { error } = await outcome(own.ioc.candleDbService.createMany(wrong));
    t.regex(String(error?.code), /^INVALID_/, String(wrong));
  }
  for (const [wrong, field] of [[{ open: "abc" }, "open"], [{ close: NaN }, "close"]]) {
    const { error } = await outcome(own.ioc.candleDbService.createMany([...candles(10_001), candle(10_001, wrong)]));
    t.is(error?.code, "INVALID_VALUE");
    t.true(error.message.includes(field), error.message);
  }
  t.is(await own.mongo.count("candle-items"), 0);
});

test("createMany stores timestamps that are cast, and leaves their ids to the first read", async (t) => {
  const given = [new Date(START), true, "0x10", String(START + MINUTE)];
  t.deepEqual(await own.ioc.candleDbService.createMany(given.map((timestamp) => candle(0, { timestamp }))), { inserted: 4, existing: 0 });
  for (const timestamp of [START, 1, 16, START + MINUTE]) {
    t.truthy(await own.ioc.candleDbService.findBySymbolIntervalTimestamp("BTCUSDT", "1m", "binance", timestamp));
  }
  t.is(await ids(), 4);
});

/** A candle whose fields are getters of its class. */
class Bar {
  #fields;
  constructor(fields) {
    this.#fields = fields;
  }
  static {
    for (const name of ["symbol", "interval", "exchangeName", "timestamp", "open", "high", "low", "close", "volume"]) {
      Object.defineProperty(Bar.prototype, name, { get() { return this.#fields[name]; } });
    }
  }
}

test("candles whose fields are getters are stored whole, in columns and one by one, and their ids are cached", async (t) => {
  const { candleDbService } = own.ioc;
  // Text for a number does not fit into columns.
  for (const open of [1.5, "1.5"]) {
    await own.wipe();
    own.ioc.candleDbService.forget();
    t.deepEqual(await candleDbService.createMany([0, 1].map((i) => new Bar({ ...candle(i), open }))), { inserted: 2, existing: 0 });
    const { symbol, interval, exchangeName } = candle(2);
    t.deepEqual(await candleDbService.createMany(symbol, interval, exchangeName, [new Bar({ ...candle(2), open, symbol: "other" })]), { inserted: 1, existing: 0 });
    const created = await candleDbService.create(new Bar({ ...candle(3), open }));
    t.like(created, candle(3));
    const rows = await own.mongo.documents("candle-items", { sort: { timestamp: 1 } });
    t.deepEqual(rows.map(({ _id, __v, createDate, updatedDate, ...fields }) => fields), [0, 1, 2, 3].map(candle));
    t.is(await own.redis.command("DBSIZE"), 4);
  }
});

test("a getter of a candle that throws is named, and nothing is written", async (t) => {
  const { candleDbService } = own.ioc;
  const broken = Object.defineProperty({ ...candle(1) }, "low", { get() { throw new Error("no low"); } });
  for (const call of [candleDbService.create(broken), candleDbService.createMany([candle(0), broken])]) {
    const { error } = await outcome(call);
    t.is(error?.code, "INVALID_VALUE");
    t.regex(error.message, /^no low .*low/);
  }
  for (const close of [() => 1, Symbol("close")]) {
    for (const call of [candleDbService.create({ ...candle(1), close }), candleDbService.createMany([{ ...candle(1), close }])]) {
      const { error } = await outcome(call);
      t.is(error?.code, "INVALID_VALUE");
      t.regex(error.message, /close is a (function|symbol)/);
    }
  }
  t.is(await own.mongo.count("candle-items"), 0);
});

test("createMany knows candles whose timestamps others have stored as long integers, and -0 beside 0", async (t) => {
  const stored = { __v: 0, createDate: new Date(1), updatedDate: new Date(1) };
  await own.mongo.insert("candle-items", [{ ...candle(0), timestamp: Long.fromNumber(START), ...stored }, candle(0, { timestamp: 0, ...stored })]);
  t.deepEqual(await own.ioc.candleDbService.createMany([...candles(2), candle(0, { timestamp: -0 })]), { inserted: 1, existing: 2 });
});

test("a symbol-month of minutes is written and read back in order", async (t) => {
  const month = candles(44_640);
  t.deepEqual(await own.ioc.candleDbService.createMany(month), { inserted: 44_640, existing: 0 });
  const rows = await range(44_640);
  t.is(rows.length, 44_640);
  t.true(rows.every((row, i) => row.timestamp === START + i * MINUTE && row.close === i));
});

test("findRange gives rows as the single read does", async (t) => {
  await own.ioc.candleDbService.createMany(candles(3));
  const [, row] = await range(3);
  t.deepEqual(row, await own.ioc.candleDbService.findBySymbolIntervalTimestamp("BTCUSDT", "1m", "binance", START + MINUTE));
  t.deepEqual(await own.crud("candle-items").findById(row.id), row);
});

test("findRange is null as a whole where a candle is missing, at the front, inside or at the end", async (t) => {
  await own.ioc.candleDbService.createMany(candles(10).filter((_, i) => i !== 0 && i !== 5));
  t.is(await range(4), null);
  t.is(await range(6, { since: START + MINUTE }), null);
  t.is(await range(5, { since: START + 6 * MINUTE }), null);
  t.is((await range(4, { since: START + MINUTE })).length, 4);
  t.is((await range(4, { since: START + 6 * MINUTE })).length, 4);
  t.is(await range(1), null);
});

test("findRange keeps to symbol, interval and exchange", async (t) => {
  await own.ioc.candleDbService.createMany([...candles(3), ...candles(3, { exchangeName: "bybit", close: -1 }), ...candles(3, { symbol: "ETHUSDT", close: -2 })]);
  t.deepEqual((await range(3)).map((row) => row.close), [0, 1, 2]);
  t.deepEqual((await range(3, { exchangeName: "bybit" })).map((row) => row.close), [-1, -1, -1]);
});

const STEPS = { "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480, "1d": 1440 };
for (const [interval, minutes] of Object.entries(STEPS)) {
  test(`findRange goes by the step of ${interval}`, async (t) => {
    await own.ioc.candleDbService.createMany(Array.from({ length: 4 }, (_, i) => candle(i * minutes, { interval, close: i })));
    t.deepEqual((await range(4, { interval })).map((row) => row.close), [0, 1, 2, 3]);
    t.is(await range(5, { interval }), null);
  });
}

test("findRange refuses what it cannot ask for", async (t) => {
  for (const call of [() => range(3, { interval: "7m" }), () => range(3, { since: "noon" }), () => range(-1), () => range(1.5), () => range(NaN), () => range(3, { exchangeName: null })]) {
    t.regex(String((await outcome(call())).error?.code), /^INVALID_/);
  }
});

test("findRange of a limit of 0 is an empty list", async (t) => {
  t.deepEqual(await range(0), []);
});

test("findRange is one query, whatever the number of candles", async (t) => {
  await own.ioc.candleDbService.createMany(candles(1000));
  const { mongo } = await own.asked(() => range(1000));
  t.deepEqual(mongo.filter((one) => !/^getmore/i.test(one)), ["find candle-items"]);
});

test("the event loop turns while a month is written", async (t) => {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  t.teardown(() => clearInterval(timer));
  await own.ioc.candleDbService.createMany(candles(44_640));
  t.true(turns >= 5, `${turns} turns`);
});

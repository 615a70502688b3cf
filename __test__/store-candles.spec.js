"use strict";

// Candles in the embedded store: what of them is not what servers do. Everything else is in the same test files as theirs.

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { serial: test } = require("ava");
const { root, loadFor, loadFresh, outcome } = require("./support/addon.js");
const { folderFor } = require("./support/folder.js");

const MINUTE = 60_000;
const START = Date.UTC(2025, 0, 1);
const CONTEXT = ["BTCUSDT", "1m", "binance"];
const at = (i) => START + i * MINUTE;
const plain = (i, more = 0) => ({ timestamp: at(i), open: i + 0.5, high: i + 2 + more, low: i, close: i + 1.25 + more, volume: i % 7 });
const plains = (from, to, more) => Array.from({ length: to - from }, (_, i) => plain(from + i, more));
const [symbol, interval, exchangeName] = CONTEXT;
const dto = (i, more) => ({ symbol, interval, exchangeName, ...plain(i, more) });

/** A copy of the package on a store, with the calls of the adapters. */
function openFor(t, folder = folderFor(t), more = {}) {
  const lib = loadFor(t, { CC_STORE_PATH: folder, ...more });
  return { lib, folder, service: lib.ioc.candleDbService, windows: require("../js/candles/store.js"), ids: lib.ioc.candleCacheService };
}

/** Another copy, which has nothing in memory. */
async function elsewhere(t, folder, more = {}) {
  const lib = loadFresh({ CC_STORE_PATH: folder, ...more });
  t.teardown(() => lib.close());
  await lib.ioc.mongoService.waitForInit();
  return { lib, service: lib.ioc.candleDbService, ids: lib.ioc.candleCacheService };
}

/** Counts the calls of one of the engine's functions from now on. */
function countOf(t, name) {
  const { engine } = require("../js/engine.js").native;
  const original = engine[name];
  let count = 0;
  engine[name] = (...args) => (count++, original(...args));
  t.teardown(() => (engine[name] = original));
  return () => count;
}

const columnsOf = (candles) => Object.fromEntries(Object.keys(candles[0]).map((name) => [name, candles.map((candle) => candle[name])]));

const keysOf = async (lib) => {
  const keys = [];
  for await (const key of new lib.BaseMap("candle_cache", -1).keys()) keys.push(key);
  return keys;
};

test("a month is written and read by another copy, as objects, as columns and as rows", async (t) => {
  const { service, folder } = openFor(t);
  const month = plains(0, 44_640);
  t.deepEqual(await service.createMany(...CONTEXT, month), { inserted: 44_640, existing: 0 });
  t.deepEqual(await service.createMany(...CONTEXT, plains(100, 44_740)), { inserted: 100, existing: 44_540 });
  const other = await elsewhere(t, folder);
  const columns = await other.service.findColumns(...CONTEXT, at(0), 44_740);
  t.deepEqual(Object.keys(columns), ["timestamp", "open", "high", "low", "close", "volume"]);
  for (const [i, candle] of plains(0, 44_740).entries()) {
    for (const name of Object.keys(columns)) if (columns[name][i] !== candle[name]) t.fail(`${name} of ${i}`);
  }
  other.service.forget();
  const rows = await other.service.findRange(...CONTEXT, at(0), 44_740);
  t.is(new Set(rows.map(({ id }) => id)).size, 44_740);
  t.like(rows[44_639], { ...dto(44_639), __v: 0, id: String(rows[44_639]._id) });
  t.true(rows[0].createDate instanceof Date && rows[0].createDate <= rows[44_739].createDate);
  t.deepEqual(await other.service.findBySymbolIntervalTimestamp(...CONTEXT, at(44_639)), rows[44_639]);
});

test("reads of blocks are answered on the spot: no call goes to the store's thread", async (t) => {
  const { service, folder } = openFor(t);
  await service.createMany(...CONTEXT, plains(0, 3_000));
  const { lib, service: other } = await elsewhere(t, folder);
  const { calls } = lib.stats().store;
  t.is((await other.findColumns(...CONTEXT, at(0), 3_000)).open[2_999], 2_999.5);
  t.is(await other.findColumns(...CONTEXT, at(0), 3_001), null);
  t.is((await other.findPresent(...CONTEXT, at(2_990), 100)).open.length, 10);
  t.is((await other.findRange(...CONTEXT, at(5), 10)).length, 10);
  t.is(lib.stats().store.calls, calls);
});

test("a window of which memory lacks more than 64 blocks is asked of the store by requests, and none of its blocks is read on the spot", async (t) => {
  const { service, folder } = openFor(t);
  const block = 1_024;
  const whole = 66 * block;
  // From the first moment of a block on.
  const first = Math.ceil(START / MINUTE / block) * block - START / MINUTE;
  for (let from = 0; from < whole; from += 16_384) await service.createMany(...CONTEXT, plains(first + from, first + Math.min(whole, from + 16_384)));
  const { lib, service: other } = await elsewhere(t, folder);
  const read = countOf(t, "storeBlock");
  const reads = async (from, count) => {
    const [before, { calls }] = [read(), lib.stats().store];
    const { open } = await other.findColumns(...CONTEXT, at(first + from), count);
    t.deepEqual([open.length, open[0], open[count - 1]], [count, first + from + 0.5, first + from + count - 0.5]);
    return [read() - before, lib.stats().store.calls - calls];
  };
  const [spot, requests] = await reads(0, 65 * block);
  t.is(spot, 0);
  t.true(requests > 0);
  other.forget();
  // So long a window is read in one pass first, and remembered when it is read again.
  t.deepEqual(await reads(0, 64 * block), [0, 0]);
  t.deepEqual(await reads(0, 64 * block), [64, 0]);
  // What memory holds does not count.
  t.deepEqual(await reads(0, whole), [2, 0]);
});

test("a long window is read by one call, and remembered when it is read again", async (t) => {
  const { service, folder } = openFor(t);
  // Whole blocks, one with gaps, and candles that wait for theirs.
  await service.createMany(...CONTEXT, plains(0, 20_000));
  await service.createMany(...CONTEXT, plains(20_000, 20_500).filter(({ timestamp }) => (timestamp / MINUTE) % 3 !== 0));
  for (let i = 20_500; i < 20_510; i++) await service.create(dto(i));
  const { lib, service: other } = await elsewhere(t, folder);
  const [blocks, passes] = [countOf(t, "storeBlock"), countOf(t, "storeColumns")];
  const { calls } = lib.stats().store;
  const read = async (from, count, expected) => {
    const before = [blocks(), passes()];
    const columns = await other.findColumns(...CONTEXT, at(from), count);
    t.deepEqual(columns && Object.fromEntries(Object.entries(columns).map(([name, numbers]) => [name, [...numbers]])), expected);
    return [blocks() - before[0], passes() - before[1]];
  };
  const whole = (from, to) => columnsOf(plains(from, to));
  t.deepEqual(await read(0, 10_000, whole(0, 10_000)), [0, 1]);
  t.deepEqual(await read(10_001, 9_000, whole(10_001, 19_001)), [0, 1], "another stretch");
  const again = await read(12_000, 8_192, null);
  t.true(again[0] > 7 && again[1] === 0, "one that meets the last");
  t.deepEqual(await read(12_000, 7_990, whole(12_000, 19_990)), [0, 0]);
  t.deepEqual(await read(12_000, 8_000, whole(12_000, 20_000)), [0, 0]);
  other.forget();
  t.deepEqual(await read(12_000, 8_510, null), [0, 1], "gaps");
  t.true((await read(12_000, 8_510, null))[0] > 7);
  const polled = await read(12_000, 8_510, null);
  t.true(polled[0] <= 2 && polled[1] === 0, "then only the blocks with gaps are looked at");
  other.forget();
  for (let i = 0; i < 2; i++) t.deepEqual(await read(100_000, 10_000, null), [0, 1], "nothing");
  other.forget();
  const present = await other.findPresent(...CONTEXT, at(11_000), 9_510);
  t.is(present.open.length, 9_510 - 167);
  other.forget();
  const windows = require("../js/candles/store.js");
  const before = passes();
  t.deepEqual(await windows.readWindow(...CONTEXT, at(100), 9_000), plains(100, 9_100), "as objects");
  t.is(await windows.readWindow(...CONTEXT, at(12_000), 8_510), null);
  t.is(passes() - before, 2);
  other.forget();
  await service.createMany(...CONTEXT, plains(20_000, 20_500));
  t.deepEqual(await read(11_000, 9_510, whole(11_000, 20_510)), [0, 1], "and the tail");
  t.is(lib.stats().store.calls, calls, "none of it goes to the store's thread");
});

test("a long window with a candle that columns may not hold is read by requests, and one that is being written behind the write", async (t) => {
  const { service, folder } = openFor(t);
  await service.createMany(...CONTEXT, plains(0, 9_000));
  const { service: other } = await elsewhere(t, folder);
  const written = other.createMany(...CONTEXT, plains(9_000, 9_010));
  const found = other.findColumns(...CONTEXT, at(0), 9_010);
  await written;
  t.is((await found).close[9_009], plain(9_009).close);
  const { id } = await service.findBySymbolIntervalTimestamp(...CONTEXT, at(500));
  await service.update(id, { $set: { note: "by hand", close: 7 } });
  other.forget();
  const { close } = await other.findColumns(...CONTEXT, at(0), 9_000);
  t.deepEqual([close[499], close[500], close[8_999]], [plain(499).close, 7, plain(8_999).close]);
});

test("columns that are no memory of their own, or not as long as the window, are not written to", async (t) => {
  const { service } = openFor(t);
  await service.createMany(...CONTEXT, plains(0, 9_000));
  const { engine } = require("../js/engine.js").native;
  const first = START / MINUTE;
  const columns = (length) => Array.from({ length: 5 }, () => Buffer.alloc(length * 8));
  const copied = (buffers, limit = 100, slot = first) => engine.storeColumns(...CONTEXT, slot, limit, ...buffers);
  const good = columns(100);
  t.is(copied(good), 100);
  t.is(good[0].readDoubleLE(99 * 8), 99.5);
  const shared = Buffer.alloc(4_000);
  const wrong = [columns(99), columns(101), [...columns(100).slice(0, 4), {}], [0, 1, 2, 3, 4].map((i) => shared.subarray(i * 792, i * 792 + 800)), Array(5).fill(columns(100)[0])];
  for (const buffers of wrong) {
    t.is(copied(buffers), null);
    for (const buffer of buffers.filter(Buffer.isBuffer)) t.true(buffer.every((byte) => byte === 0));
  }
  for (const slot of [-1, NaN, Infinity, 1e13]) t.is(copied(columns(100), 100, slot), null);
  t.is(copied(columns(100), -1), null);
});

test("what another process writes is seen by the next read, also where candles were missing a moment ago", async (t) => {
  const { service, folder, windows } = openFor(t);
  const other = await elsewhere(t, folder);
  for (let i = 0; i < 200; i++) {
    t.is(await windows.readWindow(...CONTEXT, at(i), 1), null);
    await other.service.create(dto(i));
    t.deepEqual(await windows.readWindow(...CONTEXT, at(0), i + 1), plains(0, i + 1));
  }
  await other.service.createMany(...CONTEXT, plains(150, 2_000, 7));
  t.deepEqual(await service.findPresent(...CONTEXT, at(0), 2_000).then(({ close }) => [close.length, close[199], close[200]]), [2_000, 200.25, 208.25], "the first write wins");
});

test("a read that is made in the tick of a write brings what was written", async (t) => {
  const { service, windows } = openFor(t);
  await service.createMany(...CONTEXT, plains(0, 10));
  const written = service.createMany(...CONTEXT, plains(10, 20));
  const found = windows.readWindow(...CONTEXT, at(0), 20);
  await written;
  t.deepEqual(await found, plains(0, 20));
});

test("with the candle cache turned off, and with room for hardly a block, all answers are right", async (t) => {
  for (const bytes of [0, 50_000]) {
    const { service, windows } = openFor(t, folderFor(t), { CC_CANDLE_CACHE_MAX_BYTES: bytes });
    await service.createMany(...CONTEXT, plains(0, 5_000));
    for (const [from, count] of [[0, 5], [1_000, 2_000], [0, 5_000]]) {
      t.deepEqual(await windows.readWindow(...CONTEXT, at(from), count), plains(from, from + count));
      t.is((await service.findColumns(...CONTEXT, at(from), count)).close[count - 1], plain(from + count - 1).close);
      t.is((await service.findRange(...CONTEXT, at(from), count)).length, count);
    }
    t.is(await windows.readWindow(...CONTEXT, at(4_990), 20), null);
  }
});

test("a candle that somebody has changed is read as it is, and its neighbours in columns", async (t) => {
  const { lib, service, folder } = openFor(t);
  await service.createMany(...CONTEXT, plains(0, 2_000));
  const { id } = await service.findBySymbolIntervalTimestamp(...CONTEXT, at(500));
  // Another layout: it leaves its block.
  await service.update(id, { $set: { note: "by hand", close: 7 } });
  const other = await elsewhere(t, folder);
  t.is((await other.service.findBySymbolIntervalTimestamp(...CONTEXT, at(500))).close, 7);
  t.is((await other.service.findColumns(...CONTEXT, at(0), 2_000)).close[500], 7);
  t.is((await other.service.findColumns(...CONTEXT, at(1_100), 500)).close[0], plain(1_100).close);
  t.is(lib.stats().store.errors, 0);
});

test("ids of candles are found without keys, and keys are written where CC_CANDLE_IDS says so", async (t) => {
  const { lib, service, windows, ids, folder } = openFor(t);
  await service.createMany(...CONTEXT, plains(0, 5));
  await windows.writeWindow(...CONTEXT, plains(5, 8));
  const created = await service.create(dto(8));
  t.deepEqual(await keysOf(lib), []);
  t.is(await ids.getCandleId(...CONTEXT, at(8)), created.id);
  t.is(await ids.getCandleId(...CONTEXT, String(at(8))), created.id);
  for (let i = 0; i < 8; i++) t.is(await ids.getCandleId(...CONTEXT, at(i)), (await service.findBySymbolIntervalTimestamp(...CONTEXT, at(i))).id);
  t.deepEqual([await ids.hasCandleId(...CONTEXT, at(8)), await ids.hasCandleId(...CONTEXT, at(9)), await ids.getCandleId(...CONTEXT, at(9)), await ids.getCandleId("BTCUSDT", "7m", "binance", at(1))], [true, false, null, null]);
  await ids.setCandleId({ symbol: "BTCUSDT", interval: "1m", exchangeName: "binance", timestamp: at(8), id: "another" });
  t.is(await ids.getCandleId(...CONTEXT, at(8)), "another", "a key comes first");
  const on = await elsewhere(t, folder, { CC_CANDLE_IDS: "on" });
  await on.service.createMany(...CONTEXT, plains(3, 12));
  await on.service.create(dto(12));
  await on.service.createMany([{ ...dto(13), open: "1.5" }]);
  const keys = Array.from({ length: 11 }, (_, i) => `binance:BTCUSDT:1m:${at(3 + i)}`);
  t.deepEqual(await keysOf(on.lib), keys, "of those that were there too");
  for (const i of [3, 12, 13]) t.is(await new on.lib.BaseMap("candle_cache", -1).get(`binance:BTCUSDT:1m:${at(i)}`), (await service.findBySymbolIntervalTimestamp(...CONTEXT, at(i))).id);
  await new on.lib.BaseMap("candle_cache", -1).clear();
  await on.service.createMany(...CONTEXT, plains(3, 14));
  t.deepEqual(await keysOf(on.lib), keys, "keys that are gone come again");
  t.is((await service.findBySymbolIntervalTimestamp(...CONTEXT, at(13))).open, 1.5);
});

test("log calls of writes are those of servers, with the ids of what was written", async (t) => {
  const { lib, service } = openFor(t);
  const calls = [];
  lib.setLogger({ log: (...args) => calls.push(args), debug() {}, info: (...args) => calls.push(args), warn() {} });
  await service.createMany(...CONTEXT, plains(0, 2));
  const created = await service.create(dto(2));
  const told = calls.filter(([topic]) => topic === "candleCacheService setCandleId" || topic.startsWith("BaseMap set"));
  const entry = (i, id) => [["candleCacheService setCandleId", { symbol: "BTCUSDT", interval: "1m", timestamp: at(i) }], [`BaseMap set key=binance:BTCUSDT:1m:${at(i)}`, { key: `binance:BTCUSDT:1m:${at(i)}`, value: id }]];
  const [first, second] = await service.findRange(...CONTEXT, at(0), 2);
  t.deepEqual(told, [...entry(0, first.id), ...entry(1, second.id), ...entry(2, created.id)]);
});

test("a candle takes at most 60 bytes of the file", async (t) => {
  const { lib, service, folder } = openFor(t);
  const size = () => ["store.sqlite", "store.sqlite-wal"].reduce((sum, name) => sum + fs.statSync(path.join(folder, name)).size, 0);
  await lib.ioc.mongoService.waitForInit();
  const before = size();
  await service.createMany(...CONTEXT, plains(0, 44_640));
  const bytes = (size() - before) / 44_640;
  t.true(bytes <= 60, `${bytes}`);
});

test("single creates write at most 4,480 bytes of log each, so a month of them less than 200 MB", async (t) => {
  const { service, folder } = openFor(t);
  const log = () => fs.statSync(path.join(folder, "store.sqlite-wal")).size;
  await service.create(dto(0));
  const before = log();
  // Less than what makes the store write its log back.
  for (let i = 1; i <= 2_048; i++) await service.create(dto(i));
  const bytes = (log() - before) / 2_048;
  t.true(bytes <= 4_480, `${bytes}`);
});

test("writes in several processes at once leave each candle once, the first as it came", async (t) => {
  const { service, folder } = openFor(t);
  await service.create(dto(0));
  const program = `
    const lib = require(${JSON.stringify(root)});
    const more = Number(process.argv[1]);
    const plains = (from, to) => Array.from({ length: to - from }, (_, i) => ({ timestamp: ${START} + (from + i) * 60000, open: from + i, high: 1, low: 1, close: more, volume: 1 }));
    (async () => {
      let inserted = 0;
      for (let i = 0; i < 40; i++) {
        inserted += (await lib.ioc.candleDbService.createMany("BTCUSDT", "1m", "binance", plains(i * 70 + 1, i * 70 + 100))).inserted;
        if (i % 3 === 0) await lib.ioc.candleDbService.create({ symbol: "BTCUSDT", interval: "1m", exchangeName: "binance", ...plains(5000 + i, 5001 + i)[0] });
      }
      console.log(inserted);
      await lib.close();
    })();`;
  const run = (more) => {
    const child = spawn(process.execPath, ["-e", program, String(more)], { env: { ...process.env, CC_STORE_PATH: folder } });
    let out = "";
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (out += data));
    return new Promise((resolve) => child.on("close", () => resolve(out.trim())));
  };
  const inserted = (await Promise.all([run(100), run(200), run(300)])).map(Number);
  const count = 39 * 70 + 99;
  t.is(inserted.reduce((a, b) => a + b), count);
  const rows = await service.findRange(...CONTEXT, at(1), count);
  t.is(new Set(rows.map(({ id }) => id)).size, count);
  t.deepEqual([100, 200, 300].map((more) => rows.filter(({ close }) => close === more).length), inserted);
  t.is((await outcome(service.findPresent(...CONTEXT, at(5_000), 40))).value.open.length, 14);
});

"use strict";

// Act three: a symbol-month of minutes in MongoDB, beside the way the original writes and reads it.

const { openOriginal } = require("../__test__/support/original-mongo/index.js");
const { ioc } = require("../index.js");
const { check } = require("./checks.js");
const { bar, chapter, count, gauge, left, paint, print, right, say } = require("./screen.js");

const MINUTES = 31 * 24 * 60;
const SINCE = Date.UTC(2026, 0, 1);
const MINUTE_MS = 60_000;
const EXCHANGE = "binance";
/** How many candles the original's way is watched for; a whole month of it would take minutes. */
const WATCHED = 200;
/** Candles of one call, so that there is something to see. */
const STEP = 2_500;
const BAR = 44;
/** How often a row is looked for. */
const LOOKS = 300;
/** Whose row the db services show. */
const CONTEXT = ["BTCUSDT", "dip_buyer", EXCHANGE];

/** A random walk, the same in every run. */
function month(symbol) {
  let seed = 42;
  let price = 94_000;
  return Array.from({ length: MINUTES }, (_, i) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    const open = price;
    price = Math.round((open + (seed / 2_147_483_648 - 0.5) * 60) * 100) / 100;
    const [low, high] = [Math.min(open, price) - 1, Math.max(open, price) + 1];
    const volume = (seed % 5_000) / 100;
    return { symbol, interval: "1m", exchangeName: EXCHANGE, timestamp: SINCE + i * MINUTE_MS, open, high, low, close: price, volume };
  });
}

async function seconds(work) {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

/** Writes a month in a few large calls. */
async function write(dtos) {
  const written = { inserted: 0, existing: 0 };
  for (let at = 0; at < dtos.length; at += STEP) {
    const chunk = await ioc.candleDbService.createMany(dtos.slice(at, at + STEP));
    written.inserted += chunk.inserted;
    written.existing += chunk.existing;
    const done = Math.min(at + STEP, dtos.length);
    gauge(paint.green(`${left(bar(done / dtos.length, BAR), BAR)} ${right(count(done), 6)} of ${count(dtos.length)}`), done === dtos.length);
  }
  return written;
}

/** The mean time of a look for the row of a context, in microseconds. `before` each one is not counted. */
async function look(signalDbService, before = async () => {}) {
  let sum = 0;
  for (let i = 0; i < LOOKS; i++) {
    await before();
    const started = performance.now();
    const row = await signalDbService.findByContext(...CONTEXT);
    sum += performance.now() - started;
    if (row?.payload?.position !== "long") throw new Error(`the row of ${CONTEXT.join(", ")} is not there`);
  }
  return (sum / LOOKS) * 1000;
}

/**
 * The seconds that a month takes the original's way, from a part of it: every candle written, then read, by itself. And the
 * microseconds of a look for a row.
 */
async function originals(servers, dtos) {
  const original = await openOriginal({ ...servers, database: "original" });
  const { candleDbService } = original.ioc;
  try {
    const part = dtos.slice(0, WATCHED);
    await candleDbService.create({ ...part[0], symbol: "WARM" });
    const scale = dtos.length / WATCHED;
    const writing = await seconds(async () => {
      for (const dto of part) await candleDbService.create(dto);
    });
    const reading = await seconds(async () => {
      for (const { symbol, interval, timestamp } of part) {
        await candleDbService.findBySymbolIntervalTimestamp(symbol, interval, EXCHANGE, timestamp);
      }
    });
    const { signalDbService } = original.ioc;
    await signalDbService.upsert(...CONTEXT, { position: "long" });
    return { writing: writing * scale, reading: reading * scale, looking: await look(signalDbService) };
  } finally {
    await original.close();
  }
}

function compare(what, ours, theirs) {
  const rows = [["the original's way", theirs, paint.dim, ` (from ${count(WATCHED)} candles)`], ["backtest-kit-native", ours, paint.green, ""]];
  print(paint.bold(what));
  for (const [name, value, style, note] of rows) {
    print(`${left(name, 19)}  ${style(left(bar(value / theirs, 24), 24))} ${right(value.toFixed(2), 7)} s${note}`);
  }
  print();
  return `${(theirs / ours).toFixed(0)}×`;
}

async function candles({ server: redis, mongo, facts }) {
  chapter(
    "Act three: a month of minutes in MongoDB",
    `${count(MINUTES)} candles of BTCUSDT. The original writes and reads them one at a time, two round trips each. createMany and findRange do it in a few.`,
  );
  const dtos = month("BTCUSDT");
  let written;
  const writing = await seconds(async () => (written = await write(dtos)));
  check("every candle of the month is new", written, { inserted: MINUTES, existing: 0 });

  let rows;
  const reading = await seconds(async () => {
    rows = await ioc.candleDbService.findRange("BTCUSDT", "1m", EXCHANGE, SINCE, MINUTES);
  });
  check("the month is read whole and in order", rows?.map((row) => [row.timestamp, row.close, row.volume]), dtos.map((dto) => [dto.timestamp, dto.close, dto.volume]));
  const last = dtos.at(-1);
  const one = await ioc.candleDbService.findBySymbolIntervalTimestamp("BTCUSDT", "1m", EXCHANGE, last.timestamp);
  check("a single candle is found by its cached id", [one?.id, one?.open], [rows?.at(-1).id, last.open]);
  check("Redis has the id of each candle", await redis.command("GET", `candle_cache:${EXCHANGE}:BTCUSDT:1m:${last.timestamp}`).then(String), one?.id);
  check("a month that lacks a minute is none", await ioc.candleDbService.findRange("BTCUSDT", "1m", EXCHANGE, SINCE + MINUTE_MS, MINUTES), null);
  const again = await ioc.candleDbService.createMany(dtos.slice(0, STEP));
  check("the first write of a candle wins", again, { inserted: 0, existing: STEP });

  print();
  const others = await originals({ redis, mongo }, dtos);
  facts.candles = {
    written: compare("Writing the month", writing, others.writing),
    read: compare("Reading it", reading, others.reading),
    seconds: writing,
  };
  await positions(others.looking);
}

/** The rows of a strategy, which the db services keep by their context. */
async function positions(looking) {
  const { signalDbService, signalCacheService } = ioc;
  await signalDbService.upsert(...CONTEXT, { position: "long", priceOpen: 94_402.5 });
  await signalDbService.upsert(...CONTEXT, { position: "long", priceOpen: 94_402.5, priceTakeProfit: 95_346.5 });
  const row = await signalDbService.findByContext(...CONTEXT);
  check("the second upsert replaced the first", row?.payload, { position: "long", priceOpen: 94_402.5, priceTakeProfit: 95_346.5 });
  await Promise.all(Array.from({ length: 100 }, (_, i) => ioc.stateDbService.upsert("sig-1", `bucket-${i % 10}`, { i }, new Date(SINCE))));
  check("a hundred writes of ten states at once leave ten rows", (await ioc.stateDbService.findAll({ signalId: "sig-1" })).length, 10);
  const known = await look(signalDbService);
  const unknown = await look(signalDbService, () => signalCacheService.clear());
  check("a look writes the id of the row back", await signalCacheService.getSignalId(...CONTEXT), row?.id);
  print(paint.bold("A row of its context, one after the other"));
  const rows = [
    ["the original, id in Redis", looking, paint.dim],
    ["here, id in no cache", unknown, paint.green],
    ["here, id in memory", known, paint.green],
  ];
  const longest = Math.max(...rows.map(([, micros]) => micros));
  for (const [name, micros, style] of rows) {
    print(`${left(name, 25)}  ${style(left(bar(micros / longest, 24), 24))} ${right(micros.toFixed(0), 5)} µs`);
  }
  print();
  say("Seventeen db services share this: a row is found by its context through the cached id, and healed where that is wrong.");
}

module.exports = { candles };

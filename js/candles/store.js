"use strict";
// What the persist adapters use of the candles: windows by their context. Log calls are those of the services.

const { storeAll } = require("./bulk.js");
const { STEPS, onGrid } = require("./grid.js");
const { memory } = require("./memory.js");
const { BYPASS, SHAPES, read } = require("./reads.js");
const { HELD } = require("./cache.js");
const { askRange } = require("./service.js");
const { makeError } = require("../errors.js");
const { fair } = require("../fairness.js");
const { log, loggerService } = require("../logger-service.js");
const { ready } = require("../mongo.js");
const { isAway, whenBack } = require("../mongo-away.js");

/** Candles of rows, as the kit knows them. */
function plain(rows) {
  return rows === null ? null : rows.map(({ timestamp, open, high, low, close, volume }) => ({ timestamp, open, high, low, close, volume }));
}

/** Whether a window is in memory, so that nobody need be asked. */
function isHeld(symbol, interval, exchangeName, since, limit) {
  const { cache } = memory;
  const series = cache?.find(symbol, interval, exchangeName);
  const fits = series !== undefined && Number.isInteger(limit) && limit > 0 && onGrid(since, series.step);
  return fits && cache.look(series, since / series.step, limit, false) === HELD;
}

/**
 * `limit` candles from `since` on as `{ timestamp, open, high, low, close, volume }`, or null as a whole where one is missing.
 * What is in memory is returned itself, anything else as a promise of it. That a candle is not there may be remembered for
 * `CC_CANDLE_ABSENCE_MS`. While MongoDB is known to be away, what is not in memory is refused in a moment.
 */
function readWindow(symbol, interval, exchangeName, since, limit) {
  if (loggerService.active) {
    log(null, "log", "candleDbService findRange", { symbol, interval, exchangeName, sinceTimestamp: since, limit });
  }
  if (isAway() && !isHeld(symbol, interval, exchangeName, since, limit)) {
    return whenBack().then(() => window(symbol, interval, exchangeName, since, limit));
  }
  return window(symbol, interval, exchangeName, since, limit);
}

function window(symbol, interval, exchangeName, since, limit) {
  const found = read(symbol, interval, exchangeName, since, limit, SHAPES.candles, true);
  if (found !== BYPASS && !(found instanceof Promise)) {
    return found;
  }
  const ask = async () => plain(await askRange(symbol, interval, exchangeName, since, limit));
  return found === BYPASS ? ask() : found.then((candles) => (candles === BYPASS ? ask() : candles));
}

/** Whether all of them are known to be there, so that there is nothing to do. */
function allKnown(symbol, interval, exchangeName, candles) {
  const { cache } = memory;
  const series = cache?.find(symbol, interval, exchangeName);
  if (series === undefined) {
    return false;
  }
  const known = candles.every(({ timestamp }) => onGrid(timestamp, series.step) && cache.known(series, timestamp / series.step) === true);
  cache.counters.skippedWrites += known ? candles.length : 0;
  return known;
}

/**
 * Stores candles. Those that are not over at the moment of the call are left out: an unfinished one would stay for ever. It
 * resolves when the server has acknowledged all of them; what is known to be there is not sent. Ids go to Redis only where
 * CC_CANDLE_IDS says so.
 */
async function writeWindow(symbol, interval, exchangeName, candles) {
  if (!Array.isArray(candles) || candles.some((candle) => candle === null || typeof candle !== "object")) {
    throw makeError("INVALID_VALUE", "TypeError", "writeCandlesData: it takes an array of candles");
  }
  const now = Date.now();
  const step = STEPS.get(interval) ?? 0;
  const over = candles.filter(({ timestamp }) => !(Number(timestamp) + step > now));
  log(null, "log", "candleDbService createMany", { symbol, interval, exchangeName, count: over.length });
  ready();
  if (!memory.ids && allKnown(symbol, interval, exchangeName, over)) {
    return fair(undefined);
  }
  if (isAway()) {
    await whenBack();
  }
  await storeAll(over, { symbol, interval, exchangeName }, memory.ids);
}

/** Forgets what is known of the candles of a context: of all that fit what is named. */
function empty({ symbol, interval, exchangeName } = {}) {
  memory.cache?.forget(symbol, interval, exchangeName);
}

module.exports = { readWindow, writeWindow, empty };

"use strict";
// What the persist adapters use of the candles: windows by their context.

const { instances } = require("./db-services.js");

/** Milliseconds of each interval. */
const MINUTE = 60_000;
const MINUTES = { "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480, "1d": 1440 };

const { candleDbService } = instances;

/**
 * `limit` candles from `since` on as `{ timestamp, open, high, low, close, volume }`, or null as a whole where one is
 * missing. What is in memory is returned itself, anything else as a promise of it.
 */
function readWindow(symbol, interval, exchangeName, since, limit) {
  const rows = candleDbService.findRange(symbol, interval, exchangeName, since, limit);
  return rows.then((found) => found?.map(({ timestamp, open, high, low, close, volume }) => ({ timestamp, open, high, low, close, volume })) ?? null);
}

/**
 * Stores candles. Those that are not over at the moment of the call are left out: an unfinished candle would stay for ever.
 * It resolves when the server has acknowledged all of them, whoever wrote them.
 */
async function writeWindow(symbol, interval, exchangeName, candles) {
  const now = Date.now();
  const step = (MINUTES[interval] ?? 0) * MINUTE;
  const over = candles.filter(({ timestamp }) => timestamp + step <= now);
  await candleDbService.createMany(over.map((candle) => ({ ...candle, symbol, interval, exchangeName })));
}

/** Forgets what is known of the candles of a context: of all that fit what is named of it. */
function empty({ symbol, interval, exchangeName } = {}) {
  void [symbol, interval, exchangeName];
}

module.exports = { readWindow, writeWindow, empty };

"use strict";

// A made-up exchange: one-minute candles as a random walk with trends, the same in every run, and larger intervals added
// up from them. Prices and volumes keep all digits of a double where `digits` is null, so that a store which drops the last
// one is found out.

const { chance } = require("../support/random.js");

const MINUTE_MS = 60_000;
/** The month that is traded: 31 days. */
const SINCE = Date.UTC(2025, 2, 1);
const MONTH_MINUTES = 31 * 24 * 60;
/** Candles before it, which indicators look back at, and after it, in which the last position is closed. */
const BEFORE = 14 * 24 * 60;
const AFTER = 3 * 24 * 60;
const FIRST = SINCE - BEFORE * MINUTE_MS;
const COUNT = BEFORE + MONTH_MINUTES + AFTER;

const INTERVAL_MINUTES = { "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480, "1d": 1440 };

const SYMBOLS = {
  BTCUSDT: { price: 84_300, seed: 11, digits: 2 },
  ETHUSDT: { price: 2_217, seed: 23, digits: null },
  "SOL/USDT:USDT": { price: 147.8, seed: 37, digits: 3 },
  TRXUSDT: { price: 0.2323, seed: 41, digits: null },
};

const COLUMNS = ["open", "high", "low", "close", "volume"];

/** All minutes of a symbol, in columns. */
function walk({ price, seed, digits }) {
  const { next } = chance(seed);
  const round = digits === null ? (value) => value : (value) => Number(value.toFixed(digits));
  const columns = Object.fromEntries(COLUMNS.map((name) => [name, new Float64Array(COUNT)]));
  let close = price;
  let trend = 0;
  for (let i = 0; i < COUNT; i++) {
    // A trend lasts some hours; the pull towards the first price keeps a month within what a market does.
    if (i % 360 === 0) trend = (next() - 0.5) * 0.00016 - Math.log(close / price) * 0.00006;
    const open = close;
    close = round(open * (1 + trend + (next() - 0.5) * 0.0016));
    columns.open[i] = open;
    columns.close[i] = close;
    columns.high[i] = round(Math.max(open, close) * (1 + next() * 0.0004));
    columns.low[i] = round(Math.min(open, close) * (1 - next() * 0.0004));
    columns.volume[i] = 1 + next() * 40;
  }
  return columns;
}

const walks = new Map();

function minutesOf(symbol) {
  if (!(symbol in SYMBOLS)) throw new Error(`this exchange does not know ${symbol}`);
  if (!walks.has(symbol)) walks.set(symbol, walk(SYMBOLS[symbol]));
  return walks.get(symbol);
}

/** The candles of an interval from a time on, as an exchange answers: as many as there are, at most `limit`. */
function candles(symbol, interval, since, limit) {
  const columns = minutesOf(symbol);
  const step = INTERVAL_MINUTES[interval];
  const found = [];
  for (let i = 0; i < limit; i++) {
    const timestamp = since + i * step * MINUTE_MS;
    const from = (timestamp - FIRST) / MINUTE_MS;
    if (from < 0 || from + step > COUNT) continue;
    found.push(added(columns, timestamp, from, from + step));
  }
  return found;
}

/** One candle out of the minutes of its time. */
function added(columns, timestamp, from, to) {
  const candle = { timestamp, open: columns.open[from], high: columns.high[from], low: columns.low[from], close: columns.close[to - 1], volume: 0 };
  for (let at = from; at < to; at++) {
    candle.high = Math.max(candle.high, columns.high[at]);
    candle.low = Math.min(candle.low, columns.low[at]);
    candle.volume += columns.volume[at];
  }
  return candle;
}

module.exports = { SYMBOLS, SINCE, MINUTE_MS, MONTH_MINUTES, candles };

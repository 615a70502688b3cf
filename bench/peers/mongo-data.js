"use strict";

// What the MongoDB peers write and read. Each peer has symbols and a database of its own: they share one Redis, and an id
// of another one's database would be a miss.

const START = 1767225600000;
const MINUTE = 60_000;
const STRATEGY = "strategy_name";
const EXCHANGE = "binance";

/** What is the same in the rows of all benches. */
function signalOf(i) {
  return {
    id: `signal-${i}`,
    position: i % 2 ? "long" : "short",
    priceOpen: 100.5 + i,
    priceTakeProfit: 110,
    priceStopLoss: 95.25,
    minuteEstimatedTime: 60,
    timestamp: START + i,
    note: "a note of some words",
    partial: [{ type: "profit", percent: 50 }],
  };
}

/** About what a signal row is; some numbers are whole, some are not, some are beyond 32 bits. */
const payloadOf = (i) => ({ ...signalOf(i), nested: { a: 1, b: null } });

function candleOf(symbol, i) {
  const price = 60_000 + (i % 500) * 0.5;
  return { exchangeName: EXCHANGE, symbol, interval: "1m", timestamp: START + i * MINUTE, open: price, high: price + 10, low: price - 10, close: price + 1.25, volume: i % 97 };
}

function candlesOf(symbol, count) {
  return Array.from({ length: count }, (_, i) => candleOf(symbol, i));
}

/** The calls that are counted, over the services of `ioc` (ours or the original's). */
function serviceOps(ioc, prefix) {
  return {
    upsert: (i) => ioc.signalDbService.upsert(`${prefix}${i}`, STRATEGY, EXCHANGE, payloadOf(i)),
    findByContext: (i) => ioc.signalDbService.findByContext(`${prefix}${i}`, STRATEGY, EXCHANGE),
  };
}

module.exports = { START, MINUTE, STRATEGY, EXCHANGE, signalOf, payloadOf, candleOf, candlesOf, serviceOps };

"use strict";

// The operations of anything that has BaseMap's interface: ours and the original's pattern are used alike.

const data = require("./data.js");
const { nearOps, signals, candles, candleRows, coldSymbols } = require("./near.js");

function mapOps({ plain, expiring, signal }) {
  const { keys, rows, VALUE } = data;
  return {
    get: (i) => plain.get(keys[i]),
    has: (i) => plain.has(keys[i]),
    set: (i) => plain.set(keys[i], VALUE),
    setSignalId: (i) => signal.setSignalId(rows[i]),
    setTtl: (i) => expiring.set(keys[i], VALUE),
  };
}

async function countOf(iterable) {
  let count = 0;
  for await (const item of iterable) if (item !== undefined) count += 1;
  return count;
}

function mapScans({ scanned }) {
  return {
    keys: () => countOf(scanned.keys()),
    values: () => countOf(scanned.values()),
    iterate: () => countOf(scanned.iterate()),
    toArray: async () => (await scanned.toArray()).length,
    size: () => scanned.size(),
    // clear() says nothing about what it deleted; the bench looks on the server.
    clear: () => scanned.clear(),
  };
}

/** The near cache's cases through the services' methods. */
function mapNear(signal, candle) {
  return nearOps({
    get: (i) => signal.getSignalId(signals[i].symbol, signals[i].strategyName, signals[i].exchangeName),
    set: (i, id) => signal.setSignalId({ ...signals[i], id }),
    has: (i) => candle.hasCandleId(candles[i].symbol, candles[i].interval, candles[i].exchangeName, candles[i].timestamp),
    setCandle: (i) => candle.setCandleId(candleRows[i]),
    cold: (i) => signal.getSignalId(coldSymbols[i], data.COLD_STRATEGY, data.EXCHANGE),
  });
}

module.exports = { mapOps, mapScans, mapNear };

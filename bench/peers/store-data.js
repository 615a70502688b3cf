"use strict";

// What the peers of the store bench read and write: the same keys and rows of 400 bytes, so that only the store differs.

const STRATEGY = "strategy_name";
const EXCHANGE = "binance";
const SPACE = "bench";

/** Text of 400 bytes. */
const valueOf = (i) => `${String(i).padStart(8, "0")} ${"v".repeat(391)}`;

/** A row of some 400 bytes in BSON: about what a signal is. */
function payloadOf(i) {
  return {
    id: `signal-${i}`,
    position: i % 2 ? "long" : "short",
    priceOpen: 100.5 + i,
    priceTakeProfit: 110,
    priceStopLoss: 95.25,
    minuteEstimatedTime: 60,
    timestamp: 1767225600000 + i,
    note: "a note of some words",
    partial: [{ type: "profit", percent: 50 }],
    multiplier: 1,
    isolated: true,
  };
}

module.exports = { STRATEGY, EXCHANGE, SPACE, valueOf, payloadOf };

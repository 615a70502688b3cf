"use strict";

// What the peers of the store bench read and write: the same keys and rows of 400 bytes, so that only the store differs.

const { STRATEGY, EXCHANGE, signalOf } = require("./mongo-data.js");

const SPACE = "bench";

/** Text of 400 bytes. */
const valueOf = (i) => `${String(i).padStart(8, "0")} ${"v".repeat(391)}`;

/** A row of some 400 bytes in BSON: about what a signal is. */
const payloadOf = (i) => ({ ...signalOf(i), multiplier: 1, isolated: true });

module.exports = { STRATEGY, EXCHANGE, SPACE, valueOf, payloadOf };

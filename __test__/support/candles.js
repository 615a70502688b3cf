"use strict";

// Candles for tests of the candle cache: what another process has stored, and the windows that the persist adapters use.

const path = require("node:path");
const { root } = require("./addon.js");

const MINUTE = 60_000;
/** The first slot of a block of one-minute candles, in January 2026. */
const START = 28_763 * 1_024 * 60_000 + 1_024 * 60_000;
const NAMES = { symbol: "BTCUSDT", interval: "1m", exchangeName: "binance" };
const CONTEXT = [NAMES.symbol, NAMES.interval, NAMES.exchangeName];

/** The six numbers of the candle at a slot; `shift` makes it another one. */
function plain(slot, shift = 0) {
  const price = 60_000 + slot * 0.5 + shift;
  return { timestamp: START + slot * MINUTE, open: price, high: price + 10, low: price - 10, close: price + 1.25, volume: slot % 97 };
}

const plains = (from, to, shift) => Array.from({ length: to - from }, (_, i) => plain(from + i, shift));
const dto = (slot, over) => ({ ...NAMES, ...plain(slot), ...over });
const dtos = (from, to, over) => Array.from({ length: to - from }, (_, i) => dto(from + i, over));

/** A candle as every release that knows exchanges stores it; see spec/documents.json. */
function document(slot, over = {}) {
  const { timestamp, open, high, low, close, volume } = { ...plain(slot), ...over };
  const [createDate, updatedDate] = [new Date(START), new Date(START + 5)];
  return { exchangeName: "binance", interval: "1m", symbol: "BTCUSDT", timestamp, __v: 0, close, createDate, high, low, open, updatedDate, volume, ...over };
}

/** Stores candles past the package, as another process does. */
async function storeElsewhere(mongo, from, to, over) {
  for (let at = from; at < to; at += 2_000) {
    const documents = Array.from({ length: Math.min(2_000, to - at) }, (_, i) => document(at + i, typeof over === "function" ? over(at + i) : over));
    await mongo.insert("candle-items", documents);
  }
}

/** The windows of the copy of the package that was loaded last. */
const windowsOf = () => require(path.join(root, "js", "candles", "store.js"));

/** MongoDB's operations during an action, without those for further batches. */
async function operations(own, action) {
  const { mongo } = await own.asked(action);
  return mongo.filter((one) => !/^getmore/i.test(one));
}

module.exports = { CONTEXT, MINUTE, NAMES, START, document, dto, dtos, operations, plain, plains, storeElsewhere, windowsOf };

"use strict";
// The adapter for candles, over what is held of them in memory.

const store = require("../candle-store.js");
const { isAway, whenBack } = require("../mongo-away.js");
const { contextClass, define } = require("./adapter.js");

const PersistCandleInstance = contextClass("Candle", ["symbol", "interval", "exchangeName"]);
const { waitForInit } = PersistCandleInstance.prototype;

define(PersistCandleInstance, {
  /** The kit begins anew with this context, perhaps because candles were corrected. */
  waitForInit(initial) {
    if (!initial) {
      return waitForInit.call(this, false);
    }
    const { symbol, interval, exchangeName } = this;
    store.empty({ symbol, interval, exchangeName });
    return isAway() ? whenBack() : waitForInit.call(this, true);
  },

  async readCandlesData(limit, sinceTimestamp, untilTimestamp) {
    return store.readWindow(this.symbol, this.interval, this.exchangeName, sinceTimestamp, limit);
  },

  async writeCandlesData(candles) {
    await store.writeWindow(this.symbol, this.interval, this.exchangeName, candles);
  },
});

module.exports = { PersistCandleInstance };

"use strict";
// The adapter for candles, over what is held of them in memory.

const store = require("../candle-store.js");
const { contextClass, define } = require("./adapter.js");

const PersistCandleInstance = contextClass("Candle", ["symbol", "interval", "exchangeName"]);
const { waitForInit } = PersistCandleInstance.prototype;

define(PersistCandleInstance, {
  /** The kit begins anew with this context, perhaps because candles were corrected. */
  waitForInit(initial) {
    if (initial) {
      const { symbol, interval, exchangeName } = this;
      store.empty({ symbol, interval, exchangeName });
    }
    return waitForInit.call(this, initial);
  },

  async readCandlesData(limit, sinceTimestamp, untilTimestamp) {
    return store.readWindow(this.symbol, this.interval, this.exchangeName, sinceTimestamp, limit);
  },

  async writeCandlesData(candles) {
    await store.writeWindow(this.symbol, this.interval, this.exchangeName, candles);
  },
});

module.exports = { PersistCandleInstance };

"use strict";
// The adapter for candles, over what is held of them in memory.

const store = require("../candles/store.js");
const { withCode } = require("../errors.js");
const { isAway, whenBack } = require("../mongo-away.js");
const { contextClass, define, defineCalls } = require("./adapter.js");

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
    try {
      const found = store.readWindow(this.symbol, this.interval, this.exchangeName, sinceTimestamp, limit);
      // What is in memory is there already.
      return found instanceof Promise ? await found : found;
    } catch (error) {
      throw withCode(error, "INVALID_VALUE", "PersistCandleInstance.readCandlesData failed on these arguments");
    }
  },
});

defineCalls(PersistCandleInstance, {
  async writeCandlesData(candles) {
    await store.writeWindow(this.symbol, this.interval, this.exchangeName, candles);
  },
});

module.exports = { PersistCandleInstance };

"use strict";

// The strategies of the story, minute by minute. The rules are simple on purpose: buy one percent below the opening, take
// half of the profit at one percent, move the stop to the entry, close the rest at two; or stop at minus one and a half.

const { check } = require("./checks.js");
const { MARKETS, FRAME, candlesOf, clock, newId, rounded } = require("./market.js");
const { count, paint, print, left, right } = require("./screen.js");

const money = (price) => (price < 1 ? price.toFixed(4) : count(price));
const percent = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)} %`;
const coloured = (value) => (value < 0 ? paint.red : paint.green)(percent(value));

class Trader {
  constructor(market, books) {
    const { symbol, strategyName, exchangeName } = market;
    this.books = books;
    this.market = market;
    this.context = { symbol, strategyName, exchangeName };
    this.mode = { frameName: FRAME, backtest: true };
    this.state = "watching";
    this.profit = 0;
  }

  /** Stores a row for each noun and prints what happened, where that is worth a line. */
  async note(timestamp, what, rows, shown = true) {
    const nouns = Object.keys(rows);
    await Promise.all(nouns.map((noun) => this.books.store(noun, { ...rows[noun], id: newId() })));
    if (!shown) return;
    const services = nouns.map((noun) => noun.replace("Entry", "").toLowerCase()).join(" ");
    print(`${clock(timestamp)}  ${left(this.market.symbol, 8)} ${left(what, 24)} ${paint.dim(services)}`);
  }

  notification(signalId, type) {
    return { ...this.mode, signalId, notificationId: `${signalId}-${type}` };
  }

  async step({ timestamp, close, ...candle }) {
    const row = { ...candle, timestamp, close, id: newId() };
    await this.books.store("Candle", row);
    await this[this.state](timestamp, close);
  }

  async watching(timestamp, close) {
    this.limit = rounded(close * 0.99);
    this.state = "waiting";
    await this.note(timestamp, `buy limit at ${money(this.limit)}`, {
      Strategy: this.context,
      Session: { ...this.context, ...this.mode },
      Schedule: { ...this.context, priceOpen: this.limit },
    }, false);
  }

  async waiting(timestamp, close) {
    if (close > this.limit) return;
    const signalId = `${this.market.symbol.slice(0, 3).toLowerCase()}-${clock(timestamp).replace(":", "")}`;
    this.signalId = signalId;
    this.state = "holding";
    await this.note(timestamp, `filled at ${money(this.limit)}`, {
      Signal: { ...this.context, signalId, priceOpen: this.limit },
      Risk: { riskName: "one_position", exchangeName: this.market.exchangeName },
      Recent: { ...this.context, ...this.mode, signalId },
      Storage: { ...this.mode, signalId, status: "opened" },
      Log: { entryId: `${signalId}-opened`, level: "info" },
    });
  }

  async holding(timestamp, close) {
    if (this.gain(close) <= -1.5) return this.close(timestamp, close, "stopped out at");
    if (this.gain(close) < 1) return;
    const { signalId } = this;
    this.profit = this.gain(close) / 2;
    this.state = "secured";
    await this.note(timestamp, `half sold at ${money(close)}`, {
      Partial: { ...this.context, signalId, percent: 50 },
      Breakeven: { ...this.context, signalId, stop: this.limit },
      Notification: this.notification(signalId, "partial"),
      State: { signalId, bucketName: "trailing" },
    });
  }

  async secured(timestamp, close) {
    if (this.gain(close) >= 2) return this.close(timestamp, close, "sold at", 0.5);
    if (close <= this.limit) return this.close(timestamp, close, "rest sold at", 0.5);
  }

  async close(timestamp, close, what, share = 1) {
    const { signalId } = this;
    const hour = new Date(timestamp).toISOString().slice(0, 13);
    this.profit += this.gain(close) * share;
    this.state = "done";
    await this.note(timestamp, `${what} ${money(close)}`, {
      Storage: { ...this.mode, signalId, status: "closed" },
      Notification: this.notification(signalId, "closed"),
    });
    await this.note(timestamp, "report, lesson, labels", {
      Measure: { bucket: "funding_rate", entryKey: `${this.market.symbol}-${hour}` },
      Interval: { bucket: "hourly_report", entryKey: `${this.market.symbol}-${hour}` },
      MemoryEntry: { signalId, bucketName: "lessons", memoryId: "exit" },
      Dictionary: { signalId, dictionaryName: "labels" },
    }, false);
  }

  async done() {}

  gain(close) {
    return (close / this.limit - 1) * 100;
  }
}

/** Plays all markets side by side; resolves with the traders. */
async function trade(books) {
  const traders = MARKETS.map((market) => new Trader(market, books));
  const candles = MARKETS.map(candlesOf);
  for (let minute = 0; minute < candles[0].length; minute++) {
    for (const [i, trader] of traders.entries()) await trader.step(candles[i][minute]);
  }
  print();
  for (const { market, profit, state } of traders) {
    check(`the position in ${market.symbol} is closed`, state, "done");
    print(`${left(market.symbol, 8)} ${left(`${market.strategyName} on ${market.exchangeName}`, 24)} ${right(coloured(profit), 8)}`);
  }
  return traders;
}

module.exports = { trade, percent, coloured };

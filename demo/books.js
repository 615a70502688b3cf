"use strict";

// The books of the story: every row that it stores, under which key it must be found in Redis, and the calls that store
// it and find it again. The keys are written out here, and not asked from the package, because they are what the demo
// checks.

const { ioc } = require("../index.js");
const { check } = require("./checks.js");

const mode = (row) => (row.backtest ? "backtest" : "live");

/** By noun: the service, how a read names its context, and the key after `<service>_cache:`. */
const NOUNS = {
  Candle: ["candle", "symbol interval exchangeName timestamp", (r) => `${r.exchangeName}:${r.symbol}:${r.interval}:${r.timestamp}`],
  Signal: ["signal", "symbol strategyName exchangeName", (r) => `${r.exchangeName}:${r.strategyName}:${r.symbol}`],
  Schedule: ["schedule", "symbol strategyName exchangeName", (r) => `${r.exchangeName}:${r.strategyName}:${r.symbol}`],
  Strategy: ["strategy", "symbol strategyName exchangeName", (r) => `${r.exchangeName}:${r.strategyName}:${r.symbol}`],
  Risk: ["risk", "riskName exchangeName", (r) => `${r.exchangeName}:${r.riskName}`],
  Partial: ["partial", "symbol strategyName exchangeName signalId", (r) => `${r.exchangeName}:${r.strategyName}:${r.symbol}:${r.signalId}`],
  Breakeven: ["breakeven", "symbol strategyName exchangeName signalId", (r) => `${r.exchangeName}:${r.strategyName}:${r.symbol}:${r.signalId}`],
  Storage: ["storage", "backtest signalId", (r) => `${mode(r)}:${r.signalId}`],
  Notification: ["notification", "backtest notificationId", (r) => `${mode(r)}:${r.notificationId}`],
  Log: ["log", "entryId", (r) => r.entryId],
  Measure: ["measure", "bucket entryKey", (r) => `${r.bucket}:${r.entryKey}`],
  Interval: ["interval", "bucket entryKey", (r) => `${r.bucket}:${r.entryKey}`],
  MemoryEntry: ["memory", "signalId bucketName memoryId", (r) => `${r.signalId}:${r.bucketName}:${r.memoryId}`],
  Recent: ["recent", "symbol strategyName exchangeName frameName backtest", (r) => `${mode(r)}:${r.exchangeName}:${r.strategyName}:${r.frameName}:${r.symbol}`],
  State: ["state", "signalId bucketName", (r) => `${r.signalId}:${r.bucketName}`],
  Dictionary: ["dictionary", "signalId dictionaryName", (r) => `${r.signalId}:${r.dictionaryName}`],
  Session: ["session", "strategyName exchangeName frameName symbol backtest", (r) => `${r.exchangeName}:${r.strategyName}:${r.frameName}:${r.symbol}:${mode(r)}`],
};

class Books {
  constructor() {
    /** By Redis key: `{ noun, row }`, the row that was stored there last. */
    this.rows = new Map();
    this.calls = { set: 0, has: 0, get: 0 };
  }

  /** Stores the row's id by `set<Noun>Id`, as a strategy does after each step. */
  async store(noun, row) {
    const [stem, , subkey] = NOUNS[noun];
    const stored = await ioc[`${stem}CacheService`][`set${noun}Id`](row);
    check(`set${noun}Id returns the id`, stored, row.id);
    this.calls.set++;
    this.rows.set(`${stem}_cache:${subkey(row)}`, { noun, row });
  }

  /** Looks a row up the way its users do; whether it is there and its id is the one that was stored. */
  async find(noun, row) {
    const [stem, fields] = NOUNS[noun];
    const service = ioc[`${stem}CacheService`];
    const context = fields.split(" ").map((field) => row[field]);
    this.calls.has++;
    this.calls.get++;
    const [has, id] = await Promise.all([service[`has${noun}Id`](...context), service[`get${noun}Id`](...context)]);
    return { has, id, context };
  }

  /** The rows of a service, by their Redis keys. */
  of(stem) {
    return new Map([...this.rows].filter(([key]) => key.startsWith(`${stem}_cache:`)));
  }
}

module.exports = { Books, NOUNS };

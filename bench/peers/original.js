"use strict";

// The original's pattern: what backtest-kit's TypeScript BaseMap and its cache service do over ioredis, command for
// command and wrapper for wrapper. A logger that does nothing is called through an async wrapper that nobody awaits;
// keys are template strings; SET and EXPIRE are two round trips; a page of a scan is SCAN, then MGET or DEL.

const data = require("./data.js");
const { connect } = require("./ioredis.js");
const { mapOps, mapScans, mapNear } = require("./maps.js");
const { versionOf } = require("./version.js");

const BATCH_SIZE = 100;
const noop = { log() {}, debug() {}, info() {}, warn() {} };

class LoggerService {
  constructor() {
    this.logger = noop;
    this.log = async (topic, ...args) => {
      await this.logger.log(topic, ...args);
    };
    this.info = async (topic, ...args) => {
      await this.logger.info(topic, ...args);
    };
  }
}

class OriginalMap {
  constructor(redis, loggerService, connectionKey, ttlExpireSeconds = 300) {
    this.redis = redis;
    this.loggerService = loggerService;
    this.connectionKey = connectionKey;
    this.ttlExpireSeconds = ttlExpireSeconds;
  }

  _getItemKey(key) {
    return `${this.connectionKey}:${key}`;
  }

  async set(key, value) {
    if (!key) throw new Error("Key cannot be empty");
    this.loggerService.info(`BaseMap set key=${key}`, { key, value });
    const itemKey = this._getItemKey(key);
    await this.redis.set(itemKey, value);
    if (this.ttlExpireSeconds !== -1) await this.redis.expire(itemKey, this.ttlExpireSeconds);
  }

  async get(key) {
    this.loggerService.info(`BaseMap get key=${key}`);
    if (key === null) return null;
    return await this.redis.get(this._getItemKey(key));
  }

  async has(key) {
    this.loggerService.info(`BaseMap has key=${key}`);
    if (key === null) return false;
    return (await this.redis.exists(this._getItemKey(key))) === 1;
  }

  async clear() {
    this.loggerService.info("BaseMap clear");
    let cursor = 0;
    do {
      const [next, keys] = await this.scan(cursor);
      cursor = next;
      if (keys.length > 0) await this.redis.del(...keys);
    } while (cursor !== "0");
  }

  async *iterate() {
    this.loggerService.info("BaseMap iterate");
    let cursor = 0;
    do {
      const [next, keys] = await this.scan(cursor);
      cursor = next;
      if (keys.length === 0) continue;
      const values = await this.redis.mget(...keys);
      for (let i = 0; i < keys.length; i++) {
        if (values[i] !== null) yield [keys[i].slice(this.connectionKey.length + 1), values[i]];
      }
    } while (cursor !== "0");
  }

  async toArray() {
    this.loggerService.info("BaseMap toArray");
    const items = [];
    let cursor = 0;
    do {
      const [next, keys] = await this.scan(cursor);
      cursor = next;
      if (keys.length === 0) continue;
      const values = await this.redis.mget(...keys);
      for (let i = 0; i < keys.length; i++) {
        if (values[i] !== null) items.push([keys[i].slice(this.connectionKey.length + 1), values[i]]);
      }
    } while (cursor !== "0");
    return items;
  }

  async *keys() {
    this.loggerService.info("BaseMap iterate keys");
    let cursor = 0;
    do {
      const [next, keys] = await this.scan(cursor);
      cursor = next;
      for (const key of keys) yield key.slice(this.connectionKey.length + 1);
    } while (cursor !== "0");
  }

  async *values() {
    this.loggerService.info("BaseMap iterate values");
    let cursor = 0;
    do {
      const [next, keys] = await this.scan(cursor);
      cursor = next;
      if (keys.length === 0) continue;
      for (const value of await this.redis.mget(...keys)) if (value !== null) yield value;
    } while (cursor !== "0");
  }

  async size() {
    this.loggerService.info("BaseMap size");
    let count = 0;
    let cursor = 0;
    do {
      const [next, keys] = await this.scan(cursor);
      cursor = next;
      count += keys.length;
    } while (cursor !== "0");
    return count;
  }

  scan(cursor) {
    return this.redis.scan(cursor, "MATCH", `${this.connectionKey}:*`, "COUNT", BATCH_SIZE);
  }
}

class OriginalSignalCache extends OriginalMap {
  async setSignalId(row) {
    const { symbol, strategyName, exchangeName } = row;
    this.loggerService.log("signalCacheService setSignalId", { symbol, strategyName, exchangeName });
    await super.set(`${exchangeName}:${strategyName}:${symbol}`, row.id);
    return row.id;
  }

  async getSignalId(symbol, strategyName, exchangeName) {
    this.loggerService.log("signalCacheService getSignalId", { symbol, strategyName, exchangeName });
    return await super.get(`${exchangeName}:${strategyName}:${symbol}`);
  }
}

class OriginalCandleCache extends OriginalMap {
  async setCandleId(row) {
    const { symbol, interval, exchangeName, timestamp } = row;
    this.loggerService.log("candleCacheService setCandleId", { symbol, interval, exchangeName, timestamp });
    await super.set(`${exchangeName}:${symbol}:${interval}:${timestamp}`, row.id);
    return row.id;
  }

  async hasCandleId(symbol, interval, exchangeName, timestamp) {
    this.loggerService.log("candleCacheService getCandleId", { symbol, interval, exchangeName, timestamp });
    return await this.has(`${exchangeName}:${symbol}:${interval}:${timestamp}`);
  }
}

async function open(server) {
  const redis = await connect("ioredis", server);
  const logger = new LoggerService();
  const maps = {
    plain: new OriginalMap(redis, logger, data.PLAIN, -1),
    expiring: new OriginalMap(redis, logger, data.EXPIRING, data.TTL_SECONDS),
    scanned: new OriginalMap(redis, logger, data.SCANNED, -1),
    signal: new OriginalSignalCache(redis, logger, "signal_cache", -1),
  };
  const candle = new OriginalCandleCache(redis, logger, "candle_cache", -1);
  return {
    version: versionOf("ioredis"),
    ops: mapOps(maps),
    scans: mapScans(maps),
    near: mapNear(maps.signal, candle),
    close: () => redis.quit(),
  };
}

module.exports = { open };

"use strict";

// The other side of the comparison: the db services of backtest-kit's TypeScript on mongoose and ioredis, driven by the
// table of spec/collections.json. It writes the documents and makes the calls that ours have to equal.

const mongoose = require("mongoose");
const Redis = require("ioredis");
const { OriginalCrud, toRow } = require("./base-crud.js");
const { tableOf, modelsOn } = require("./models.js");

const UPSERT = { upsert: true, new: true, setDefaultsOnInsert: true };
const DEFAULT_EXCHANGE = "ccxt_binance";
const NEWEST = 200;
const silent = { log() {}, debug() {}, info() {}, warn() {} };

/** Fields by name from a call's arguments. */
function named(names, values) {
  return Object.fromEntries(names.map((name, i) => [name, values[i]]));
}

function pick(from, names) {
  return named(names, names.map((name) => from[name]));
}

class OriginalDb extends OriginalCrud {
  constructor(row, { model, redis, logger, release }) {
    super(model, logger, release);
    this.row = row;
    this.redis = redis;
    this.cacheName = row.cacheKey.slice(0, row.cacheKey.indexOf(":") + 1);
    if (row.upsertArgs) this.upsert = (...values) => this.write(named(row.upsertArgs, values));
    this[row.find] = (...values) => this.read(this.keyOf(values));
  }

  /** The key from a reading call's arguments. Older releases ask for candles without an exchange. */
  keyOf(values) {
    const key = named(this.row.findArgs || this.row.key, values);
    return this.row.service === "candleDbService" ? { exchangeName: DEFAULT_EXCHANGE, ...key } : key;
  }

  cacheKey(of) {
    const template = this.row.cacheKey.slice(this.cacheName.length);
    return template.replace(/\{(\w+)\}/g, (_, name) => (name === "mode" ? (of.backtest ? "backtest" : "live") : of[name]));
  }

  serviceSaid(method, args) {
    this.logger.log(`${this.row.service} ${method}`, args);
  }

  cacheSaid(verb, of) {
    this.logger.log(`${this.row.cacheService} ${verb}${this.row.noun}Id`, pick(of, this.row.findArgs || this.row.key));
  }

  async cachedId(of) {
    this.cacheSaid("get", of);
    this.logger.info(`BaseMap get key=${this.cacheKey(of)}`);
    return this.redis.get(this.cacheName + this.cacheKey(of));
  }

  async hasCached(of) {
    this.cacheSaid("has", of);
    this.logger.info(`BaseMap has key=${this.cacheKey(of)}`);
    return (await this.redis.exists(this.cacheName + this.cacheKey(of))) === 1;
  }

  async keep(row) {
    const key = this.cacheKey(row);
    this.cacheSaid("set", row);
    this.logger.info(`BaseMap set key=${key}`, { key, value: row.id });
    await this.redis.set(this.cacheName + key, row.id);
    return row;
  }

  async write(fields) {
    const { payload, positions, when, ...key } = fields;
    this.serviceSaid("upsert", "when" in fields ? { ...key, when } : key);
    const set = "positions" in fields ? { positions } : { payload };
    if ("removed" in this.row.fields) set.removed = payload.removed;
    if ("when" in fields) set.when = when.getTime();
    await this.keep(toRow(await this.model.findOneAndUpdate(key, { $set: set }, UPSERT)));
  }

  async read(key) {
    this.serviceSaid(this.row.find, key);
    return this.lookUp(key);
  }

  async lookUp(key) {
    const id = await this.cachedId(key);
    const cached = id ? await this.findByFilter({ _id: id }) : null;
    if (cached) return cached;
    const row = await this.findByFilter(key);
    return row ? this.keep(row) : null;
  }

  async newest(filter) {
    return (await this.model.find(filter).sort({ createDate: -1 }).limit(NEWEST)).map(toRow);
  }
}

/** What only some services have, by service. */
const EXTRAS = {
  candleDbService: {
    async create(dto) {
      this.serviceSaid("create", { dto });
      const { open, high, low, close, volume } = dto;
      const insert = { open, high, low, close, volume };
      const key = pick(dto, this.row.key);
      // Older releases take no notice of the exchange.
      if (!("exchangeName" in key)) insert.exchangeName = DEFAULT_EXCHANGE;
      return this.keep(toRow(await this.model.findOneAndUpdate(key, { $setOnInsert: insert }, UPSERT)));
    },
    async hasCandle(...values) {
      const key = this.keyOf(values);
      this.serviceSaid("hasCandle", key);
      return (await this.hasCached(key)) || (await this.findBySymbolIntervalTimestamp(...values)) !== null;
    },
  },
  memoryDbService: {
    softRemove,
    async hasMemoryEntry(...values) {
      const key = named(this.row.key, values);
      this.serviceSaid("hasMemoryEntry", key);
      if (await this.hasCached(key)) return true;
      const row = await this.findByFilter(key);
      if (row) await this.keep(row);
      return row !== null;
    },
    async listEntries(signalId, bucketName) {
      this.serviceSaid("listEntries", { signalId, bucketName });
      return this.findAll({ signalId, bucketName, removed: false });
    },
  },
  storageDbService: {
    async listByMode(backtest) {
      this.serviceSaid("listByMode", { backtest });
      return this.findAll({ backtest });
    },
  },
  notificationDbService: {
    async listByMode(backtest) {
      this.serviceSaid("listByMode", { backtest });
      return this.newest({ backtest });
    },
  },
  logDbService: {
    async listAll() {
      this.logger.log("logDbService listAll");
      return this.newest({});
    },
  },
  measureDbService: { listKeys, softRemove },
  intervalDbService: {
    listKeys,
    softRemove,
    async clearBucket(bucket) {
      this.serviceSaid("clearBucket", { bucket });
      for (const row of await this.findAll({ bucket })) {
        this.cacheSaid("delete", row);
        this.logger.info(`BaseMap delete key=${this.cacheKey(row)}`);
        await this.redis.del(this.cacheName + this.cacheKey(row));
      }
      await this.model.deleteMany({ bucket });
    },
  },
};

async function listKeys(bucket) {
  this.serviceSaid("listKeys", { bucket });
  return (await this.findAll({ bucket, removed: false })).map((row) => row.entryKey);
}

async function softRemove(...values) {
  const key = named(this.row.key, values);
  this.serviceSaid("softRemove", key);
  const change = { $set: { removed: true, "payload.removed": true } };
  const document = await this.model.findOneAndUpdate(key, change, { new: true });
  if (document) await this.keep(toRow(document));
}

/**
 * Opens it on two servers. Resolves with `ioc` (the db services), `crud(collection)`, `models`, and `close()`.
 * Options: `redis` (a RedisServer), `mongo` (a MongoServer), `database`, `release` ("newer" or "older"), `logger`,
 * `indexes` (false: they are not awaited).
 */
async function openOriginal({ redis: redisServer, mongo, database = mongo.database, release = "newer", logger = silent, indexes = true }) {
  const connection = await mongoose.createConnection(mongo.urlOf(database, { wtimeoutMS: 15000 })).asPromise();
  const redis = new Redis({ host: redisServer.host, port: redisServer.port, password: redisServer.password || undefined });
  const table = tableOf(release);
  const models = modelsOn(connection, table, release);
  if (indexes) await Promise.all(Object.values(models).map((model) => model.init()));
  const ioc = {};
  for (const row of table) {
    const service = new OriginalDb(row, { model: models[row.collection], redis, logger, release });
    ioc[row.service] = Object.assign(service, bound(EXTRAS[row.service] || {}, service));
  }
  const close = async () => {
    await connection.close();
    await redis.quit().catch(() => redis.disconnect());
  };
  const crud = (collection) => new OriginalCrud(models[collection], logger, release);
  return { ioc, crud, models, redis, connection, close };
}

function bound(methods, service) {
  return Object.fromEntries(Object.entries(methods).map(([name, method]) => [name, method.bind(service)]));
}

module.exports = { openOriginal };

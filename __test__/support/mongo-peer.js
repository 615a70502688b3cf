"use strict";

// Two servers and the db services on them, for a spec file. BKN_MONGO_PEER=original runs the same tests against the
// TypeScript original's services, which shows that the tests themselves are right; default is this package.

const { loadFresh, collect } = require("./addon.js");
const { startMongo } = require("./mongo.js");
const { startRedis } = require("./redis.js");
const { openOriginal } = require("./original-mongo/index.js");
const { loadSpec } = require("./spec.js");

const PEER = process.env.BKN_MONGO_PEER || "ours";
const isOriginal = PEER === "original";
const { collections } = loadSpec("collections");

/** For tests of what only this package promises. */
function oursOnly(test) {
  // Skipped never in `npm test`: only where somebody sets BKN_MONGO_PEER=original to try the tests themselves. The original
  // lacks these calls, or is known to behave otherwise (COMPATIBILITY.md), so there is nothing of it to test.
  return isOriginal ? test.skip : test;
}

/**
 * The returned object has, once the tests run: `mongo`, `redis`, `ioc`, `crud(collection)`, `setLogger(logger)`, and
 * `lib` (only for this package). `asked(action)` resolves with what both servers got during the action:
 * `{ mongo: ["find signal-items", …], redis: [["GET", key], …] }`. `wipe()` empties everything but indexes.
 */
function withMongo(test, { config, mongoOptions } = {}) {
  const own = {};
  test.before(async () => {
    [own.mongo, own.redis] = await Promise.all([startMongo(mongoOptions), startRedis()]);
    Object.assign(process.env, own.mongo.env, own.redis.env);
    if (isOriginal) await useOriginal(own);
    else useOurs(own, config);
    own.monitor = await own.redis.monitor();
  });
  test.after.always(async () => {
    if (own.close) await own.close();
    if (own.monitor) await own.monitor.stop();
    await Promise.all([own.mongo, own.redis].map((server) => server && server.stop()));
  });
  own.asked = (action) => asked(own, action);
  own.wipe = async () => {
    for (const { collection } of collections) {
      await own.mongo.command({ delete: collection, deletes: [{ q: {}, limit: 0 }] });
    }
    await own.redis.command("FLUSHALL");
    // Rows that somebody else has deleted: nobody told the package.
    if (!isOriginal) own.ioc.candleDbService.forget();
  };
  return own;
}

async function useOriginal(own) {
  let logger = null;
  const relay = Object.fromEntries(["log", "debug", "info", "warn"].map((level) => [level, (...args) => logger && logger[level](...args)]));
  const original = await openOriginal({ mongo: own.mongo, redis: own.redis, logger: relay });
  Object.assign(own, { ioc: original.ioc, crud: original.crud, close: original.close });
  own.setLogger = (given) => void (logger = given);
}

function useOurs(own, config) {
  const lib = loadFresh(config);
  const crud = (collection) => new (lib.BaseCRUD(collection))();
  Object.assign(own, { lib, ioc: lib.ioc, crud, close: () => lib.close(), setLogger: lib.setLogger });
}

async function asked({ mongo, monitor }, action) {
  const watch = await mongo.watch();
  await monitor.settle();
  monitor.clear();
  try {
    await action();
    const operations = (await watch.operations()).map(({ kind, collection }) => `${NAMES[kind] || kind} ${collection}`);
    const commands = (await monitor.calls()).map(([name, ...args]) => [name.toUpperCase(), ...args]);
    return { mongo: operations, redis: commands };
  } finally {
    await watch.stop();
  }
}

const NAMES = { query: "find", findandmodify: "findAndModify" };

/** Arguments of one call of a service, by name, with `over` in place of some; the same for every test. */
const SAMPLE = {
  symbol: "BTCUSDT",
  strategyName: "strat",
  exchangeName: "binance",
  signalId: "sig-1",
  riskName: "risk-1",
  backtest: true,
  notificationId: "not-1",
  entryId: "log-1",
  bucket: "bucket",
  entryKey: "key-1",
  bucketName: "bucket",
  memoryId: "mem-1",
  frameName: "frame",
  dictionaryName: "dict",
  interval: "1m",
  timestamp: 1767225600000,
  when: new Date(1767323045678),
  payload: { id: "x", big: 1767225600000, half: 0.5, list: [1, { a: null }], removed: false },
  positions: [["k", { a: 1 }]],
};

const CANDLE = { open: 1.5, high: 2, low: 1, close: 1.75, volume: 0 };

function argumentsFor(names, over = {}) {
  return names.map((name) => (name in over ? over[name] : SAMPLE[name]));
}

/** Writes the row of a service as its users do. */
function write(ioc, row, over = {}) {
  const service = ioc[row.service];
  if (row.upsertArgs) return service.upsert(...argumentsFor(row.upsertArgs, over));
  const key = Object.fromEntries(row.key.map((name) => [name, name in over ? over[name] : SAMPLE[name]]));
  return service.create({ ...key, ...CANDLE });
}

/** Reads it back through the cache. */
function read(ioc, row, over = {}) {
  return ioc[row.service][row.find](...argumentsFor(row.findArgs || row.key, over));
}

/** The key in Redis under which the id of the row is kept. */
function cacheKey(row, over = {}) {
  const fields = { ...SAMPLE, ...over };
  return row.cacheKey.replace(/\{(\w+)\}/g, (_, name) => (name === "mode" ? (fields.backtest ? "backtest" : "live") : fields[name]));
}

module.exports = { withMongo, oursOnly, isOriginal, collections, argumentsFor, write, read, cacheKey, collect, SAMPLE, CANDLE };

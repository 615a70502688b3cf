"use strict";

// What the spec files of the persist adapters share: both servers, the package set up on a kit, and a world of calls.

const { loadFresh } = require("./addon.js");
const { startMongo } = require("./mongo.js");
const { startRedis } = require("./redis.js");
const { standInKit } = require("./stand-in-kit.js");

/** The configuration that points the package at these servers. */
const configOf = ({ mongo, redis }) => ({
  CC_MONGO_CONNECTION_STRING: mongo.urlOf("backtest-kit"),
  CC_REDIS_HOST: redis.host,
  CC_REDIS_PORT: redis.port,
});

/**
 * Servers for a spec file, and for each test a copy of the package that is set up on a kit of its own, with an empty
 * database. `fresh(options)` sets up a further copy, as another process would be.
 */
function withKit(test, options = {}) {
  const own = { mongo: null, redis: null, lib: null, kit: null };
  const copies = new Set();
  own.fresh = ({ kit = standInKit(options.kit), config } = {}) => {
    const lib = loadFresh({ ...configOf(own), ...config });
    copies.add(lib);
    lib.install(kit);
    return { lib, kit };
  };
  test.before(async () => {
    [own.mongo, own.redis] = await Promise.all([startMongo({ database: "backtest-kit", ...options.mongo }), startRedis()]);
  });
  test.beforeEach(async () => {
    await Promise.all([own.mongo.drop(), own.redis.command("FLUSHALL")]);
    Object.assign(own, own.fresh());
  });
  test.afterEach.always(async () => {
    await Promise.all([...copies].map((lib) => lib.close()));
    copies.clear();
  });
  test.after.always(async () => {
    await Promise.all([own.mongo?.stop(), own.redis?.stop()]);
  });
  return own;
}

module.exports = { configOf, withKit };

"use strict";

// This package, through nothing but its public interface.

const path = require("node:path");
const data = require("./data.js");
const { mapOps, mapScans, mapNear } = require("./maps.js");

async function open(_server, { nearCache = "off" } = {}) {
  const lib = require(path.resolve(__dirname, "..", ".."));
  // The near cache answers reads without asking the server, which is no comparison of clients: it has cases of its own.
  lib.setConfig({ CC_NEAR_CACHE: nearCache });
  const { BaseMap, ioc } = lib;
  const maps = {
    plain: new BaseMap(data.PLAIN, -1),
    expiring: new BaseMap(data.EXPIRING, data.TTL_SECONDS),
    scanned: new BaseMap(data.SCANNED, -1),
    signal: ioc.signalCacheService,
  };
  await lib.ioc.redisService.waitForInit();
  return {
    version: require("../../package.json").version,
    ops: mapOps(maps),
    scans: mapScans(maps),
    near: mapNear(ioc.signalCacheService, ioc.candleCacheService),
    cache: () => lib.stats().nearCache,
    close: () => lib.close(),
  };
}

module.exports = { open };

"use strict";

// This package, through nothing but its public interface.

const path = require("node:path");
const data = require("./data.js");
const { mapOps, mapScans } = require("./maps.js");

async function open() {
  const lib = require(path.resolve(__dirname, "..", ".."));
  // The near cache would answer reads without asking the server, which is no comparison of clients.
  if ("CC_NEAR_CACHE" in lib.getConfig()) lib.setConfig({ CC_NEAR_CACHE: "off" });
  const { BaseMap, ioc } = lib;
  const maps = {
    plain: new BaseMap(data.PLAIN, -1),
    expiring: new BaseMap(data.EXPIRING, data.TTL_SECONDS),
    scanned: new BaseMap(data.SCANNED, -1),
    signal: ioc.signalCacheService,
  };
  await lib.waitForInit();
  return {
    version: require("../../package.json").version,
    ops: mapOps(maps),
    scans: mapScans(maps),
    close: () => lib.close(),
  };
}

module.exports = { open };

"use strict";

// This package's db services, through nothing but its public interface and as it comes: the near cache is on.

const path = require("node:path");
const { START, EXCHANGE, candlesOf, serviceOps } = require("./mongo-data.js");

async function open(_server, { prefix }) {
  const lib = require(path.resolve(__dirname, "..", ".."));
  await lib.waitForInit();
  const { candleDbService } = lib.ioc;
  return {
    version: require("../../package.json").version,
    mongo: {
      ops: serviceOps(lib.ioc, prefix),
      async write(symbol, count) {
        const { inserted, existing } = await candleDbService.createMany(candlesOf(symbol, count));
        return inserted + existing;
      },
      async read(symbol, count) {
        return (await candleDbService.findRange(symbol, "1m", EXCHANGE, START, count)).length;
      },
    },
    close: () => lib.close(),
  };
}

module.exports = { open };

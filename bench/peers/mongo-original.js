"use strict";

// The original's services: mongoose and ioredis, one candle after the other, as its readers and writers go.

const { openOriginal } = require("../../__test__/support/original-mongo/index.js");
const { MINUTE, START, EXCHANGE, candlesOf, serviceOps } = require("./mongo-data.js");
const { versionOf } = require("./version.js");

async function open(server, { prefix }) {
  const { ioc, close } = await openOriginal({ redis: server, mongo: { urlOf: () => server.mongoUrl } });
  const { candleDbService } = ioc;
  return {
    version: versionOf("mongoose"),
    mongo: {
      ops: serviceOps(ioc, prefix),
      async write(symbol, count) {
        for (const candle of candlesOf(symbol, count)) await candleDbService.create(candle);
        return count;
      },
      async read(symbol, count) {
        const rows = [];
        for (let i = 0; i < count; i++) {
          rows.push(await candleDbService.findBySymbolIntervalTimestamp(symbol, "1m", EXCHANGE, START + i * MINUTE));
        }
        return rows.filter(Boolean).length;
      },
    },
    close,
  };
}

module.exports = { open };

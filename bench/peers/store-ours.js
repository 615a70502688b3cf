"use strict";

// This package, through nothing but its public interface: on the embedded store, or on servers. Which, says the environment.

const path = require("node:path");
const { STRATEGY, EXCHANGE, SPACE, valueOf, payloadOf } = require("./store-data.js");

async function open() {
  const lib = require(path.resolve(__dirname, "..", ".."));
  await lib.waitForInit();
  const map = new lib.BaseMap(SPACE, -1);
  const { signalDbService } = lib.ioc;
  return {
    version: require("../../package.json").version,
    store: {
      ops: {
        get: (i) => map.get(`key:${i}`),
        set: (i) => map.set(`key:${i}`, valueOf(i)),
        upsert: (i) => signalDbService.upsert(`SYM${i}`, STRATEGY, EXCHANGE, payloadOf(i)),
        findByContext: (i) => signalDbService.findByContext(`SYM${i}`, STRATEGY, EXCHANGE),
      },
      setMany: (numbers) => Promise.all(numbers.map((i) => map.set(`key:${i}`, valueOf(i)))),
      state: () => lib.stats().store,
    },
    close: () => lib.close(),
  };
}

module.exports = { open };

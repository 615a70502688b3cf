"use strict";

// What stands behind the kit's persist adapters in a run, by name.

const path = require("node:path");
const { mapAdapters } = require("./adapters/map.js");
const { originalAdapters } = require("./adapters/original.js");

const root = path.resolve(__dirname, "..", "..");

const KINDS = Object.keys(mapAdapters());

const registered = (kit, kind) => kit[`Persist${kind}Adapter`];

function register(kit, adapters) {
  for (const [kind, Class] of Object.entries(adapters)) registered(kit, kind)[`usePersist${kind}Adapter`](Class);
}

const nothing = async () => {};

/** Candles in a Map; each write calls `before` with those that are new to it, and waits. */
function countedCandles(before) {
  return class extends mapAdapters().Candle {
    async writeCandlesData(candles) {
      await before(candles.filter(({ timestamp }) => !this.place.has(timestamp)));
      await super.writeCandlesData(candles);
    }
  };
}

/** By name: what opens it. Each resolves with `close()`, and `lib` where it is this package. */
const STORES = {
  /** The baseline: candles in a Map, everything else forgotten. */
  async dummy(kit) {
    for (const kind of KINDS) registered(kit, kind).useDummy();
    register(kit, { Candle: mapAdapters().Candle });
    return { close: nothing };
  },

  /** The baseline, of which each write of candles waits for one upsert of ours of what is new to it. */
  async "round-trips"(kit) {
    const lib = require(root);
    lib.setup();
    await STORES.dummy(kit);
    const { signalDbService } = lib.ioc;
    const upsert = (candles) => signalDbService.upsert("ROUNDTRIP", "candles", "made_up", { candles });
    register(kit, { Candle: countedCandles(upsert) });
    return { lib, close: () => lib.close() };
  },

  /** Everything in Maps. */
  async map(kit) {
    register(kit, mapAdapters());
    return { close: nothing };
  },

  /** The kit's own JSON files, below the working directory. */
  async json(kit) {
    for (const kind of KINDS) registered(kit, kind).useJson();
    return { close: nothing };
  },

  /** This package, which finds the kit by itself. */
  async setup() {
    const lib = require(root);
    lib.setup();
    return { lib, close: () => lib.close() };
  },

  /** This package's entry for ES modules, with the kit's build for them. */
  async "setup-esm"(kit) {
    const lib = await import("../../index.mjs");
    lib.install(kit);
    return { lib, close: () => lib.close() };
  },

  /** This package behind the adapters that the original's projects have in their own source. */
  async unchanged(kit) {
    const lib = require(root);
    register(kit, originalAdapters(lib.ioc, () => lib.waitForInit()));
    return { lib, close: () => lib.close() };
  },

  /** The original on mongoose and ioredis. */
  async original(kit) {
    const { openOriginal } = require("../support/original-mongo/index.js");
    const { CC_REDIS_HOST: host, CC_REDIS_PORT: port, CC_REDIS_PASSWORD: password, CC_MONGO_CONNECTION_STRING: url } = process.env;
    const original = await openOriginal({ redis: { host, port, password }, mongo: { urlOf: () => url, database: "" } });
    register(kit, originalAdapters(original.ioc));
    return { close: () => original.close() };
  },
};

function openStore(name, kit) {
  if (!(name in STORES)) throw new Error(`no such store: ${name}`);
  return STORES[name](kit);
}

module.exports = { KINDS, openStore, registered };

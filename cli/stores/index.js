"use strict";
// What a user calls a store: the configured servers, a folder of ours, or backtest-kit's own folder of JSON files.

const fs = require("node:fs");
const path = require("node:path");

const { Misuse } = require("../failure.js");
const FILE = "store.sqlite";

/** The folder of JSON files that a name means, or null. */
function filesIn(folder) {
  const { LAYOUT } = require("./layout.js");
  const holds = (place) => fs.existsSync(place) && !fs.existsSync(path.join(place, FILE)) && Object.keys(LAYOUT).some((name) => fs.existsSync(path.join(place, name)));
  const within = path.join(folder, "data");
  if (holds(folder) && !holds(within)) return folder;
  return holds(within) ? within : null;
}

/** Whether a folder is an embedded store. */
const isStore = (folder) => fs.existsSync(path.join(folder, FILE));

/**
 * A store by its name. `writes`: rows are written to it. Throws a Misuse where there is none, or it cannot be that.
 */
function storeOf(name, { writes = false, defaults = "ioc", exchange = [] } = {}) {
  if (!["ioc", "setup"].includes(defaults)) throw new Misuse(`--defaults is ${defaults}; it must be ioc or setup`);
  if (name === "servers") {
    const { Opened } = require("./opened.js");
    const store = new Opened("servers", { CC_STORE_PATH: "" }, { defaults, isServers: true });
    const { CC_MONGO_CONNECTION_STRING: mongo, CC_REDIS_URL: url, CC_REDIS_HOST: host, CC_REDIS_PORT: port } = store.config;
    store.title = `${mongo} and ${url ?? `redis://${host}:${port}`}`;
    return store;
  }
  const folder = path.resolve(name);
  const files = filesIn(folder);
  if (files !== null && !isStore(folder)) {
    if (writes) throw new Misuse(`${name} holds backtest-kit's own JSON files, which are only read; name another folder to copy to`);
    const { Files } = require("./files.js");
    return new Files(files, exchange);
  }
  if (!writes && !isStore(folder)) {
    throw new Misuse(`${name} is no store: there is neither a ${FILE} in it nor a folder of backtest-kit's JSON files (candle, signal …)`);
  }
  const { Opened } = require("./opened.js");
  // A journal must never be ahead of what is on the disk.
  const store = new Opened(name, { CC_STORE_PATH: folder, ...(writes && { CC_STORE_SYNC: "full" }) }, { defaults, isServers: false });
  store.folder = folder;
  store.title = path.join(folder, FILE);
  return store;
}

/** The same two stores, of which neither may be the other. */
function twoStores(from, to, options, writes) {
  const [source, target] = [storeOf(from, options), storeOf(to, { ...options, writes })];
  if (source.title === target.title) throw new Misuse(`--from and --to are the same store: ${source.title}`);
  return [source, target];
}

module.exports = { storeOf, twoStores };

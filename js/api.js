"use strict";
// All that users see. Both entries hand out this one object, so that they share a connection.

const { classes: adapters } = require("./adapters/index.js");
const { BaseCRUD } = require("./base-crud.js");
const { BaseMap } = require("./base-map.js");
const cache = require("./cache-services.js");
const db = require("./db-services.js");
const engine = require("./engine.js");
const kits = require("./kits.js");
const { loggerService } = require("./logger-service.js");
const { mongoService } = require("./mongo-service.js");
const peers = require("./peers.js");
const { redisService } = require("./redis-service.js");
const { install, setup } = require("./setup.js");

const ioc = { loggerService, mongoService, redisService, ...cache.instances, ...db.instances };

/** Both servers are reachable, or an error says which is not, and why. */
async function waitForInit() {
  await Promise.all([redisService.waitForInit(), mongoService.waitForInit()]);
}

/** Forgets the result, so that the next call asks both servers again. */
waitForInit.clear = () => {
  redisService.waitForInit.clear();
  mongoService.waitForInit.clear();
};

/** See index.d.ts. */
async function close() {
  await Promise.all([engine.close(), peers.close()]);
}

// `default` and the marker serve `import ioc from` in code that a compiler turns into require().
Object.defineProperty(exports, "__esModule", { value: true });
exports.default = ioc;
exports.ioc = ioc;
exports.BaseMap = BaseMap;
exports.BaseCRUD = BaseCRUD;
Object.assign(exports, cache.classes, db.classes, adapters);
exports.setup = setup;
exports.install = install;
exports.getRedis = peers.getRedis;
exports.getMongo = peers.getMongo;
exports.setConfig = engine.setConfig;
exports.getConfig = engine.getConfig;
exports.setLogger = loggerService.setLogger;
exports.waitForInit = waitForInit;
exports.stats = engine.stats;
exports.health = () => ({ ...engine.health(), kit: kits.seen() });
exports.close = close;

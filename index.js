"use strict";

const { BaseCRUD } = require("./js/base-crud.js");
const { BaseMap } = require("./js/base-map.js");
const cache = require("./js/cache-services.js");
const db = require("./js/db-services.js");
const { close, getConfig, health, setConfig, stats } = require("./js/engine.js");
const { loggerService } = require("./js/logger-service.js");
const { mongoService } = require("./js/mongo-service.js");
const { redisService } = require("./js/redis-service.js");

const ioc = { loggerService, mongoService, redisService, ...cache.instances, ...db.instances };

/** Both servers are reachable, or an error says which is not, and why. */
async function waitForInit() {
  await Promise.all([redisService.waitForInit(), mongoService.waitForInit()]);
}

// `default` and the marker serve `import ioc from` in code that a compiler turns into require().
Object.defineProperty(exports, "__esModule", { value: true });
exports.default = ioc;
exports.ioc = ioc;
exports.BaseMap = BaseMap;
exports.BaseCRUD = BaseCRUD;
Object.assign(exports, cache.classes, db.classes);
exports.setConfig = setConfig;
exports.getConfig = getConfig;
exports.setLogger = loggerService.setLogger;
exports.waitForInit = waitForInit;
exports.stats = stats;
exports.health = health;
exports.close = close;

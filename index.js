"use strict";

const { BaseMap } = require("./js/base-map.js");
const { classes, instances } = require("./js/cache-services.js");
const { close, getConfig, health, setConfig, stats } = require("./js/engine.js");
const { loggerService } = require("./js/logger-service.js");
const { redisService } = require("./js/redis-service.js");

const ioc = { loggerService, redisService, ...instances };

// `default` and the marker serve `import ioc from` in code that a compiler turns into require().
Object.defineProperty(exports, "__esModule", { value: true });
exports.default = ioc;
exports.ioc = ioc;
exports.BaseMap = BaseMap;
Object.assign(exports, classes);
exports.setConfig = setConfig;
exports.getConfig = getConfig;
exports.setLogger = loggerService.setLogger;
exports.waitForInit = redisService.waitForInit;
exports.stats = stats;
exports.health = health;
exports.close = close;

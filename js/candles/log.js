"use strict";
// The log entries of calls that are answered from memory: those of the same calls through the cache of ids.

const { log } = require("../logger-service.js");
const base = require("../base-map.js");
const { instances } = require("../cache-services.js");
const { native } = require("../engine.js");

const { candleCacheService } = instances;
const NOUN = native.table.flatMap(({ nouns }) => nouns).findIndex(({ noun }) => noun === "Candle");
/** The verb that asks for a key without reading it, as in js/cache-services.js. */
const GET = 1;

/** Whether log entries of a call would reach anybody. */
function listens(service) {
  return base.listens(candleCacheService) || base.listens(service ?? candleCacheService);
}

const keyText = (args) => native.engine.idKeys(NOUN, args.length, ...args, undefined, GET)[1];

/** A read whose row is in memory, or is asked for by its key where there is no id. */
function sayRead(service, args, id) {
  if (!listens(service)) {
    return;
  }
  const [symbol, interval, exchangeName, timestamp] = args;
  const key = { symbol, interval, exchangeName, timestamp };
  base.emit(candleCacheService, "log", "candleCacheService getCandleId", key);
  base.emit(candleCacheService, "info", `BaseMap get key=${keyText(args)}`);
  log(service, "info", "BaseCRUD findByFilter modelName=candle-items", { filterData: id === null ? key : { _id: id }, sort: undefined });
}

/** A write whose row is in memory. */
function saySet({ symbol, interval, exchangeName, timestamp, id }) {
  if (listens(null)) {
    const key = keyText([symbol, interval, exchangeName, timestamp]);
    base.emit(candleCacheService, "log", "candleCacheService setCandleId", { symbol, interval, timestamp });
    base.emit(candleCacheService, "info", `BaseMap set key=${key}`, { key, value: id });
  }
}

module.exports = { listens, sayRead, saySet };

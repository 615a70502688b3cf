"use strict";
// The ids of candles in Redis, for the other process that looks there first.

const { REFRESH, instances } = require("../cache-services.js");
const { guarded } = require("../redis-guard.js");

/** How long the ids of a chunk of candles are waited for: there are thousands. */
const BULK_PATIENCE_MS = 2_000;

/** Writes the ids of rows (`{ symbol, interval, exchangeName, timestamp, id }`). Redis may be away. */
function rememberAll(rows) {
  const { candleCacheService } = instances;
  return guarded(() => Promise.all(rows.map((row) => candleCacheService.setCandleId(row, REFRESH))), null, BULK_PATIENCE_MS);
}

module.exports = { rememberAll };

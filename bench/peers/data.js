"use strict";

// What every peer reads and writes: the same keys, the same values, so that only the client differs.

const KEYS = 1000;
const VALUE = "6745a1b2c3d4e5f60718293a"; // 24 bytes, as the id of a document

const PLAIN = "bench";
const EXPIRING = "bench_ttl";
const SCANNED = "bench_scan";
const TTL_SECONDS = 300;

const keys = Array.from({ length: KEYS }, (_, i) => `key:${i}`);
const rows = keys.map((_, i) => ({ id: VALUE, symbol: `SYM${i}`, strategyName: "strategy_name", exchangeName: "binance" }));

// Full keys for the bare clients, which get them for free: building keys is work that only the maps do.
const plainKeys = keys.map((key) => `${PLAIN}:${key}`);
const expiringKeys = keys.map((key) => `${EXPIRING}:${key}`);
const signalKeys = rows.map((row) => `signal_cache:${row.exchangeName}:${row.strategyName}:${row.symbol}`);

// The near cache's cases: ids under services' keys. Cold keys are read once and never again.
const NEAR_KEYS = 10_000;
const COLD_KEYS = 140_000;
const EXCHANGE = "binance";
const COLD_STRATEGY = "cold_strategy";

module.exports = { NEAR_KEYS, COLD_KEYS, EXCHANGE, COLD_STRATEGY, KEYS, VALUE, PLAIN, EXPIRING, SCANNED, TTL_SECONDS, keys, rows, plainKeys, expiringKeys, signalKeys };

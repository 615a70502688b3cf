"use strict";

// Who takes part. `main` peers run in every round and over the large data sets; the others in every second round.

const PEERS = [
  // Without the near cache.
  { id: "ours", title: "ours", file: "ours.js", main: true },
  { id: "ioredis", title: "ioredis 5", file: "ioredis.js", main: true },
  // Auto-pipelining joins calls of one tick; a scan makes its calls one by one, so there it is plain ioredis.
  { id: "auto", title: "auto-pipelining", file: "ioredis.js", with: { options: { enableAutoPipelining: true } }, main: true, scans: false },
  { id: "original", title: "original", file: "original.js", main: true },
  // What a user gains who only raises COUNT: the honest rival of a scan whose COUNT may grow.
  { id: "count1000", title: "COUNT 1000", file: "ioredis.js", with: { count: 1000 }, main: true, calls: false },
  { id: "ioredis6", title: "ioredis 6", file: "ioredis.js", with: { module: "ioredis6" } },
  { id: "noderedis", title: "node-redis", file: "node-redis.js" },
  { id: "glide", title: "valkey-glide", file: "glide.js" },
];

/**
 * Only for the near cache's cases, beside those of PEERS that `nearPeers` names. Each has a server of its own: what other
 * peers write would be announced to it and take time that is not its own.
 */
const CACHING = [
  { id: "near", title: "near cache", file: "ours.js", with: { nearCache: "on" } },
  { id: "noderediscache", title: "node-redis, its cache", file: "node-redis.js", with: { RESP: 3, clientSideCache: { ttl: 0, maxEntries: 0, evictPolicy: "LRU" } } },
];

const NEAR_PEERS = ["ours", "ioredis", "original"];

/** Only for the db services: peers with a MongoDB database of their own. */
const MONGO = [
  { id: "ours", title: "ours", file: "mongo-ours.js", with: { prefix: "ours-" } },
  { id: "original", title: "original (mongoose)", file: "mongo-original.js", with: { prefix: "original-" } },
  { id: "driver", title: "plain driver", file: "mongo-driver.js", with: { prefix: "driver-" } },
  { id: "bulk", title: "plain driver, bulkWrite of upserts", file: "mongo-driver.js", with: { prefix: "bulk-", upserts: true } },
];
const MONGO_BASE = "original";

/** Only for candles: adapters, each with a database that holds a month. */
const MONTH = 31 * 1_440;
const CANDLES = ["setup", "unchanged", "original", "map"].map((way) => ({
  id: `candles-${way}`,
  title: `candles, ${way}`,
  file: "candles.js",
  with: { way, month: MONTH },
}));

/**
 * Only for the embedded store: each in a folder of its own. `servers`: on Redis and MongoDB instead. `builtin`: what Node must have; where
 * this one has it not, the process of that peer runs on a Node of the major version `node`.
 */
const STORES = [
  { id: "store", title: "ours", file: "store-ours.js" },
  { id: "better", title: "better-sqlite3", file: "store-sqlite.js", with: { module: "better-sqlite3" } },
  { id: "node", title: "node:sqlite", file: "store-sqlite.js", with: { module: "node:sqlite" }, builtin: "node:sqlite", node: 24 },
  { id: "lmdb", title: "lmdb-js", file: "store-lmdb.js" },
  { id: "files", title: "the kit's own files", file: "store-kit.js" },
  { id: "servers", title: "ours on servers", file: "store-ours.js", servers: true },
];
const STORE_BASE = "better";

/** Only for a Redis Cluster, and for what it costs: ourselves on one server. */
const CLUSTERS = [
  { id: "cluster", title: "ours", file: "ours.js" },
  { id: "single", title: "ours on one server", file: "ours.js", single: true },
  { id: "cluster-ioredis", title: "ioredis", file: "ioredis.js", with: { cluster: true } },
  { id: "cluster-noderedis", title: "node-redis", file: "node-redis.js", with: { cluster: true } },
  { id: "cluster-glide", title: "valkey-glide", file: "glide.js", with: { cluster: true } },
  { id: "cluster-near", title: "near cache", file: "ours.js", with: { nearCache: "on" }, near: true },
  { id: "single-near", title: "near cache on one server", file: "ours.js", with: { nearCache: "on" }, near: true, single: true },
];

/** All ratios are against this one. */
const BASE = "ioredis";

module.exports = { CLUSTERS, STORES, STORE_BASE, CANDLES, PEERS, CACHING, NEAR_PEERS, BASE, MONGO, MONGO_BASE };

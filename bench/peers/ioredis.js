"use strict";

// ioredis: 5 plain, 5 with auto-pipelining, 5 with a larger COUNT in its scans, and 6; with `cluster` its client for clusters.

const { bareOps, bareScans } = require("./bare.js");
const { bareNear } = require("./near.js");
const { versionOf } = require("./version.js");

async function connect(module, { host, port }, { cluster = false, ...options } = {}) {
  const loaded = require(module);
  const Redis = loaded.Redis || loaded.default || loaded;
  const client = cluster ? new Redis.Cluster([{ host, port }], options) : new Redis({ host, port, ...options });
  await client.ping();
  return client;
}

async function open(server, { module = "ioredis", options, count, cluster } = {}) {
  const client = await connect(module, server, { ...options, cluster });
  const adapter = {
    get: (key) => client.get(key),
    set: (key, value) => client.set(key, value),
    exists: (key) => client.exists(key),
    expire: (key, seconds) => client.expire(key, seconds),
    scan: (cursor, pattern, size) => client.scan(cursor, "MATCH", pattern, "COUNT", size),
    mget: (keys) => client.mget(...keys),
    del: (keys) => client.del(...keys),
  };
  return {
    version: versionOf(module),
    ops: bareOps(adapter),
    scans: bareScans(adapter, count),
    near: bareNear(adapter),
    close: () => client.quit(),
  };
}

module.exports = { open, connect };

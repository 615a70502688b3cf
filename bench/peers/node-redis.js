"use strict";

// node-redis ("redis" on npm), bare; for the near cache's cases also with the client-side cache that it brings; with `cluster`
// its client for clusters.

const { bareOps, bareScans } = require("./bare.js");
const { bareNear } = require("./near.js");
const { versionOf } = require("./version.js");

async function open({ host, port }, { cluster = false, ...options } = {}) {
  const { createClient, createCluster } = require("redis");
  const client = cluster ? createCluster({ rootNodes: [{ url: `redis://${host}:${port}` }] }) : createClient({ socket: { host, port }, ...options });
  client.on("error", () => {});
  await client.connect();
  const adapter = {
    get: (key) => client.get(key),
    set: (key, value) => client.set(key, value),
    exists: (key) => client.exists(key),
    expire: (key, seconds) => client.expire(key, seconds),
    async scan(cursor, pattern, count) {
      const page = await client.scan(cursor, { MATCH: pattern, COUNT: count });
      return [page.cursor, page.keys];
    },
    mget: (keys) => client.mGet(keys),
    del: (keys) => client.del(keys),
  };
  return {
    version: versionOf("redis"),
    ops: bareOps(adapter),
    scans: bareScans(adapter),
    near: bareNear(adapter),
    close: () => client.close(),
  };
}

module.exports = { open };

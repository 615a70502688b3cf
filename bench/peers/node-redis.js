"use strict";

// node-redis ("redis" on npm), bare; for the near cache's cases also with the client-side cache that it brings.

const { bareOps, bareScans } = require("./bare.js");
const { bareNear } = require("./near.js");
const { versionOf } = require("./version.js");

async function open({ host, port }, options = {}) {
  const { createClient } = require("redis");
  const client = createClient({ socket: { host, port }, ...options });
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

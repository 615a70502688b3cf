"use strict";

// node-redis ("redis" on npm), bare.

const { bareOps, bareScans } = require("./bare.js");
const { versionOf } = require("./version.js");

async function open({ host, port }) {
  const { createClient } = require("redis");
  const client = createClient({ socket: { host, port } });
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
    close: () => client.close(),
  };
}

module.exports = { open };

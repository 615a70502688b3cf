"use strict";

// valkey-glide, bare: a Rust core as well, reached through a thread of its own; with `cluster` its client for
// clusters.

const { bareOps, bareScans } = require("./bare.js");
const { versionOf } = require("./version.js");

async function open({ host, port }, { cluster = false } = {}) {
  const { GlideClient, GlideClusterClient } = require("@valkey/valkey-glide");
  const client = await (cluster ? GlideClusterClient : GlideClient).createClient({ addresses: [{ host, port }], requestTimeout: 10_000 });
  const adapter = {
    get: (key) => client.get(key),
    set: (key, value) => client.set(key, value),
    exists: (key) => client.exists([key]),
    expire: (key, seconds) => client.expire(key, seconds),
    scan: (cursor, pattern, count) => client.scan(cursor, { match: pattern, count }),
    mget: (keys) => client.mget(keys),
    del: (keys) => client.del(keys),
  };
  return {
    version: versionOf("@valkey/valkey-glide"),
    ops: bareOps(adapter),
    scans: bareScans(adapter),
    close: async () => client.close(),
  };
}

module.exports = { open };

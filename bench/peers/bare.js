"use strict";

// A bare client used in the plainest and fastest way: ready-made keys, no wrapping, no logging. Scans are the loop
// that everybody writes: SCAN with COUNT 100 and the MGET or DEL of each page, one after the other.
//
// `client` adapts a library: get, set, exists, expire, scan(cursor, pattern, count) → [cursor, keys], mget, del.

const data = require("./data.js");

function bareOps(client) {
  const { plainKeys, expiringKeys, signalKeys, VALUE, TTL_SECONDS } = data;
  return {
    get: (i) => client.get(plainKeys[i]),
    has: (i) => client.exists(plainKeys[i]),
    set: (i) => client.set(plainKeys[i], VALUE),
    setSignalId: (i) => client.set(signalKeys[i], VALUE),
    async setTtl(i) {
      await client.set(expiringKeys[i], VALUE);
      await client.expire(expiringKeys[i], TTL_SECONDS);
    },
  };
}

/** Each scan returns how many items it saw, which the bench compares with what it put there. */
function bareScans(client, count = 100) {
  const prefix = `${data.SCANNED}:`;
  const pages = async (visit) => {
    let cursor = "0";
    do {
      const [next, keys] = await client.scan(cursor, `${prefix}*`, count);
      if (keys.length > 0) await visit(keys);
      cursor = String(next);
    } while (cursor !== "0");
  };
  return {
    async keys() {
      const found = [];
      await pages((keys) => {
        for (const key of keys) found.push(key.slice(prefix.length));
      });
      return found.length;
    },
    async size() {
      let count = 0;
      await pages((keys) => void (count += keys.length));
      return count;
    },
    async toArray() {
      const found = [];
      await pages(async (keys) => {
        const values = await client.mget(keys);
        for (let i = 0; i < keys.length; i++) {
          if (values[i] !== null) found.push([keys[i].slice(prefix.length), values[i]]);
        }
      });
      return found.length;
    },
    async iterate() {
      let count = 0;
      await pages(async (keys) => {
        const values = await client.mget(keys);
        for (let i = 0; i < keys.length; i++) {
          const pair = values[i] !== null && [keys[i].slice(prefix.length), values[i]];
          if (pair) count += 1;
        }
      });
      return count;
    },
    async values() {
      let count = 0;
      await pages(async (keys) => {
        for (const value of await client.mget(keys)) if (value !== null) count += 1;
      });
      return count;
    },
    async clear() {
      let count = 0;
      await pages(async (keys) => {
        count += keys.length;
        await client.del(keys);
      });
      return count;
    },
  };
}

module.exports = { bareOps, bareScans };

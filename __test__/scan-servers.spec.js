"use strict";

// Scans whose server is not the same to their end: killed and started anew with its data, or replaced by another one. A
// cursor of one run means nothing to the next, which goes on from it all the same and names fewer keys.

const fs = require("node:fs");
const path = require("node:path");
const { serial: test } = require("ava");
const { serverFor, loadFor, killConnections, until, outcome } = require("./support/addon.js");
const { startProxy } = require("./support/proxy.js");

/** Tens of thousands, in small pages: a scan is long, and interrupted wherever it is. */
const COUNT = 30_000;
const SMALL = { CC_REDIS_SCAN_COUNT: 20, CC_REDIS_SCAN_COUNT_MAX: 20 };
const keys = Array.from({ length: COUNT }, (_, i) => `k${i}`);

async function fill(server, names = keys) {
  for (let from = 0; from < names.length; from += 1000) {
    const reply = await server.command("MSET", ...names.slice(from, from + 1000).flatMap((key) => [`ns:${key}`, `of ${key}`]));
    if (reply instanceof Error) throw reply;
  }
}

async function proxyFor(t, target) {
  const proxy = await startProxy(target);
  t.teardown(() => proxy.stop());
  return proxy;
}

/** What each way of scanning gives; `onItem(count)` is called as items come, where the way has any. */
const WAYS = {
  keys: async (map, onItem) => {
    const found = [];
    for await (const key of map.keys()) onItem(found.push(key));
    return found;
  },
  values: async (map, onItem) => {
    const found = [];
    for await (const value of map.values()) onItem(found.push(value.replace("of ", "")));
    return found;
  },
  iterate: async (map, onItem) => {
    const found = [];
    for await (const [key, value] of map.iterate()) {
      if (value !== `of ${key}`) throw new Error(`${key} is ${value}`);
      onItem(found.push(key));
    }
    return found;
  },
  toArray: async (map) => (await map.toArray()).map(([key]) => key),
  size: (map) => map.size(),
  clear: (map) => map.clear(),
};

/** What happens to the server in the middle. Each resolves with the server that there is afterwards. */
const CHANGES = {
  "killed and started anew from its snapshot": async ({ first, proxy }) => {
    proxy.cut();
    await first.restart();
    return first;
  },
  "replaced by another one, to which the name has moved": async ({ second, proxy }) => {
    proxy.point(second);
    proxy.cut();
    return second;
  },
};

async function scene(t) {
  const first = await serverFor(t);
  const second = await serverFor(t);
  await fill(first);
  await fill(second);
  await first.command("SAVE");
  const proxy = await proxyFor(t, first);
  const lib = loadFor(t, { CC_REDIS_URL: proxy.url, ...SMALL });
  return { first, second, proxy, lib, map: new lib.BaseMap("ns", -1) };
}

for (const [change, make] of Object.entries(CHANGES)) {
  for (const [way, scan] of Object.entries(WAYS)) {
    test(`${way} misses nothing and names nothing twice when the server is ${change}`, async (t) => {
      const all = await scene(t);
      const before = all.lib.stats().redis.replies;
      let items = 0;
      const scanning = scan(all.map, (count) => (items = count));
      // The scan goes on while the change is made, so it is anywhere in its course: between two pages, or waiting for one.
      await until(() => all.lib.stats().redis.replies - before > 400 || items > COUNT / 3, "the scan is in its course");
      const changing = make(all);
      const result = await scanning;
      const server = await changing;
      t.true(all.lib.stats().redis.connects > 1, "it was in its course");
      if (way === "clear") t.is(await server.command("DBSIZE"), 0);
      else if (way === "size") t.is(result, COUNT);
      else t.deepEqual(result.sort(), [...keys].sort());
    });
  }
}

test("a server that comes back with its append-only file is scanned anew, and each key comes once", async (t) => {
  const redis = await serverFor(t, { args: ["--appendonly", "yes", "--appendfsync", "always"] });
  await fill(redis);
  const lib = loadFor(t, { CC_REDIS_URL: redis.url, ...SMALL });
  const found = [];
  for await (const key of new lib.BaseMap("ns", -1).keys()) {
    if (found.push(key) % 10_000 === 0) await redis.restart();
  }
  t.true(fs.readdirSync(path.join(redis.dir, "appendonlydir")).length > 0);
  t.deepEqual(found.sort(), [...keys].sort());
});

test("size after a change counts what the new server holds, and nothing of the old one", async (t) => {
  const all = await scene(t);
  await all.second.command("FLUSHALL");
  await fill(all.second, keys.slice(0, 5_000).map((key) => `other ${key}`));
  const before = all.lib.stats().redis.replies;
  const counting = all.map.size();
  await until(() => all.lib.stats().redis.replies - before > 400, "the scan is in its course");
  await CHANGES["replaced by another one, to which the name has moved"](all);
  t.is(await counting, 5_000);
});

test("on the same server a scan goes on where it was, however often its connection is lost", async (t) => {
  const redis = await serverFor(t);
  await fill(redis);
  const lib = loadFor(t, { CC_REDIS_URL: redis.url, ...SMALL });
  let seen = 0;
  for await (const key of new lib.BaseMap("ns", -1).keys()) if (key && ++seen % 3_000 === 0) await killConnections(redis);
  t.is(seen, COUNT);
  const scans = Number(/cmdstat_scan:calls=(\d+)/.exec(String(await redis.command("INFO", "commandstats")))[1]);
  t.true(scans < (COUNT / 20) * 1.1, `${scans} SCANs`);
});

test("where the server may not tell its run, a scan begins anew after a lost connection, and each key comes once", async (t) => {
  const redis = await serverFor(t);
  await fill(redis);
  await redis.command("ACL", "SETUSER", "bot", "on", ">pw", "~*", "+@all", "-info");
  const lib = loadFor(t, { CC_REDIS_URL: `redis://bot:pw@127.0.0.1:${redis.port}`, ...SMALL });
  const found = [];
  for await (const key of new lib.BaseMap("ns", -1).keys()) if (found.push(key) === COUNT / 2) await killConnections(redis);
  t.deepEqual(found.sort(), [...keys].sort());
  const scans = Number(/cmdstat_scan:calls=(\d+)/.exec(String(await redis.command("INFO", "commandstats")))[1]);
  t.true(scans > (COUNT / 20) * 1.3, `${scans} SCANs`);
});

test("a scan whose server stays away is rejected at its deadline, and the next one is whole", async (t) => {
  const redis = await serverFor(t);
  await fill(redis);
  await redis.command("SAVE");
  const lib = loadFor(t, { CC_REDIS_URL: redis.url, CC_REDIS_TIMEOUT_MS: 400, ...SMALL });
  const map = new lib.BaseMap("ns", -1);
  const generator = map.keys();
  await generator.next();
  await redis.kill("SIGKILL");
  const { error } = await outcome(
    (async () => {
      for await (const key of generator) t.truthy(key);
    })(),
  );
  t.is(error?.code, "REDIS_UNAVAILABLE");
  await redis.start();
  await until(async () => !(await outcome(map.get("k0"))).error, "calls succeed");
  t.is(await map.size(), COUNT);
});

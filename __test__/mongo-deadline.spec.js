"use strict";

// What becomes of calls at their deadline: commands that had no connection are never sent, those that had one go on to their
// end, and neither takes anything from later calls.

const { serial: test } = require("ava");
const { loadFor, outcome, until } = require("./support/addon.js");
const { startMongo } = require("./support/mongo.js");
const { startProxy } = require("./support/proxy.js");
const { startRedis } = require("./support/redis.js");

const DEADLINE = 400;

let mongo, redis;
test.before(async () => {
  [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
});
test.after.always(() => Promise.all([mongo, redis].map((server) => server && server.stop())));

let databases = 0;

async function scene(t, { query = {}, ...config } = {}) {
  const proxy = await startProxy(mongo);
  t.teardown(() => proxy.stop());
  await redis.command("FLUSHALL");
  const database = `deadline-${++databases}`;
  const url = `mongodb://127.0.0.1:${proxy.port}/${database}?${new URLSearchParams(query)}`;
  const lib = loadFor(t, { CC_MONGO_CONNECTION_STRING: url, CC_REDIS_URL: redis.url, CC_MONGO_TIMEOUT_MS: DEADLINE, ...config });
  const values = async () => (await mongo.documents("measure-items", { database })).map((row) => row.entryKey).sort();
  // Indexes, and one connection that is free.
  await lib.ioc.measureDbService.upsert("b", "first", {});
  return { proxy, lib, ioc: lib.ioc, values };
}

/** Lets nothing through on connections that are made from now on, until the function that is returned is called. */
function holdNew(proxy) {
  const known = new Set(proxy.links);
  const release = [];
  const timer = setInterval(() => {
    for (const link of proxy.links) {
      if (known.has(link)) continue;
      known.add(link);
      for (const flow of [link.up, link.down]) {
        flow.hold();
        release.push(() => flow.release());
      }
    }
  }, 1);
  return () => {
    clearInterval(timer);
    release.forEach((one) => one());
  };
}

test("a write that had no connection at its deadline is never sent, also when its connection is made later", async (t) => {
  const { proxy, ioc, values } = await scene(t);
  await until(() => proxy.links.size > 0, "there is a connection");
  const release = holdNew(proxy);
  // One takes the connection that is there, the others wait for new ones.
  const writes = ["a", "b", "c"].map((key, i) => outcome(new Promise((resolve) => setTimeout(resolve, i)).then(() => ioc.measureDbService.upsert("b", key, {}))));
  const hold = proxy.hold("down");
  const results = await Promise.all(writes);
  t.deepEqual(results.map(({ error }) => error?.code), Array(3).fill("MONGO_TIMEOUT"));
  const unsent = results.map(({ error }, i) => /no connection/.test(error.message) && ["a", "b", "c"][i]).filter(Boolean);
  t.true(unsent.length >= 1, results.map(({ error }) => error.message).join("\n"));
  for (const { error } of results) t.is(/outcome unknown/.test(error.message), /no answer/.test(error.message), error.message);
  hold();
  release();
  // The connections are made now, and go round among these.
  await until(() => Promise.all(Array.from({ length: 10 }, () => ioc.measureDbService.findByKey("b", "first"))).then(() => true, () => false), "reads are answered", 60_000);
  await ioc.measureDbService.upsert("b", "last", {});
  const written = await values();
  for (const key of unsent) t.false(written.includes(key), `${key} was sent after its deadline`);
  t.true(written.includes("last"));
});

test("connections on which answers are overdue take no place of later calls, also where the pool is small", async (t) => {
  const { proxy, ioc } = await scene(t, { query: { maxPoolSize: 2 } });
  for (let round = 0; round < 3; round++) {
    await Promise.all([1, 2].map(() => ioc.measureDbService.findAll()));
    // Half-open: what is there now stays mute for ever.
    proxy.strand();
    const results = await Promise.all([1, 2].map(() => outcome(ioc.measureDbService.findAll())));
    t.true(results.some(({ error }) => error?.code === "MONGO_TIMEOUT"), "they were mute");
    await until(() => ioc.measureDbService.findAll().then(() => true, () => false), "a new connection answers", 30_000);
  }
  t.pass();
});

test("close() ends while a command is overdue, and the next call works", async (t) => {
  const { proxy, lib, ioc } = await scene(t);
  const release = proxy.hold("down");
  t.is((await outcome(ioc.measureDbService.findAll())).error?.code, "MONGO_TIMEOUT");
  await lib.close();
  t.is(lib.health().mongo, null);
  release();
  t.is((await ioc.measureDbService.findAll()).length, 1);
});

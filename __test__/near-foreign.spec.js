"use strict";

// Other clients change what the near cache knows: by programs and libraries of others, on the wire as they do it.

const { serial: test } = require("ava");
const Redis = require("ioredis");
const { killConnections, until, withRedis } = require("./support/addon.js");
const { becomes } = require("./support/near.js");
const { which } = require("../scripts/lib/tools.js");

const own = withRedis(test, { config: { CC_NEAR_CACHE: "on" } });
const KEY = "signal_cache:x:s:B";
/** Far more than an announcement takes, and far less than the lease. */
const ONCE_MS = 200;
const row = (id) => ({ symbol: "B", strategyName: "s", exchangeName: "x", id });
const signals = () => own.lib.ioc.signalCacheService;
const get = () => signals().getSignalId("B", "s", "x");
const near = () => own.lib.stats().nearCache;

test.beforeEach(async () => {
  await own.lib.ioc.redisService.waitForInit();
  const { flushes } = near();
  await own.server.command("FLUSHALL");
  // What is written before that is heard of would not be known.
  await until(() => near().flushes > flushes, "the flush is announced");
});

/**
 * Changes a known id again and again by another client. Each change is seen within the lease, and one of them at once:
 * the others may have met a busy machine.
 */
async function seenAtOnce(t, change) {
  const took = [];
  for (let i = 0; i < 5; i++) {
    await signals().setSignalId(row("ours"));
    t.is(await get(), "ours");
    const { hits } = near();
    t.is(await get(), "ours");
    t.is(near().hits, hits + 1, "it was known");
    const expected = await change(i);
    took.push(await becomes(t, get, expected));
    t.is(await signals().hasSignalId("B", "s", "x"), expected !== null);
  }
  t.true(Math.min(...took) < ONCE_MS, `seen after ${took.map((ms) => ms.toFixed(1)).join(", ")} ms`);
}

/** A client of another library for one test. */
function ioredisFor(t, options) {
  const client = new Redis(own.server.port, "127.0.0.1", options);
  t.teardown(() => client.disconnect());
  return client;
}

/** Stops this thread. */
const sleepSync = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

const THEIRS = (i) => `theirs ${i}`;
const SCRIPT = "return redis.call('SET', KEYS[1], ARGV[1])";

for (const [what, act, expected] of [
  ["sets it", (client, i) => client.set(KEY, THEIRS(i)), THEIRS],
  ["sets it with a time to live", (client, i) => client.set(KEY, THEIRS(i), "EX", 300), THEIRS],
  ["sets it among others", (client, i) => client.mset({ other: "x", [KEY]: THEIRS(i) }), THEIRS],
  ["sets it in a pipeline", (client, i) => client.pipeline().del(KEY).set(KEY, THEIRS(i)).exec(), THEIRS],
  ["sets it in a transaction", (client, i) => client.multi().set(KEY, THEIRS(i)).exec(), THEIRS],
  ["sets it by a script", (client, i) => client.eval(SCRIPT, 1, KEY, THEIRS(i)), THEIRS],
  ["deletes it", (client) => client.del(KEY), () => null],
  ["unlinks it", (client) => client.unlink(KEY), () => null],
  ["flushes the database", (client) => client.flushdb(), () => null],
]) {
  test(`what is known is forgotten at once when ioredis ${what}`, async (t) => {
    const client = ioredisFor(t);
    await seenAtOnce(t, async (i) => {
      await act(client, i);
      return expected(i);
    });
  });
}

test("a client with a key prefix, as ioredis offers it, is seen by the whole key", async (t) => {
  const client = ioredisFor(t, { keyPrefix: "signal_cache:" });
  await seenAtOnce(t, async (i) => {
    await client.set("x:s:B", THEIRS(i));
    return THEIRS(i);
  });
});

// Skipped, and named so in the results, only where there is no redis-cli: some distributions pack it apart from the server,
// and nothing can stand in for the program itself. The same changes by ioredis and by a plain connection run everywhere.
const withCli = which("redis-cli") ? test : test.skip;
for (const [what, words, expected] of [
  ["SET", (i) => ["SET", KEY, THEIRS(i)], THEIRS],
  ["DEL", () => ["DEL", KEY], () => null],
  ["FLUSHALL", () => ["FLUSHALL"], () => null],
]) {
  withCli(`what is known is forgotten at once by a ${what} of redis-cli (skipped where there is none)`, async (t) => {
    await seenAtOnce(t, async (i) => {
      await own.server.cli(...words(i));
      return expected(i);
    });
  });
}

for (const [what, ...change] of [
  ["appends to it", ["APPEND", KEY, " more"]],
  ["takes it away while reading", ["GETDEL", KEY]],
  ["lets it expire in the past", ["EXPIREAT", KEY, "1"]],
  ["moves it to another database", ["MOVE", KEY, "1"]],
  ["stores a set in its place", ["SADD", "set", "a"], ["SUNIONSTORE", KEY, "set"], ["DEL", KEY]],
  ["restores a dump over it", ["RESTORE", KEY, "0", "dump", "REPLACE"]],
  ["flushes without waiting", ["FLUSHALL", "ASYNC"]],
]) {
  test(`what is known is forgotten at once when a client ${what}`, async (t) => {
    await own.server.command("FLUSHALL");
    await own.server.command("SET", "dumped", "theirs");
    const dump = await own.server.command("DUMP", "dumped");
    await seenAtOnce(t, async () => {
      for (const words of change) {
        const reply = await own.server.command(...words.map((word) => (word === "dump" ? dump : word)));
        if (reply instanceof Error) throw reply;
      }
      const held = await own.server.command("GET", KEY);
      await own.server.command("SELECT", "1");
      await own.server.command("FLUSHDB");
      await own.server.command("SELECT", "0");
      return held === null ? null : String(held);
    });
  });
}

test("a key that the server evicts for want of memory is forgotten", async (t) => {
  await signals().setSignalId(row("1"));
  t.is(await get(), "1");
  t.teardown(() => own.server.command("CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction"));
  await own.server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-random", "maxmemory", "1");
  // Whoever writes makes room first.
  await own.server.command("SET", "other", "x");
  await becomes(t, get, null);
});

test("of a write that the server refuses nothing is known", async (t) => {
  await signals().setSignalId(row("1"));
  t.teardown(() => own.server.command("CONFIG", "SET", "maxmemory", "0"));
  await own.server.command("CONFIG", "SET", "maxmemory", "1");
  const error = await t.throwsAsync(() => signals().setSignalId(row("2")));
  t.regex(error.message, /^OOM/);
  t.is(await get(), "1");
  await t.throwsAsync(() => signals().setSignalId(row("2")), { message: /^OOM/ }, "it is sent again");
  await own.server.command("CONFIG", "SET", "maxmemory", "0");
  t.is(await signals().setSignalId(row("2")), "2");
  t.is(String(await own.server.command("GET", KEY)), "2");
});

test("a change of twenty thousand keys at once is seen key by key", async (t) => {
  const known = Array.from({ length: 1000 }, (_, i) => `S${i * 20}`);
  await Promise.all(known.map((symbol) => signals().setSignalId({ ...row("ours"), symbol })));
  const { hits } = near();
  for (const symbol of known) t.is(await signals().getSignalId(symbol, "s", "x"), "ours");
  t.is(near().hits, hits + known.length);
  const words = Array.from({ length: 20_000 }, (_, i) => [`signal_cache:x:s:S${i}`, "theirs"]).flat();
  await own.server.command("MSET", ...words);
  for (const symbol of known) await becomes(t, () => signals().getSignalId(symbol, "s", "x"), "theirs");
});

test("absence is forgotten when somebody else makes the key", async (t) => {
  const client = ioredisFor(t);
  t.is(await get(), null);
  t.deepEqual(await own.calls(async () => t.is(await get(), null)), []);
  await client.set(KEY, "theirs");
  await becomes(t, get, "theirs");
});

test("changes of keys that are no ids, and of other databases, leave what is known right", async (t) => {
  const client = ioredisFor(t);
  await signals().setSignalId(row("ours"));
  const { invalidations } = near();
  await client.mset({ "signal_cachex:s:B": "1", "signal_cach": "1", "candle": "1", "signal_cache": "1" });
  await own.monitor.settle();
  await new Promise((resolve) => setImmediate(resolve));
  t.is(await get(), "ours");
  t.is(near().invalidations, invalidations, "nothing was announced");
  await client.select(1);
  await client.set(KEY, "of another database");
  for (let i = 0; i < 50; i++) t.is(await get(), "ours");
});

test("a write of the same id after a foreign expiry or deletion stays for ever", async (t) => {
  const client = ioredisFor(t);
  for (const change of [() => client.expire(KEY, 1000), () => client.del(KEY), () => client.flushall()]) {
    await signals().setSignalId(row("1"));
    const before = near();
    await change();
    await until(() => near().invalidations + near().flushes > before.invalidations + before.flushes, "it is announced");
    t.is(await signals().setSignalId(row("1")), "1");
    t.is(await client.get(KEY), "1");
    t.is(await client.ttl(KEY), -1);
  }
});

test("nothing old is served after the connection was cut, and what was written meanwhile is read", async (t) => {
  const client = ioredisFor(t);
  for (let i = 0; i < 5; i++) {
    await signals().setSignalId(row("ours"));
    t.is(await get(), "ours");
    const { losses } = own.lib.stats().redis;
    await killConnections(own.server);
    await client.set(KEY, THEIRS(i));
    await becomes(t, get, THEIRS(i));
    t.is(own.lib.stats().redis.losses, losses + 1);
    t.is(own.lib.health().nearCache.state, "alive");
    // What was asked for before the new connection was ready fills nothing; what is asked now does.
    await get();
    t.deepEqual(await own.calls(get), [], "and is known again");
  }
});

test("a change behind thousands of others is seen in the call that asks, and the write that it makes needful is sent", async (t) => {
  const client = ioredisFor(t);
  await client.ping();
  const script = "for i = 1, 5000 do redis.call('SET', 'signal_cache:x:s:other' .. i, '1') end redis.call('SET', KEYS[1], ARGV[1])";
  for (const theirs of ["theirs", "theirs again"]) {
    await signals().setSignalId(row("ours"));
    const changed = client.eval(script, 1, KEY, theirs);
    // All of it lies in our socket before the event loop turns: more than one read takes.
    sleepSync(300);
    const answer = theirs === "theirs" ? get() : signals().setSignalId(row("ours"));
    t.is(await answer, theirs === "theirs" ? "theirs" : "ours");
    await changed;
  }
  t.is(await client.get(KEY), "ours");
});

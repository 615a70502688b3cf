"use strict";

// The connection while things go wrong: server absent, killed, paused, connections cut. Each test has a server and a
// copy of the package of its own, because it harms them.

const { inspect } = require("node:util");
const { serial: test } = require("ava");
const { freePort } = require("./support/redis.js");
const { serverFor, loadFor, everyCall, outcome, until, halfSent, collect } = require("./support/addon.js");
const { connectionsOf, killConnections } = require("./support/addon.js");

const near = (one, more) => ({ CC_REDIS_URL: one.url, ...more });
const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);
const codes = (results) => [...new Set(results.map(({ error }) => error && error.code))];

/** A deadline that a test can wait for several times; what is not about it must not come near it. */
const SHORT_MS = 400;

/** So many keys `k0`, `k1`, … and a map that is connected, whatever that took. */
async function filled(redis, map, count) {
  await redis.command("MSET", ...range(0, count).flatMap((i) => [`ns:k${i}`, `v${i}`]));
  await until(async () => !(await outcome(map.get("k0"))).error, "it is connected");
}

function block(ms) {
  const end = process.hrtime.bigint() + BigInt(ms) * 1_000_000n;
  while (process.hrtime.bigint() < end);
}

test("without a server every call rejects at its deadline with REDIS_UNAVAILABLE and the reason", async (t) => {
  const port = await freePort();
  const lib = loadFor(t, { CC_REDIS_URL: `redis://127.0.0.1:${port}`, CC_REDIS_TIMEOUT_MS: 200 });
  const map = new lib.BaseMap("ns", -1);
  const started = Date.now();
  const calls = [map.get("the-key"), ...everyCall(map)];
  const results = await Promise.all(calls.map(outcome));
  t.true(Date.now() - started >= 190, "it was given the whole time");
  t.deepEqual(codes(results), ["REDIS_UNAVAILABLE"]);
  for (const { error } of results) {
    t.true(error instanceof Error);
    t.true(error.message.includes(`127.0.0.1:${port}`), error.message);
    t.regex(inspect(error), /ECONNREFUSED/);
    t.not(error.cause, undefined);
  }
  t.true(results[0].error.message.includes("ns:the-key"), results[0].error.message);
});

test("a host that does not exist is a rejection with the reason", async (t) => {
  const lib = loadFor(t, { CC_REDIS_HOST: "no-such-host.invalid", CC_REDIS_TIMEOUT_MS: 500 });
  const { error } = await outcome(new lib.BaseMap("ns").get("k"));
  t.is(error?.code, "REDIS_UNAVAILABLE");
  t.true(error.message.includes("no-such-host.invalid"), error.message);
});

test("calls that wait for an absent server succeed when it comes up within their deadline", async (t) => {
  const port = await freePort();
  const lib = loadFor(t, { CC_REDIS_URL: `redis://127.0.0.1:${port}` });
  const map = new lib.BaseMap("ns", -1);
  const calls = [map.set("k", "v"), map.get("k"), map.size()];
  await until(() => lib.health().redis.attempts > 0, "an attempt was made");
  await serverFor(t, { port });
  t.deepEqual(await Promise.all(calls), [undefined, "v", 1]);
});

test("after rejections for an absent server, calls succeed once it is there", async (t) => {
  const port = await freePort();
  const lib = loadFor(t, { CC_REDIS_URL: `redis://127.0.0.1:${port}`, CC_REDIS_TIMEOUT_MS: 100 });
  const map = new lib.BaseMap("ns", -1);
  for (let i = 0; i < 5; i++) t.is((await outcome(map.get("k"))).error?.code, "REDIS_UNAVAILABLE");
  await serverFor(t, { port });
  await until(async () => !(await outcome(map.set("k", "v"))).error, "a call succeeds");
  t.is(await map.get("k"), "v");
});

test("calls in flight when the server is killed succeed after its restart", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  // A paused server has taken the commands and answered none: all of them are in flight when it dies.
  await redis.kill("SIGSTOP");
  const sets = range(0, 500).map((i) => map.set(`k${i}`, `v${i}`));
  const gets = range(0, 500).map((i) => map.get(`k${i}`));
  await new Promise((resolve) => setTimeout(resolve, 20));
  await redis.restart();
  t.true((await Promise.all(sets)).every((value) => value === undefined));
  t.deepEqual(await Promise.all(gets), range(0, 500).map((i) => `v${i}`));
});

test("large values that were half written when the server died arrive whole", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  await redis.kill("SIGSTOP");
  const texts = range(0, 30).map((i) => `${i} `.repeat(300_000));
  const sets = texts.map((text, i) => map.set(`k${i}`, text));
  await halfSent(t, lib);
  await redis.restart();
  await Promise.all(sets);
  for (const [i, text] of texts.entries()) t.true((await map.get(`k${i}`)) === text, String(i));
});

// Skipped on Windows, where there are none: config.spec.js says how they are refused.
(process.platform === "win32" ? test.skip : test)("a Unix socket that is not there is a rejection with its path and the reason", async (t) => {
  const lib = loadFor(t, { CC_REDIS_URL: "unix:/nowhere/redis.sock", CC_REDIS_TIMEOUT_MS: 100 });
  const { error } = await outcome(new lib.BaseMap("ns").get("k"));
  t.is(error?.code, "REDIS_UNAVAILABLE");
  t.true(error.message.includes("/nowhere/redis.sock"), error.message);
  t.regex(inspect(error), /ENOENT/);
});

test("a server that is gone for good rejects what is in flight with REDIS_UNAVAILABLE", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis, { CC_REDIS_TIMEOUT_MS: 300 }));
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  await redis.kill("SIGSTOP");
  const calls = range(0, 50).map((i) => outcome(map.get(`k${i}`)));
  await new Promise((resolve) => setTimeout(resolve, 20));
  await redis.kill("SIGKILL");
  t.deepEqual(codes(await Promise.all(calls)), ["REDIS_UNAVAILABLE"]);
});

test("a server restarted under load answers every call or lets it succeed later, and never wrongly", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  const map = new lib.BaseMap("ns", -1);
  let stop = false;
  let done = 0;
  const worker = async (name) => {
    for (let i = 0; !stop; i++) {
      await map.set(`${name}:${i}`, `${name} ${i}`);
      const value = await map.get(`${name}:${i}`);
      // A restarted server is empty, so null is right; another worker's value is not.
      if (value !== null && value !== `${name} ${i}`) throw new Error(`${name}:${i} is ${value}`);
      done++;
    }
  };
  const workers = range(0, 20).map((i) => outcome(worker(`w${i}`)));
  for (let round = 0; round < 3; round++) {
    const before = done;
    await until(() => done > before + 200, "calls succeed");
    await redis.restart();
  }
  const before = done;
  await until(() => done > before + 200, "calls succeed after the last restart");
  stop = true;
  for (const { error } of await Promise.all(workers)) t.is(error, undefined);
});

test("a paused server rejects calls at their deadline with REDIS_TIMEOUT and the key", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis, { CC_REDIS_TIMEOUT_MS: SHORT_MS }));
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  await redis.kill("SIGSTOP");
  const started = Date.now();
  const { error } = await outcome(map.get("the-key"));
  t.true(Date.now() - started >= SHORT_MS - 10);
  t.is(error?.code, "REDIS_TIMEOUT");
  t.true(error.message.includes("ns:the-key"), error.message);
  t.true(error.message.includes(String(redis.port)), error.message);
  await redis.kill("SIGCONT");
});

test("answers that come after the deadline are not taken for those of later calls", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis, { CC_REDIS_TIMEOUT_MS: SHORT_MS }));
  const map = new lib.BaseMap("ns", -1);
  await filled(redis, map, 300);
  for (let round = 0; round < 3; round++) {
    await redis.kill("SIGSTOP");
    const late = await Promise.all(range(0, 100).map((i) => outcome(map.get(`k${i}`))));
    t.deepEqual(codes(late), ["REDIS_TIMEOUT"]);
    // These are sent while the old ones are still unanswered, and answered after them.
    const mixed = range(100, 200).map((i) => outcome(map.get(`k${i}`)));
    await redis.kill("SIGCONT");
    (await Promise.all(mixed)).forEach(({ value, error }, i) => {
      if (error) t.is(error.code, "REDIS_TIMEOUT");
      else t.is(value, `v${i + 100}`);
    });
    await until(async () => !(await outcome(map.get("k0"))).error, "calls succeed");
    t.deepEqual(await Promise.all(range(200, 300).map((i) => map.get(`k${i}`))), range(200, 300).map((i) => `v${i}`));
  }
});

test("a write that timed out does not come after a later one", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis, { CC_REDIS_TIMEOUT_MS: SHORT_MS }));
  const map = new lib.BaseMap("ns", -1);
  await filled(redis, map, 1);
  await map.set("k", "first");
  await redis.kill("SIGSTOP");
  t.is((await outcome(map.set("k", "late"))).error?.code, "REDIS_TIMEOUT");
  await redis.kill("SIGCONT");
  await until(async () => !(await outcome(map.set("k", "last"))).error, "a write succeeds");
  t.is(await map.get("k"), "last");
  await redis.command("PING");
  t.is(String(await redis.command("GET", "ns:k")), "last");
});

test("a scan that times out in the middle rejects, and the next one is complete", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis, { CC_REDIS_TIMEOUT_MS: SHORT_MS }));
  const map = new lib.BaseMap("ns", -1);
  await filled(redis, map, 3000);
  const generator = map.keys();
  await generator.next();
  await redis.kill("SIGSTOP");
  t.is((await outcome(collect(generator))).error?.code, "REDIS_TIMEOUT");
  t.is((await outcome(map.size())).error?.code, "REDIS_TIMEOUT");
  await redis.kill("SIGCONT");
  await until(async () => !(await outcome(map.get("k0"))).error, "calls succeed");
  t.is(await map.size(), 3000);
});

test("a connection that the server kills is replaced without a failed call", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  const map = new lib.BaseMap("ns", -1);
  for (let round = 0; round < 20; round++) {
    const calls = range(0, 50).map((i) => map.set(`k${i}`, `${round} ${i}`).then(() => map.get(`k${i}`)));
    await killConnections(redis);
    t.deepEqual(await Promise.all(calls), range(0, 50).map((i) => `${round} ${i}`));
  }
  // The last kill may have come after the last call; the next call connects again.
  await map.get("k1");
  t.is((await connectionsOf(redis)).length, 1);
});

test("a scan goes on over a connection that was killed", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  const map = new lib.BaseMap("ns", -1);
  await Promise.all(range(0, 2000).map((i) => map.set(`k${i}`, `v${i}`)));
  const seen = [];
  for await (const [key] of map.iterate()) {
    seen.push(key);
    if (seen.length % 300 === 0) await killConnections(redis);
  }
  t.is(new Set(seen).size, 2000);
  t.is(seen.length, 2000);
});

test("all calls share one connection, made on first use", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  lib.health();
  lib.stats();
  lib.getConfig();
  const maps = range(0, 10).map((i) => new lib.BaseMap(`m${i}`));
  await new Promise((resolve) => setTimeout(resolve, 30));
  t.deepEqual(await connectionsOf(redis), []);
  await Promise.all(maps.map((map) => map.get("k")));
  t.is((await connectionsOf(redis)).length, 1);
});

for (const [name, prepare] of [
  ["before the commands are flushed", async () => {}],
  ["after the commands are flushed", async () => new Promise(setImmediate)],
]) {
  test(`blocked JavaScript is no timeout, ${name}`, async (t) => {
    const redis = await serverFor(t);
    const lib = loadFor(t, near(redis, { CC_REDIS_TIMEOUT_MS: 100 }));
    const map = new lib.BaseMap("ns", -1);
    await filled(redis, map, 1);
    for (let round = 0; round < 3; round++) {
      const calls = [...range(0, 100).map(() => map.get("k0")), map.size().then(String)];
      await prepare();
      block(300);
      const values = await Promise.all(calls);
      t.deepEqual(new Set(values.slice(0, 100)), new Set(["v0"]));
      t.is(values[100], "1");
    }
  });

  test(`blocked JavaScript while connecting is no timeout, ${name}`, async (t) => {
    const redis = await serverFor(t);
    for (let round = 0; round < 3; round++) {
      const lib = loadFor(t, near(redis, { CC_REDIS_TIMEOUT_MS: 400 }));
      const call = new lib.BaseMap("ns", -1).get("k");
      await prepare();
      block(1200);
      t.is(await call, null);
    }
  });
}

test("JavaScript that is blocked again and again is no timeout for a long scan", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis, { CC_REDIS_TIMEOUT_MS: 100 }));
  const map = new lib.BaseMap("ns", -1);
  await filled(redis, map, 1000);
  let seen = 0;
  for await (const key of map.keys()) if (seen++ % 250 === 0 && key) block(250);
  t.is(seen, 1000);
});

test("a server that is busy for seconds is waited for on the same connection", async (t) => {
  const redis = await serverFor(t, { args: ["--enable-debug-command", "yes"] });
  const lib = loadFor(t, near(redis));
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  const { commands } = lib.stats().redis;
  const busy = redis.command("DEBUG", "SLEEP", "4");
  t.is(await map.get("k"), "v");
  await busy;
  const { connects, losses, retried, commands: after } = lib.stats().redis;
  t.deepEqual([connects, losses, retried, after - commands], [1, 0, 0, 1]);
});

const COUNTERS = "commands replies errors timeouts retried connects losses flushes bytesSent bytesReceived";
const STATS = `${COUNTERS} queued inFlight latency sentinel cluster`.split(" ");
const HEALTH = "state since server attempts lastError queued inFlight sentinel cluster".split(" ");

test("stats counts what happened, as a plain object", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  const before = lib.stats();
  t.deepEqual(Object.keys(before).sort(), ["candleCache", "mongo", "nearCache", "redis", "store"]);
  t.is(Object.getPrototypeOf(before), Object.prototype);
  t.deepEqual(Object.keys(before.redis).sort(), [...STATS].sort());
  t.deepEqual(before.redis, { ...Object.fromEntries(Object.keys(before.redis).map((name) => [name, 0])), latency: null, sentinel: null, cluster: null });
  const map = new lib.BaseMap("ns", -1);
  for (let i = 0; i < 10; i++) await map.set("k", "v");
  await redis.command("HSET", "ns:h", "f", "v");
  await outcome(map.get("h"));
  const after = lib.stats().redis;
  t.is(after.commands, 11);
  t.is(after.replies, 11);
  t.is(after.errors, 1);
  t.deepEqual([after.connects, after.losses, after.timeouts], [1, 0, 0]);
  t.true(after.flushes >= 11 && after.flushes <= 13, String(after.flushes));
  t.true(after.bytesSent > 300 && after.bytesReceived > 50);
  t.deepEqual([after.queued, after.inFlight, after.retried], [0, 0, 0]);
  t.is(after.latency.count, 11);
  t.true(after.latency.p50 > 0 && after.latency.p50 <= after.latency.p99 && after.latency.p99 <= after.latency.max);
  t.is(before.redis.commands, 0, "a snapshot does not change");
  await killConnections(redis);
  await until(async () => (await map.get("k")) && lib.stats().redis.connects === 2, "the reconnection is counted");
  t.is(lib.stats().redis.losses, 1);
});

test("stats and health count what is in flight", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  const map = new lib.BaseMap("ns", -1);
  await map.get("k");
  await redis.kill("SIGSTOP");
  const calls = range(0, 10).map(() => map.get("k"));
  await new Promise(setImmediate);
  await new Promise(setImmediate);
  t.deepEqual([lib.stats().redis.inFlight, lib.stats().redis.queued], [10, 0]);
  t.deepEqual([lib.health().redis.inFlight, lib.health().redis.queued], [10, 0]);
  await redis.kill("SIGCONT");
  await Promise.all(calls);
  t.is(lib.stats().redis.inFlight, 0);
});

test("health tells the life of a connection, as a plain object", async (t) => {
  const port = await freePort();
  const lib = loadFor(t, { CC_REDIS_URL: `redis://127.0.0.1:${port}`, CC_REDIS_TIMEOUT_MS: 100 });
  const map = new lib.BaseMap("ns", -1);
  const idle = lib.health();
  t.deepEqual(Object.keys(idle).sort(), ["kit", "mongo", "nearCache", "redis", "store"]);
  t.deepEqual(Object.keys(idle.redis).sort(), [...HEALTH].sort());
  t.deepEqual(JSON.parse(JSON.stringify(idle)), idle);
  const { state, server: shown, attempts, lastError } = idle.redis;
  t.deepEqual([state, shown, attempts, lastError], ["idle", null, 0, null]);
  await outcome(map.get("k"));
  const failing = lib.health().redis;
  t.is(failing.server, `127.0.0.1:${port}`);
  t.true(["waiting", "connecting"].includes(failing.state), failing.state);
  t.true(failing.attempts > 0);
  t.regex(failing.lastError, /ECONNREFUSED/);
  const redis = await serverFor(t, { port });
  await until(async () => !(await outcome(map.get("k"))).error, "a call succeeds");
  const ready = lib.health().redis;
  t.deepEqual([ready.state, ready.attempts, ready.lastError], ["ready", 0, null]);
  t.true(Math.abs(Date.now() - ready.since) < 60_000);
  await redis.stop();
  await until(() => lib.health().redis.state !== "ready", "health tells that the connection is gone");
  await lib.close();
  t.is(lib.health().redis.state, "idle");
});

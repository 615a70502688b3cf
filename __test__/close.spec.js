"use strict";

// The ends of a connection's life: waitForInit, close, and the bound of what may wait.

const { inspect } = require("node:util");
const { serial: test } = require("ava");
const { freePort } = require("./support/redis.js");
const { serverFor, loadFor, connectionsOf, outcome, until, collect } = require("./support/addon.js");
const { fakeFor, hello } = require("./support/fake-redis.js");

const near = (one, more) => ({ CC_REDIS_URL: one.url, ...more });
const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);
const ours = async (redis) => (await connectionsOf(redis)).length;

test("close resolves undefined and is idempotent, before any use too", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  t.is(await lib.close(), undefined);
  t.is(await lib.close(), undefined);
  await new lib.BaseMap("ns").get("k");
  t.deepEqual(await Promise.all([lib.close(), lib.close(), lib.close()]), [undefined, undefined, undefined]);
  t.is(await lib.close(), undefined);
});

test("close finishes what is in flight and then has no connection", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  const map = new lib.BaseMap("ns", -1);
  const sets = range(0, 500).map((i) => map.set(`k${i}`, `v${i}`));
  const gets = range(0, 500).map((i) => map.get(`k${i}`));
  await lib.close();
  t.is((await Promise.all(sets)).length, 500);
  t.deepEqual(await Promise.all(gets), range(0, 500).map((i) => `v${i}`));
  t.is(await redis.command("DBSIZE"), 500);
  await until(async () => (await ours(redis)) === 0, "the server sees the connection end");
});

test("a call after close opens a new connection", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  const map = new lib.BaseMap("ns", -1);
  for (let round = 0; round < 20; round++) {
    await map.set("k", `round ${round}`);
    t.is(await map.get("k"), `round ${round}`);
    await lib.close();
  }
  t.is(await map.get("k"), "round 19");
  t.is(await ours(redis), 1);
});

test("a call that is made while close is under way is answered", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  const before = range(0, 100).map(() => map.get("k"));
  const closing = lib.close();
  const during = map.get("k");
  t.deepEqual(new Set(await Promise.all(before)), new Set(["v"]));
  await closing;
  t.is(await during, "v");
});

test("calls that close cannot finish reject with CLOSED", async (t) => {
  const port = await freePort();
  const lib = loadFor(t, { CC_REDIS_URL: `redis://127.0.0.1:${port}`, CC_REDIS_TIMEOUT_MS: 60_000 });
  const map = new lib.BaseMap("ns", -1);
  const calls = [map.get("k"), map.set("k", "v"), map.size(), map.keys().next()].map(outcome);
  await new Promise((resolve) => setTimeout(resolve, 30));
  t.is(await lib.close(), undefined);
  for (const { error } of await Promise.all(calls)) {
    t.is(error?.code, "CLOSED");
    t.true(error instanceof Error);
  }
});

test("close with a server that hangs settles every call and resolves by the deadline", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis, { CC_REDIS_TIMEOUT_MS: 300 }));
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  await redis.kill("SIGSTOP");
  const calls = range(0, 20).map(() => outcome(map.get("k")));
  await lib.close();
  for (const { error } of await Promise.all(calls)) {
    t.true(["CLOSED", "REDIS_TIMEOUT"].includes(error?.code), String(error));
  }
  await redis.kill("SIGCONT");
  t.is(await map.get("k"), "v");
});

test("writes that close gave up do not come after later ones", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis, { CC_REDIS_TIMEOUT_MS: 300 }));
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "first");
  // So many that a paused server still works through them while it already answers the next connection.
  await redis.kill("SIGSTOP");
  const late = range(0, 20_000).map((i) => outcome(map.set("k", `late ${i}`)));
  await new Promise((resolve) => setTimeout(resolve, 30));
  await lib.close();
  t.true((await Promise.all(late)).every(({ error }) => ["CLOSED", "REDIS_TIMEOUT"].includes(error?.code)));
  const last = map.set("k", "last");
  await new Promise((resolve) => setTimeout(resolve, 30));
  await redis.kill("SIGCONT");
  await last;
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.is(String(await redis.command("GET", "ns:k")), "last");
});

test("calls made at every moment of close() are answered", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  for (let round = 0; round < 20; round++) {
    const later = [];
    const call = () => later.push(map.get("k"), map.set(`k${later.length}`, "v"));
    const before = range(0, 50).map((i) => map.get("k").then((value) => {
      // Settled by the turn that also ends the connection.
      if (i % 10 === 9) call();
      return value;
    }));
    if (round % 2) await null;
    const closing = lib.close();
    call();
    process.nextTick(call);
    queueMicrotask(call);
    const after = closing.then(call);
    t.deepEqual(new Set(await Promise.all(before)), new Set(["v"]));
    await after;
    call();
    const results = await Promise.all(later.map(outcome));
    t.is(results.length, 20);
    t.deepEqual(results, results.map((_, i) => ({ value: i % 2 ? undefined : "v" })));
  }
});

test("a connection that is lost during close() rejects what was made before it, and nothing that was made after", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  await redis.kill("SIGSTOP");
  const before = range(0, 30).map((i) => outcome(map.set(`before${i}`, "v")));
  await new Promise(setImmediate);
  const closing = lib.close();
  const after = range(0, 30).map((i) => outcome(map.set(`after${i}`, "v")));
  await redis.restart();
  t.is(await closing, undefined);
  t.deepEqual((await Promise.all(before)).map(({ error }) => error?.code), Array(30).fill("CLOSED"));
  t.deepEqual(await Promise.all(after), Array(30).fill({ value: undefined }));
  t.is(await redis.command("DBSIZE"), 30);
});

test("close on a connection that is ready after failed attempts finishes what is in flight", async (t) => {
  let answer;
  const asked = new Promise((resolve) => (answer = resolve));
  const fake = await fakeFor(
    t,
    (args, socket) => void answer(() => socket.write("$1\r\nv\r\n")),
    ([name], socket, id) => {
      // The first three connections come to nothing.
      if (id <= 3) return void socket.destroy();
      return name === "HELLO" ? hello(id) : "+OK\r\n";
    },
  );
  const lib = loadFor(t, fake.config);
  const call = outcome(new lib.BaseMap("ns").get("k"));
  const reply = await asked;
  t.is(lib.health().redis.state, "ready");
  t.true(lib.health().redis.attempts > 0, "no command has been answered yet");
  const closing = lib.close();
  await new Promise(setImmediate);
  reply();
  t.deepEqual(await call, { value: "v" });
  t.is(await closing, undefined);
});

for (const state of ["idle", "busy"]) {
  test(`close() after a call that was made while close() was under way finishes that call too, from ${state}`, async (t) => {
    const redis = await serverFor(t);
    const lib = loadFor(t, near(redis));
    const map = new lib.BaseMap("ns", -1);
    await map.set("k", "v");
    const early = state === "busy" ? [map.get("k")] : [];
    lib.close();
    let done = false;
    const call = map.set("k", "later").then(() => (done = true));
    await lib.close();
    t.true(done, "what was in flight is finished");
    t.is(lib.health().redis.state, "idle");
    await until(async () => (await ours(redis)) === 0, "the server sees the connection end");
    await Promise.all([call, ...early]);
  });
}

test("an iteration that close interrupts ends or goes on, with every step settled", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  const map = new lib.BaseMap("ns", -1);
  await Promise.all(range(0, 2000).map((i) => map.set(`k${i}`, "v")));
  const generator = map.keys();
  await generator.next();
  await lib.close();
  const { value, error } = await outcome(collect(generator));
  if (error) t.is(error.code, "CLOSED");
  else t.is(new Set(value).size, 1999);
  t.is(await map.size(), 2000);
});

test("close inside a callback of a reply does no harm", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  const results = await Promise.all(range(0, 100).map((i) => outcome(map.get("k").then(async (value) => {
    if (i === 10) await lib.close();
    return value;
  }))));
  for (const { value, error } of results) t.is(error ?? value, "v");
});

test("waitForInit resolves undefined when the server answers, and asks once", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  t.is(await lib.ioc.redisService.waitForInit(), undefined);
  t.is(await lib.ioc.redisService.waitForInit(), undefined);
  t.is(await ours(redis), 1);
});

test("waitForInit waits for a server that is coming up, longer than the deadline of a call", async (t) => {
  const port = await freePort();
  const lib = loadFor(t, { CC_REDIS_URL: `redis://127.0.0.1:${port}`, CC_REDIS_TIMEOUT_MS: 50 });
  const waiting = [lib.ioc.redisService.waitForInit(), lib.ioc.redisService.waitForInit()];
  t.is((await outcome(new lib.BaseMap("ns").get("k"))).error?.code, "REDIS_UNAVAILABLE");
  t.is((await outcome(new lib.BaseMap("ns").get("k"))).error?.code, "REDIS_UNAVAILABLE");
  await serverFor(t, { port });
  t.deepEqual(await Promise.all(waiting), [undefined, undefined]);
});

test("waitForInit gives up after 15 seconds with the cause, and a later call tries again", async (t) => {
  t.timeout(60_000);
  const port = await freePort();
  const lib = loadFor(t, { CC_REDIS_URL: `redis://127.0.0.1:${port}`, CC_REDIS_TIMEOUT_MS: 200 });
  // Here a PING has ten seconds: the second one is not waited for to its end.
  const patient = loadFor(t, { CC_REDIS_URL: `redis://127.0.0.1:${port}` });
  const started = Date.now();
  const waiting = [lib, patient].map(async ({ ioc }) => [await outcome(ioc.redisService.waitForInit()), Date.now() - started]);
  const [[{ error }], [{ error: late }]] = await Promise.all(waiting);
  for (const [, ms] of await Promise.all(waiting)) t.true(ms >= 14_900 && ms < 19_000, `${ms} ms`);
  t.regex(inspect(late.cause), /ECONNREFUSED/);
  t.regex(error.message, /^Redis connection timeout/);
  t.is(typeof error.code, "string");
  t.regex(inspect(error.cause), /ECONNREFUSED/);
  await serverFor(t, { port });
  t.is(await lib.ioc.redisService.waitForInit(), undefined);
});

test("waitForInit that close() ends rejects with CLOSED and connects no more; a later call starts again", async (t) => {
  const port = await freePort();
  const lib = loadFor(t, { CC_REDIS_URL: `redis://127.0.0.1:${port}` });
  for (let round = 0; round < 2; round++) {
    const waiting = outcome(lib.ioc.redisService.waitForInit());
    await until(() => lib.health().redis.attempts > 0, "an attempt was made");
    await lib.close();
    t.is((await waiting).error?.code, "CLOSED");
    // Longer than the pause between two of its questions.
    await new Promise((resolve) => setTimeout(resolve, 150));
    const { state, attempts, queued } = lib.health().redis;
    t.deepEqual([state, attempts, queued], ["idle", 0, 0], "nobody asks any more");
  }
  await serverFor(t, { port });
  t.is(await lib.ioc.redisService.waitForInit(), undefined);
});

test("waitForInit that close() ends between two of its questions rejects with CLOSED and connects no more", async (t) => {
  const port = await freePort();
  const lib = loadFor(t, { CC_REDIS_URL: `redis://127.0.0.1:${port}`, CC_REDIS_TIMEOUT_MS: 20 });
  let told = null;
  lib.ioc.redisService.waitForInit().catch((error) => (told = error));
  await until(() => lib.health().redis.attempts > 0, "it asks");
  await until(() => lib.health().redis.queued === 0, "it pauses");
  t.is(told, null);
  await lib.close();
  await until(() => told !== null, "it gives up", 5_000);
  t.is(told.code, "CLOSED");
  t.is(lib.health().redis.state, "idle");
});

test("waitForInit carries clear() as in the original", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  const { waitForInit } = lib.ioc.redisService;
  t.is(typeof waitForInit.clear, "function");
  t.is(waitForInit.clear(), undefined);
  await waitForInit();
  waitForInit.clear();
  await waitForInit();
  await lib.close();
  waitForInit.clear();
  t.is(await waitForInit(), undefined);
});

test("more waiting calls than the bound reject at once with QUEUE_FULL; the others are answered", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis, { CC_REDIS_QUEUE_MAX: 10 }));
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  await redis.kill("SIGSTOP");
  const calls = range(0, 15).map(() => outcome(map.get("k")));
  const refused = await Promise.all(calls.slice(10));
  for (const { error } of refused) {
    t.is(error?.code, "QUEUE_FULL");
    t.true(error instanceof Error);
    t.regex(error.message, /CC_REDIS_QUEUE_MAX/);
  }
  await redis.kill("SIGCONT");
  for (const { value } of await Promise.all(calls.slice(0, 10))) t.is(value, "v");
  const again = await Promise.all(range(0, 10).map(() => map.get("k")));
  t.deepEqual(again, Array(10).fill("v"), "the places are free again");
});

test("calls that are refused for a full queue do not shift the answers of the others", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis, { CC_REDIS_QUEUE_MAX: 50 }));
  const map = new lib.BaseMap("ns", -1);
  for (let i = 0; i < 200; i++) await map.set(`k${i}`, `v${i}`);
  for (let round = 0; round < 50; round++) {
    const results = await Promise.all(range(0, 200).map((i) => outcome(map.get(`k${i}`))));
    results.forEach(({ value, error }, i) => {
      if (error) t.is(error.code, "QUEUE_FULL");
      else if (value !== `v${i}`) t.fail(`k${i} is ${value}`);
    });
    t.true(results.some(({ error }) => error) && results.some(({ error }) => !error));
  }
});

test("a hundred thousand calls that wait for nothing are all settled, at the deadline and at close", async (t) => {
  const port = await freePort();
  const lib = loadFor(t, { CC_REDIS_URL: `redis://127.0.0.1:${port}`, CC_REDIS_TIMEOUT_MS: 200 });
  const map = new lib.BaseMap("ns", -1);
  const flood = () => range(0, 100_000).map(() => outcome(map.get("k")));
  const codes = async (calls) => [...new Set((await Promise.all(calls)).map(({ error }) => error?.code))];
  t.deepEqual(await codes(flood()), ["REDIS_UNAVAILABLE"]);
  const calls = flood();
  await new Promise(setImmediate);
  await lib.close();
  t.deepEqual(await codes(calls), ["CLOSED"]);
});

test("more waiting bytes than the bound reject with QUEUE_FULL, and nothing of them is sent", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis, { CC_REDIS_QUEUE_MAX_BYTES: 2048 }));
  const map = new lib.BaseMap("ns", -1);
  const { error } = await outcome(map.set("big", "x".repeat(4000)));
  t.is(error?.code, "QUEUE_FULL");
  t.regex(error.message, /CC_REDIS_QUEUE_MAX_BYTES/);
  const calls = range(0, 10).map((i) => outcome(map.set(`k${i}`, "x".repeat(400))));
  const results = await Promise.all(calls);
  t.true(results.some(({ error: one }) => one?.code === "QUEUE_FULL"));
  t.true(results.some(({ error: one }) => !one));
  t.is(await redis.command("DBSIZE"), results.filter(({ error: one }) => !one).length);
  t.is(await map.get("k0"), "x".repeat(400));
});

test("a queue that was full while the server was away drains when it is back", async (t) => {
  const port = await freePort();
  const lib = loadFor(t, { CC_REDIS_URL: `redis://127.0.0.1:${port}`, CC_REDIS_QUEUE_MAX: 100 });
  const map = new lib.BaseMap("ns", -1);
  const calls = range(0, 150).map((i) => outcome(map.set(`k${i}`, `v${i}`)));
  const redis = await serverFor(t, { port });
  const results = await Promise.all(calls);
  t.is(results.filter(({ error }) => error?.code === "QUEUE_FULL").length, 50);
  t.is(await redis.command("DBSIZE"), 100);
  t.is(await map.get("k99"), "v99");
});

test("keys in a full queue lose nothing of the scans that wait", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis, { CC_REDIS_QUEUE_MAX: 20 }));
  const map = new lib.BaseMap("ns", -1);
  for (let i = 0; i < 500; i++) await map.set(`k${i}`, "v");
  const scans = range(0, 15).map(() => outcome(map.toArray()));
  const gets = range(0, 30).map((i) => outcome(map.get(`k${i}`)));
  for (const { value, error } of await Promise.all(scans)) {
    if (error) t.is(error.code, "QUEUE_FULL");
    else t.is(value.length, 500);
  }
  for (const { value, error } of await Promise.all(gets)) t.true(value === "v" || error?.code === "QUEUE_FULL");
});

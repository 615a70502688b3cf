"use strict";

// Strategies that work in slices: JavaScript blocks the loop again and again, and lets it turn only in between. The
// connection, its attempts and its deadlines must go on all the same.

const { serial: test } = require("ava");
const { freePort } = require("./support/redis.js");
const { serverFor, loadFor, killConnections, outcome, until } = require("./support/addon.js");

const SLICE_MS = 50;
const near = (one, more) => ({ CC_REDIS_URL: one.url, ...more });
const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);

function block(ms) {
  const end = process.hrtime.bigint() + BigInt(ms) * 1_000_000n;
  while (process.hrtime.bigint() < end);
}

/** Works in slices from now on, until the test is over or `most` slices are done; the function tells how many were. */
function work(t, ms = SLICE_MS, most = Infinity) {
  let slices = 0;
  let stop = false;
  t.teardown(() => (stop = true));
  const slice = () => {
    if (stop || slices >= most) return;
    block(ms);
    slices++;
    setImmediate(slice);
  };
  setImmediate(slice);
  return () => slices;
}

/** The call is settled while the slices go on: long before the deadline that would be its end. */
function soon(call, what, ms = 20_000) {
  let timer;
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`this did not happen within ${ms} ms: ${what}`)), ms);
  });
  return Promise.race([call, late]).finally(() => clearTimeout(timer));
}

test("attempts go on while JavaScript works in slices, and waiting calls are answered when the server is back", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis, { CC_REDIS_TIMEOUT_MS: 120_000 }));
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  work(t);
  for (let round = 0; round < 2; round++) {
    await redis.kill("SIGKILL");
    const calls = range(0, 20).map((i) => map.set(`k${i}`, `v${i}`).then(() => map.get(`k${i}`)));
    await until(() => lib.health().redis.attempts >= 5, "five attempts");
    await redis.start();
    t.deepEqual(await soon(Promise.all(calls), "the calls are answered"), range(0, 20).map((i) => `v${i}`));
  }
});

test("a killed connection is replaced between two slices, and what is in flight is answered", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis, { CC_REDIS_TIMEOUT_MS: 120_000 }));
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  work(t);
  for (let round = 0; round < 5; round++) {
    const calls = range(0, 50).map((i) => map.set(`k${i}`, `${round} ${i}`).then(() => map.get(`k${i}`)));
    await killConnections(redis);
    t.deepEqual(await soon(Promise.all(calls), "the calls are answered"), range(0, 50).map((i) => `${round} ${i}`));
  }
});

test("deadlines come while JavaScript works in slices", async (t) => {
  const redis = await serverFor(t);
  const absent = await freePort();
  const hung = loadFor(t, near(redis, { CC_REDIS_TIMEOUT_MS: 300 }));
  const alone = loadFor(t, { CC_REDIS_URL: `redis://127.0.0.1:${absent}`, CC_REDIS_TIMEOUT_MS: 300 });
  await new hung.BaseMap("ns").get("k");
  await redis.kill("SIGSTOP");
  work(t);
  const calls = [hung, alone].map((lib) => outcome(new lib.BaseMap("ns").get("k")));
  const results = await soon(Promise.all(calls), "the calls are rejected");
  t.deepEqual(results.map(({ error }) => error?.code), ["REDIS_TIMEOUT", "REDIS_UNAVAILABLE"]);
  await redis.kill("SIGCONT");
});

test("a name is looked up and connected to while JavaScript works in slices", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, { CC_REDIS_HOST: "localhost", CC_REDIS_PORT: redis.port, CC_REDIS_URL: "" });
  work(t);
  t.is(await soon(new lib.BaseMap("ns").get("k"), "the call is answered"), null);
});

for (const host of ["127.0.0.1", "localhost"]) {
  // Longer than any step of an attempt may take (STEP_LIMIT in src/redis/supervise.rs): what JavaScript's own blocking cost is not
  // the server's fault, and each attempt would be given up for it.
  test(`slices of more than five seconds do not keep it from connecting to ${host}`, async (t) => {
    const redis = await serverFor(t);
    const lib = loadFor(t, { CC_REDIS_HOST: host, CC_REDIS_PORT: redis.port, CC_REDIS_URL: "", CC_REDIS_TIMEOUT_MS: 120_000 });
    const call = new lib.BaseMap("ns").get("k").then(() => slices());
    const slices = work(t, 5_300, 7);
    const needed = await call;
    t.true(needed < 7, "it is connected before the slices end");
  });
}

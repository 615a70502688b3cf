"use strict";

// User code that runs in the middle of ours (async hooks, loggers, getters, patched globals) and calls us, or throws:
// every call is settled, with its own answer.

const asyncHooks = require("node:async_hooks");
const { serial: test } = require("ava");
const { serverFor, loadFor, connectionsOf, outcome, until } = require("./support/addon.js");
const { runChild } = require("./support/child.js");

const near = (one, more) => ({ CC_REDIS_URL: one.url, ...more });
const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);

/** Runs `visit` inside the `nth` asynchronous resource that `action` makes; true when there was one. */
function inside(nth, visit, action) {
  let seen = 0;
  let visited = false;
  const hook = asyncHooks.createHook({
    init() {
      if (visited || seen++ < nth) return;
      visited = true;
      visit();
    },
  });
  hook.enable();
  try {
    action();
  } finally {
    hook.disable();
  }
  return visited;
}

/** A call whose number was lost never ends: that is a failure, and not a test that hangs. */
function settled(promise, what, ms = 10_000) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve({ error: new Error(`not settled within ${ms} ms: ${what}`) }), ms);
  });
  return Promise.race([outcome(promise), late]).finally(() => clearTimeout(timer));
}

/** Every call gets its own answer: numbers on both sides still agree. */
async function agree(t, map) {
  await Promise.all(range(0, 50).map((i) => map.set(`k${i}`, `v${i}`)));
  const results = await Promise.all(range(0, 50).map((i) => settled(map.get(`k${i}`), `k${i}`)));
  t.deepEqual(results, range(0, 50).map((i) => ({ value: `v${i}` })));
}

for (const [state, prepare] of [
  ["before the first connection", () => []],
  ["with calls of the same tick", (map) => range(0, 20).map((i) => map.set(`early${i}`, "v"))],
  ["with calls in flight", async (map) => {
    await map.get("k");
    const calls = range(0, 20).map((i) => map.set(`early${i}`, "v"));
    await null;
    return calls;
  }],
  ["with an idle connection", async (map) => {
    await map.get("k");
    return [];
  }],
]) {
  test(`calls that a hook makes in the middle of close() are answered, ${state}`, async (t) => {
    const redis = await serverFor(t);
    let visited = 0;
    for (const nth of range(0, 12)) {
      // By name: the lookup is an asynchronous resource too.
      const lib = loadFor(t, { CC_REDIS_HOST: "localhost", CC_REDIS_PORT: redis.port, CC_REDIS_URL: "" });
      const map = new lib.BaseMap("ns", -1);
      // No `await` where there is nothing to wait for: the same tick is the point.
      const made = prepare(map);
      const early = made instanceof Promise ? await made : made;
      const extra = [];
      let closing;
      const calls = () => extra.push(map.set("inner", `${nth}`), map.get("inner"), map.size());
      if (inside(nth, calls, () => (closing = lib.close()))) visited++;
      t.deepEqual(await settled(closing, "close()"), { value: undefined });
      for (const one of early) t.deepEqual(await settled(one, "an earlier call"), { value: undefined });
      const results = await Promise.all(extra.map((one) => settled(one, "a call of the hook")));
      t.deepEqual(results.map(({ error }) => error), results.map(() => undefined));
      if (extra.length > 0) t.is(results[1].value, `${nth}`);
      await agree(t, map);
    }
    t.true(visited > 0, "the hook was called inside close()");
  });
}

test("calls that a hook makes while a promise is made are numbered in their order", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, near(redis));
  const map = new lib.BaseMap("ns", -1);
  await agree(t, map);
  const calls = [];
  for (const nth of range(0, 50)) {
    const i = (nth * 7) % 50;
    const inner = () => calls.push([`v${i}`, map.get(`k${i}`)]);
    t.true(inside(0, inner, () => calls.push([`v${nth}`, map.get(`k${nth}`)])));
  }
  for (const [expected, call] of calls) t.deepEqual(await settled(call, expected), { value: expected });
});

test("close() that a hook calls in the middle of close(): both are settled, and calls go on", async (t) => {
  const redis = await serverFor(t);
  let visited = 0;
  for (const nth of range(0, 6)) {
    for (const busy of [true, false]) {
      const lib = loadFor(t, near(redis));
      const map = new lib.BaseMap("ns", -1);
      await map.set("k", "v");
      const call = busy ? map.get("k") : Promise.resolve("v");
      const closings = [];
      if (inside(nth, () => closings.push(lib.close()), () => closings.push(lib.close()))) visited++;
      for (const one of closings) t.deepEqual(await settled(one, "close()"), { value: undefined });
      t.deepEqual(await settled(call, "the call"), { value: "v" });
      await agree(t, map);
    }
  }
  t.true(visited > 0, "the hook was called inside close()");
});

test("a logger that closes and calls while it is told of the near cache's refusal loses no call", async (t) => {
  const redis = await serverFor(t);
  await redis.command("ACL", "SETUSER", "bot", "on", ">pw", "~*", "+@all", "-client|tracking");
  const config = { CC_REDIS_PORT: redis.port, CC_REDIS_USER: "bot", CC_REDIS_PASSWORD: "pw", CC_REDIS_URL: "", CC_NEAR_CACHE: "on" };
  const lib = loadFor(t, config);
  const map = new lib.BaseMap("ns", -1);
  const inner = [];
  lib.setLogger({
    warn() {
      // A connection made after close() may be told of too; once is enough here.
      if (inner.length === 0) inner.push(map.set("inner", "v"), map.get("inner"), lib.close(), map.get("inner"));
    },
  });
  const row = { symbol: "B", strategyName: "s", exchangeName: "x", id: "1" };
  t.deepEqual(await settled(lib.ioc.signalCacheService.setSignalId(row), "setSignalId"), { value: "1" });
  // It is told after the answers of that turn.
  await until(() => inner.length > 0, "the logger is told");
  for (let at = 0; at < inner.length; at++) {
    t.deepEqual(await settled(inner[at], `call ${at}`), { value: [undefined, "v", undefined, "v"][at % 4] });
  }
  lib.setLogger(null);
  await agree(t, map);
});

for (const [what, own] of [
  ["a row's getter", (change) => ({ strategyName: "s", exchangeName: "x", id: "1", get symbol() {
    change();
    return "B";
  } })],
  ["a row that is a Proxy", (change) => new Proxy({ symbol: "B", strategyName: "s", exchangeName: "x", id: "1" }, {
    get(target, name) {
      if (name === "symbol") change();
      return target[name];
    },
  })],
]) {
  test(`configuration that ${what} sets after close() is in force for the calls after it`, async (t) => {
    const [first, second] = [await serverFor(t), await serverFor(t)];
    const lib = loadFor(t, near(first));
    await new lib.BaseMap("ns").get("k");
    const change = () => {
      lib.close();
      lib.setConfig({ CC_REDIS_URL: second.url });
    };
    t.deepEqual(await settled(lib.ioc.signalCacheService.setSignalId(own(change)), "setSignalId"), { value: "1" });
    await new lib.BaseMap("ns").get("k");
    t.is(lib.getConfig().CC_REDIS_URL, second.url);
    t.is(lib.health().redis.server, `127.0.0.1:${second.port}`);
    await until(async () => (await connectionsOf(first)).length === 0, "the first connection ends");
  });
}

test("a logger that sets configuration after close() in the middle of a call does not lose it", async (t) => {
  const [first, second] = [await serverFor(t), await serverFor(t)];
  const lib = loadFor(t, near(first));
  await new lib.BaseMap("ns").get("k");
  lib.setLogger({
    log() {
      lib.setLogger(null);
      lib.close();
      lib.setConfig({ CC_REDIS_URL: second.url });
    },
  });
  t.deepEqual(await settled(lib.ioc.signalCacheService.getSignalId("B", "s", "x"), "getSignalId"), { value: null });
  await new lib.BaseMap("ns").get("k");
  t.is(lib.health().redis.server, `127.0.0.1:${second.port}`);
});

for (const [scenario, nodeArgs] of [
  ["the stack runs out in calls", []],
  ["the stack runs out in calls of services", []],
  ["Error is replaced", []],
  ["Error has a hostile hasInstance", []],
  ["Promise.prototype.then is patched", []],
  ["Promise has a hostile species", []],
  ["Array.prototype has a then that throws", []],
  ["Object.prototype has fields", []],
  ["what waits for answers throws in ticks and microtasks", []],
  ["a promise hook throws", []],
  ["everything is frozen", []],
  ["intrinsics are frozen from the start", ["--no-warnings", "--frozen-intrinsics"]],
]) {
  test(`every call is settled with its own answer when ${scenario}`, async (t) => {
    const redis = await serverFor(t);
    await redis.command("HSET", "hostile:hash", "f", "v");
    const result = await runChild("hostile", { env: redis.env, args: [scenario], nodeArgs });
    t.deepEqual(result.lines, [{ during: "right", after: "right" }], result.stderr);
    t.is(result.code, 0, result.stderr);
  });
}

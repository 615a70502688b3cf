"use strict";

// How calls of the embedded store run: on the JavaScript thread at the end of their tick, or on the store's thread; never so that
// the loop waits.

const { createHook } = require("node:async_hooks");
const { serial: test } = require("ava");
const { loadFor, outcome } = require("./support/addon.js");
const { folderFor } = require("./support/folder.js");

/** On a folder of its own, which is open, and whose log has begun. */
async function openStore(t, more = {}) {
  const folder = folderFor(t);
  const lib = loadFor(t, { CC_STORE_PATH: folder, ...more });
  await new lib.BaseMap("first", -1).set("k", "v");
  await lib.ioc.mongoService.waitForInit();
  const before = lib.stats().store;
  /** What has been counted since it was open. */
  const since = () => Object.fromEntries(["reads", "writes", "calls", "commits", "errors"].map((name) => [name, lib.stats().store[name] - before[name]]));
  return { lib, folder, since };
}

const numbers = (count) => Array.from({ length: count }, (_, i) => i);

test("what is written in one tick is one transaction, and what is read behind it in the tick sees it", async (t) => {
  const { lib, since } = await openStore(t);
  const map = new lib.BaseMap("ns", -1);
  // A machine that is busy may take longer than a tick may take; then a part goes to the store's thread.
  let counted;
  for (let attempt = 0; attempt < 50; attempt++) {
    const before = since();
    const calls = numbers(20).flatMap((i) => [map.set(`k${i}`, `${attempt} ${i}`), map.get(`k${i}`)]);
    const row = lib.ioc.signalDbService.upsert("S", "s", "e", { attempt });
    const found = lib.ioc.signalDbService.findByContext("S", "s", "e");
    t.deepEqual(await Promise.all(calls), numbers(20).flatMap((i) => [undefined, `${attempt} ${i}`]));
    await row;
    t.deepEqual((await found).payload, { attempt });
    const after = since();
    counted = Object.fromEntries(Object.keys(after).map((name) => [name, after[name] - before[name]]));
    if (counted.calls === 0) {
      break;
    }
  }
  t.like(counted, { writes: 21, calls: 0, commits: 1, errors: 0 });
  t.is(lib.stats().store.waiting, 0);
});

test("a call that fails fails alone, and the others of its tick are there", async (t) => {
  const { lib, since } = await openStore(t);
  const { riskDbService } = lib.ioc;
  const dto = (riskName) => ({ riskName, exchangeName: "e", positions: [], when: new Date(5) });
  const made = await Promise.all([dto("a"), dto("a"), dto("b")].map((one) => outcome(riskDbService.create(one))));
  t.deepEqual(made.map(({ error }) => error?.code), [undefined, "MONGO_WRITE", undefined]);
  t.is((await outcome(riskDbService.create(dto("b")))).error?.code, "MONGO_WRITE");
  t.deepEqual((await riskDbService.findAll({})).map((row) => row.riskName).sort(), ["a", "b"]);
  t.is(since().errors, 2);
});

test("a loop of awaited calls lets the loop of events turn after a millisecond, not after a thousand answers", async (t) => {
  const { lib } = await openStore(t);
  const map = new lib.BaseMap("ns", -1);
  await lib.ioc.signalDbService.upsert("S", "s", "e", {});
  const calls = { row: () => lib.ioc.signalDbService.findByContext("S", "s", "e"), write: (i) => map.set(`k${i}`, "v") };
  for (const [name, call] of Object.entries(calls)) {
    let [since, most, running] = [0, 0, true];
    const turn = () => {
      most = Math.max(most, since);
      since = 0;
      if (running) setImmediate(turn);
    };
    turn();
    for (let i = 0; i < 5_000; i++) {
      await call(i);
      since++;
    }
    running = false;
    // Each takes some ten microseconds, so that is far more than a millisecond has room for.
    t.true(most < 500, `${name}: ${most} calls between two turns`);
  }
});

test("a call that a hook makes while answers are kept for the loop's next turn is settled, and so are all others", async (t) => {
  const { lib } = await openStore(t);
  const map = new lib.BaseMap("ns", -1);
  await Promise.all(numbers(10).map((i) => map.set(`k${i}`, `v${i}`)));
  const calls = [];
  let inner = 0;
  const hook = createHook({ init: (_, type) => type === "Immediate" && inner < 10 && calls.push([`v${inner}`, map.get(`k${inner++}`)]) });
  hook.enable();
  // A busy machine may leave a loop so little of its time that all answers are given at once.
  for (let attempt = 0; attempt < 20 && inner === 0; attempt++) {
    // More than the millisecond for which answers are given at once.
    for (const end = performance.now() + 5; performance.now() < end; ) calls.push(["v0", map.get("k0")]);
    // The tick ends, and the next turn is arranged.
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  hook.disable();
  t.true(inner > 0, "the hook has called");
  for (const [expected, call] of calls) t.deepEqual(await outcome(call), { value: expected });
});

test("a loop of awaited writes lets timers fire", async (t) => {
  const { lib } = await openStore(t);
  const map = new lib.BaseMap("ns", -1);
  for (const write of [(i) => map.set("k", String(i)), (i) => lib.ioc.signalDbService.upsert("S", "s", "e", { i })]) {
    let fired = 0;
    const timer = setInterval(() => fired++, 1);
    let writes = 0;
    while (fired < 5 && writes < 100_000) {
      await write(writes++);
    }
    clearInterval(timer);
    t.true(fired >= 5, `${fired} in ${writes} writes`);
  }
});

test("more than a tick may hold up goes to the store's thread, and the order holds", async (t) => {
  const { lib, since } = await openStore(t);
  const map = new lib.BaseMap("ns", -1);
  const calls = numbers(3_000).map((i) => map.set("k", String(i)));
  const read = map.get("k");
  await Promise.all(calls);
  t.is(await read, "2999");
  const { reads, writes, calls: there } = since();
  t.is(reads + writes + there, 3_001);
  t.true(writes > 0 && there > 0);
  const large = "v".repeat(300_000);
  await map.set("large", large);
  t.is(await map.get("large"), large);
});

test("answers that cannot be told keep no others back", async (t) => {
  // Each write goes to the store's thread.
  const { lib } = await openStore(t, { CC_STORE_SYNC: "full" });
  const map = new lib.BaseMap("ns", -1);
  const { mongo } = require("../js/engine.js").native;
  const { settle } = mongo;
  const lost = [];
  mongo.settle = (answers) => {
    mongo.settle = settle;
    lost.push(answers);
    throw new Error("it cannot be told");
  };
  const row = lib.ioc.logDbService.upsert("l", { a: 1 });
  // More than one turn of the loop tells.
  await Promise.all(numbers(5_000).map((i) => map.set(`k${i}`, "v")));
  t.is(lost.length, 1);
  t.is(await map.get("k4999"), "v");
  settle(lost[0]);
  await row;
});

test("long work does not let what is behind it in its tick overtake it", async (t) => {
  const { lib } = await openStore(t);
  const map = new lib.BaseMap("ns", -1);
  await Promise.all(numbers(50).map((i) => map.set(`k${i}`, "v")));
  const cleared = map.clear();
  const set = map.set("k1", "after");
  const read = map.get("k1");
  await Promise.all([cleared, set]);
  t.is(await read, "after");
  t.is(await map.size(), 1);
});

test("an upsert notes the id of its row, and a find notes it anew where it was taken away", async (t) => {
  const { lib } = await openStore(t);
  const { signalDbService, signalCacheService } = lib.ioc;
  const args = ["S", "s", "e"];
  await signalDbService.upsert(...args, { a: 1 });
  const { id } = await signalDbService.findByContext(...args);
  t.is(await signalCacheService.getSignalId(...args), id);
  await new lib.BaseMap("signal_cache", -1).delete("e:s:S");
  t.is(await signalCacheService.getSignalId(...args), null);
  t.is((await signalDbService.findByContext(...args)).id, id);
  t.is(await signalCacheService.getSignalId(...args), id);
  await signalDbService.upsert(...args, { a: 2 });
  t.is(await signalCacheService.getSignalId(...args), id);
  const row = await signalDbService.findByContext(...args);
  t.deepEqual([row.id, row.payload], [id, { a: 2 }]);
});

test("methods of the cache service that somebody has replaced are called", async (t) => {
  const { lib } = await openStore(t);
  const { signalDbService, signalCacheService } = lib.ioc;
  const seen = [];
  for (const name of ["getSignalId", "setSignalId"]) {
    const own = signalCacheService[name];
    signalCacheService[name] = function (...args) {
      seen.push(name);
      return own.apply(this, args);
    };
  }
  await signalDbService.upsert("S", "s", "e", { a: 1 });
  await signalDbService.findByContext("S", "s", "e");
  t.deepEqual(seen, ["setSignalId", "getSignalId"]);
});

test("arguments that fit no form are refused as on servers", async (t) => {
  const { lib } = await openStore(t);
  t.is((await outcome(lib.ioc.signalDbService.findByContext(undefined, "s", "e"))).error?.code, "INVALID_CONTEXT");
});

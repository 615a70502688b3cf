"use strict";

// AsyncLocalStorage keeps its context over every awaited call and every step of an iteration: backtest-kit carries its
// execution context in it.

const { AsyncLocalStorage, AsyncResource, executionAsyncId } = require("node:async_hooks");
const { serial: test } = require("ava");
const { withRedis, loadFresh, outcome } = require("./support/addon.js");
const { freePort } = require("./support/redis.js");

const own = withRedis(test);
const storage = new AsyncLocalStorage();

test.before(async () => {
  const words = [];
  for (let i = 0; i < 500; i++) words.push(`ctx:k${i}`, `v${i}`);
  await own.server.command("MSET", ...words);
});

const map = () => new own.lib.BaseMap("ctx", -1);
const row = { symbol: "B", strategyName: "s", exchangeName: "x", id: "1" };

test("a hundred contexts at once are each kept over every kind of call", async (t) => {
  const results = await Promise.all(Array.from({ length: 100 }, (_, id) => storage.run(id, async () => {
    const seen = [];
    const note = () => seen.push(storage.getStore());
    const made = map();
    await made.set(`c${id}`, "v");
    note();
    await made.get(`c${id}`).then(note);
    note();
    await made.has("k");
    note();
    await made.delete(`c${id}`);
    note();
    await made.size();
    note();
    await made.toArray();
    note();
    await own.lib.ioc.signalCacheService.setSignalId(row);
    note();
    await own.lib.ioc.signalCacheService.hasSignalId("B", "s", "x").finally(note);
    note();
    await outcome(made.set("", "v")).then(note);
    return seen;
  })));
  results.forEach((seen, id) => t.deepEqual(seen, Array(11).fill(id)));
});

for (const method of ["iterate", "keys", "values"]) {
  test(`each step of ${method} runs in the context of its loop, many loops at once`, async (t) => {
    await Promise.all(Array.from({ length: 20 }, (_, id) => storage.run(id, async () => {
      let steps = 0;
      for await (const item of map()[method]()) {
        if (storage.getStore() !== id) t.fail(`${storage.getStore()} in place of ${id} at ${String(item)}`);
        steps++;
      }
      t.true(steps >= 500);
      t.is(storage.getStore(), id);
    })));
  });
}

test("a generator made in one context and used in another gives each step its caller's", async (t) => {
  const generator = storage.run("maker", () => map().keys());
  for (const id of ["a", "b", "c"]) {
    await storage.run(id, async () => {
      await generator.next();
      t.is(storage.getStore(), id);
    });
  }
  await generator.return();
});

test("rejections come back in their context too", async (t) => {
  const port = await freePort();
  const lib = loadFresh({ CC_REDIS_URL: `redis://127.0.0.1:${port}`, CC_REDIS_TIMEOUT_MS: 100 });
  const absent = new lib.BaseMap("ctx");
  await Promise.all(Array.from({ length: 20 }, (_, id) => storage.run(id, async () => {
    const { error } = await outcome(absent.get("k"));
    t.is(error.code, "REDIS_UNAVAILABLE");
    t.is(storage.getStore(), id);
  })));
  await lib.close();
});

test("no context of one call leaks into what runs between calls", async (t) => {
  await storage.run("inner", () => map().get("k1"));
  t.is(storage.getStore(), undefined);
  await new Promise((resolve) => setImmediate(resolve));
  t.is(storage.getStore(), undefined);
  t.true(executionAsyncId() >= 0);
});

test("a logger runs in the context of the call", async (t) => {
  const seen = [];
  own.lib.setLogger({ info: () => seen.push(storage.getStore()) });
  await Promise.all(["a", "b"].map((id) => storage.run(id, () => map().get("k1"))));
  own.lib.setLogger(null);
  t.deepEqual(seen, ["a", "b"]);
});

test("an AsyncResource of the caller's works around calls", async (t) => {
  const resource = storage.run("resource", () => new AsyncResource("test"));
  const value = await resource.runInAsyncScope(async () => {
    await map().get("k1");
    return storage.getStore();
  });
  t.is(value, "resource");
});

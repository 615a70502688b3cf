"use strict";

// Nobody can tell an answer from memory by anything but its speed: log calls, the context of asynchronous calls, and
// servers and threads for which there is no memory, or another one.

const { AsyncLocalStorage } = require("node:async_hooks");
const { serial: test } = require("ava");
const { connectionsOf, loadFor, recorder, until, withRedis } = require("./support/addon.js");
const { runChild } = require("./support/child.js");
const { bulk, fakeFor } = require("./support/fake-redis.js");
const { services } = require("../js/binding.js");

const own = withRedis(test, { config: { CC_NEAR_CACHE: "on" } });
const row = (id, symbol = "B") => ({ symbol, strategyName: "s", exchangeName: "x", id });
const near = () => own.lib.stats().nearCache;

test.beforeEach(async () => {
  await own.lib.ioc.redisService.waitForInit();
  const { flushes } = near();
  await own.server.command("FLUSHALL");
  await until(() => near().flushes > flushes, "the flush is announced");
});
test.afterEach(() => own.lib.setLogger(null));

/** What is logged by a call, and how many commands it sends. */
async function logged(action) {
  const logger = recorder();
  own.lib.setLogger(logger);
  const { commands } = own.lib.stats().redis;
  const value = await action();
  own.lib.setLogger(null);
  return { log: logger.calls, value, sent: own.lib.stats().redis.commands - commands };
}

/** A value for each argument of a form. */
const sample = ({ name, type }) => (type === "number" ? 1767225600000 : type === "boolean" ? true : `a ${name}`);

/** Writes the only key of the server by another client, with the id that it has, so that it is no longer known. */
async function touched() {
  const [key] = await own.server.command("KEYS", "*");
  const { invalidations } = near();
  await own.server.command("SET", key, "the id");
  await until(() => near().invalidations > invalidations, "the write is announced");
}

for (const { service: name, nouns } of services()) {
  test(`the log calls of an answer from memory equal those of an answer from Redis: ${name}`, async (t) => {
    const service = own.lib.ioc[name];
    for (const { noun, forms } of nouns) {
      for (const form of forms) {
        const args = form.args.map(sample);
        const given = { ...Object.fromEntries(form.args.map((arg) => [arg.name, sample(arg)])), id: "the id" };
        const set = () => service[`set${noun}Id`](given);
        // Of the two keys of a session's three strings nothing is known of the first one.
        const asks = name === "sessionCacheService" && form.args[0].name === "symbol";
        await own.lib.ioc[name].clear();
        const written = await logged(set);
        t.is(written.sent, 1);
        t.is(written.log.length, 2);
        t.deepEqual(await logged(set), written, "a write is sent, whatever is known");
        for (const verb of ["get", "has"]) {
          const ask = () => service[`${verb}${noun}Id`](...args);
          await set();
          const remembered = await logged(ask);
          t.is(remembered.sent, asks ? 1 : 0, verb);
          t.is(remembered.log.length, 2);
          await touched();
          t.deepEqual(await logged(ask), { ...remembered, sent: 1 }, verb);
        }
      }
    }
  });
}

test("a context of AsyncLocalStorage is kept over answers from memory, in the midst of a hundred others", async (t) => {
  const storage = new AsyncLocalStorage();
  const service = own.lib.ioc.signalCacheService;
  await service.setSignalId(row("1"));
  const { hits } = near();
  let wrong = 0;
  const check = (id) => (wrong += storage.getStore() === id ? 0 : 1);
  // Long enough that some answers come by the loop, so that timers have their turn.
  await Promise.all(Array.from({ length: 100 }, (_, id) => storage.run(id, async () => {
    for (let i = 0; i < 300; i++) {
      await service.getSignalId("B", "s", "x");
      check(id);
      await service.hasSignalId("B", "s", "x").then(() => check(id));
      check(id);
      await service.setSignalId(row("1"));
      check(id);
      if (i % 100 === 0) await service.getSignalId(`absent ${id} ${i}`, "s", "x").finally(() => check(id));
    }
  })));
  t.is(wrong, 0);
  t.is(storage.getStore(), undefined);
  // Of 60,000; a lease that lapses on a busy machine costs a few.
  t.true(near().hits - hits > 50_000, "memory answered");
});

test("answers come in the order of the calls, also when a hit between them has read some of them", async (t) => {
  const map = new own.lib.BaseMap("order", -1);
  // Each is more than one read takes, so that the hit reads some of what the turn would have read.
  await map.set("small", "a");
  await map.set("middle", "b".repeat(100_000));
  await map.set("large", "c".repeat(200_000));
  const { signalCacheService } = own.lib.ioc;
  await signalCacheService.setSignalId(row("1"));
  await signalCacheService.getSignalId("B", "s", "x");
  for (let round = 0; round < 20; round++) {
    const order = [];
    const calls = ["small", "middle", "large"].map((name) => map.get(name).then(() => {
      order.push(name);
      return signalCacheService.getSignalId("B", "s", "x");
    }));
    // All answers have arrived when the first one is read.
    setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20));
    await Promise.all(calls);
    t.deepEqual(order, ["small", "middle", "large"]);
  }
});

test("a logger and what it starts run in the context of the call that memory answers", async (t) => {
  const storage = new AsyncLocalStorage();
  const service = own.lib.ioc.signalCacheService;
  await service.setSignalId(row("1"));
  const seen = [];
  own.lib.setLogger({ log() {}, info: () => seen.push(storage.getStore()) });
  await Promise.all(["a", "b"].map((id) => storage.run(id, () => service.getSignalId("B", "s", "x"))));
  t.deepEqual(seen, ["a", "b"]);
});

for (const [what, words] of [
  ["does not know HELLO", "-ERR unknown command 'HELLO'"],
  ["speaks RESP2 only", "-NOPROTO unsupported protocol version"],
]) {
  test(`a server that ${what} is used without the cache, says so once, and everything works`, async (t) => {
    const data = new Map();
    const fake = await fakeFor(
      t,
      ([name, key, value]) => {
        if (name === "GET") return data.has(key) ? bulk(data.get(key)) : "$-1\r\n";
        if (name === "EXISTS") return `:${data.has(key) ? 1 : 0}\r\n`;
        if (name === "DEL") return `:${data.delete(key) ? 1 : 0}\r\n`;
        data.set(key, value);
        return "+OK\r\n";
      },
      ([name]) => (name === "HELLO" ? `${words}\r\n` : name === "PING" ? "+PONG\r\n" : "+OK\r\n"),
    );
    const lib = loadFor(t, { ...fake.config, CC_NEAR_CACHE: "on" });
    const logger = recorder();
    lib.setLogger(logger);
    const service = lib.ioc.signalCacheService;
    for (let connection = 1; connection <= 2; connection++) {
      for (let i = 0; i < 3; i++) {
        t.is(await service.setSignalId(row("1")), "1");
        t.is(await service.getSignalId("B", "s", "x"), "1");
        t.true(await service.hasSignalId("B", "s", "x"));
        t.is(await service.getSignalId("absent", "s", "x"), null);
      }
      data.set("signal_cache:x:s:B", "theirs");
      t.is(await service.getSignalId("B", "s", "x"), "theirs", "nothing is remembered");
      fake.drop();
      await until(() => lib.stats().redis.losses === connection, "the connection is lost");
    }
    t.is(await service.getSignalId("B", "s", "x"), "theirs");
    t.deepEqual(lib.health().nearCache, { state: "refused", reason: words.slice(1) });
    const { hits, fills, entries, skippedWrites } = lib.stats().nearCache;
    t.deepEqual({ hits, fills, entries, skippedWrites }, { hits: 0, fills: 0, entries: 0, skippedWrites: 0 });
    const warnings = logger.calls.filter(([level]) => level === "warn");
    t.is(warnings.length, 1, "over two connections");
    t.true(warnings[0][1].includes(words.slice(1)), warnings[0][1]);
    t.is(fake.commands.filter(([name]) => name === "SET").length, 6, "no write was left out");
  });
}

test("worker threads have a near cache each, and see each other's writes", async (t) => {
  await own.lib.close();
  let connections = 0;
  const result = await runChild("near-threads", {
    env: { ...own.server.env, CC_NEAR_CACHE: "on" },
    async onLine(line, child) {
      if (!line.ready) return;
      connections = (await connectionsOf(own.server)).length;
      child.stdin.write("go\n");
    },
  });
  t.is(result.stderr, "");
  t.is(result.code, 0);
  t.is(connections, 4, "one for the main thread and one for each of three workers");
  const { threads, main } = result.lines.at(-1);
  t.is(threads.length, 3);
  for (const thread of threads) {
    t.deepEqual(thread.first, { id: "1", hits: 0, misses: 1 }, "what the main thread knows is not known here");
    t.deepEqual(thread.second, { id: "1", hits: 1, misses: 1 });
    t.true(thread.changed.invalidations >= 1, "the main thread's write is somebody else's");
  }
  t.is(main.afterOwn.hits, 1, "a thread's own write is known to it");
  t.is(main.afterTheirs, "of thread 2");
});

"use strict";

// The near cache and the process's own objects: all that write and read through one connection agree, however they were
// made.

const { serial: test } = require("ava");
const { loadFor, until, withRedis } = require("./support/addon.js");

const own = withRedis(test, { config: { CC_NEAR_CACHE: "on" } });
const KEY = "signal_cache:x:s:B";
const row = (id, symbol = "B") => ({ symbol, strategyName: "s", exchangeName: "x", id });
const signals = () => own.lib.ioc.signalCacheService;
const near = () => own.lib.stats().nearCache;

/** Empties the server, and waits until the near cache has heard of it. */
async function forgetAll() {
  await own.lib.ioc.redisService.waitForInit();
  const { flushes } = near();
  await own.server.command("FLUSHALL");
  await until(() => near().flushes > flushes, "the flush is announced");
}
test.beforeEach(forgetAll);

/** The commands that an action sends, counted, and what it resolves with. */
async function counted(action) {
  const { commands } = own.lib.stats().redis;
  const value = await action();
  return { value, sent: own.lib.stats().redis.commands - commands };
}

const copyOf = (service, name) => Object.assign(Object.create(name.prototype), service);

/** Ways to hold the keys of the signal service. Those that say so answer from memory. */
const HOLDERS = [
  ["the service", (lib) => lib.ioc.signalCacheService, true],
  ["a second instance", (lib) => new lib.SignalCacheService(), true],
  ["a subclass", (lib) => new (class extends lib.SignalCacheService {})(), true],
  ["an object whose prototype is the service", (lib) => Object.setPrototypeOf({}, lib.ioc.signalCacheService), true],
  ["a copy", (lib) => copyOf(new lib.SignalCacheService(), lib.SignalCacheService), true],
  ["a frozen instance", (lib) => Object.freeze(new lib.SignalCacheService()), true],
  ["a BaseMap", (lib) => new lib.BaseMap("signal_cache", -1), false],
  ["a class made of BaseMap", (lib) => new (class extends lib.BaseMap("signal_cache", -1) {})(), false],
  ["an instance that expires", (lib) => Object.assign(new lib.SignalCacheService(), { ttlExpireSeconds: 60 }), false],
];

for (const [name, make, remembers] of HOLDERS) {
  test(`every holder of the keys reads at once what ${name} has written, deleted and cleared`, async (t) => {
    const writer = make(own.lib);
    const readers = HOLDERS.map(([, makeOne]) => makeOne(own.lib));
    const everybodyReads = async (expected, what) => {
      for (const [i, reader] of readers.entries()) {
        t.is(await reader.get("x:s:B"), expected, `${what}: ${HOLDERS[i][0]}`);
        t.is(await reader.has("x:s:B"), expected !== null, `${what}: ${HOLDERS[i][0]}`);
        if (reader.getSignalId === undefined) continue;
        t.is(await reader.getSignalId("B", "s", "x"), expected, `${what}: ${HOLDERS[i][0]}`);
        t.is(await reader.hasSignalId("B", "s", "x"), expected !== null, `${what}: ${HOLDERS[i][0]}`);
      }
    };
    await everybodyReads(null, "at first");
    await writer.set("x:s:B", "1");
    await everybodyReads("1", "set");
    if (writer.setSignalId) await writer.setSignalId(row("2"));
    else await writer.set("x:s:B", "2");
    await everybodyReads("2", "set by row");
    await writer.delete("x:s:B");
    await everybodyReads(null, "delete");
    await signals().setSignalId(row("3"));
    await everybodyReads("3", "set by the service");
    await writer.clear();
    await everybodyReads(null, "clear");
  });

  test(`${name} ${remembers ? "answers from memory" : "always asks Redis"}`, async (t) => {
    const holder = make(own.lib);
    await signals().setSignalId(row("1"));
    const ask = () => (holder.getSignalId ? holder.getSignalId("B", "s", "x") : holder.get("x:s:B"));
    const { value, sent } = await counted(ask);
    t.is(value, "1");
    t.is(sent, remembers ? 0 : 1);
  });
}

test("a clear forgets every key of every page, also while they are read, and no key of others", async (t) => {
  const map = new own.lib.BaseMap("signal_cache", -1);
  const symbols = Array.from({ length: 3000 }, (_, i) => `S${i}`);
  await Promise.all(symbols.map((symbol) => signals().setSignalId(row("1", symbol))));
  await own.lib.ioc.scheduleCacheService.setScheduleId(row("kept"));
  let cleared = false;
  const clearing = map.clear().then(() => (cleared = true));
  while (!cleared) {
    await Promise.all(symbols.slice(0, 500).map((symbol) => signals().getSignalId(symbol, "s", "x")));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await clearing;
  for (const symbol of symbols) t.is(await signals().getSignalId(symbol, "s", "x"), null);
  const { value, sent } = await counted(() => own.lib.ioc.scheduleCacheService.getScheduleId("B", "s", "x"));
  t.deepEqual({ value, sent }, { value: "kept", sent: 0 });
});

test("a subclass that overrides has is asked each time, and believed", async (t) => {
  let calls = 0;
  class Mine extends own.lib.SignalCacheService {
    async has(key) {
      calls++;
      return key.endsWith("Z") || (await super.has(key));
    }
  }
  const mine = new Mine();
  await mine.setSignalId(row("1"));
  await mine.getSignalId("Z", "s", "x");
  const seen = await own.calls(async () => {
    for (let i = 0; i < 3; i++) {
      t.true(await mine.hasSignalId("B", "s", "x"));
      t.true(await mine.hasSignalId("Z", "s", "x"), "although its absence is known");
      t.is(await mine.getSignalId("B", "s", "x"), "1");
      t.is(await mine.getSignalId("Z", "s", "x"), null);
    }
  });
  t.is(calls, 6);
  t.deepEqual(seen, Array(3).fill(["EXISTS", KEY]), "get is not overridden and comes from memory");
});

test("deleteIntervalId takes the id away at once, and that of another connection too", async (t) => {
  const intervals = own.lib.ioc.intervalCacheService;
  const other = loadFor(t, { CC_NEAR_CACHE: "on" }).ioc.intervalCacheService;
  const get = (service) => service.getIntervalId("b", "k");
  for (const deleter of [intervals, other]) {
    await intervals.setIntervalId({ bucket: "b", entryKey: "k", id: "1" });
    t.is(await get(intervals), "1");
    await until(async () => (await get(other)) === "1", "the other copy reads it");
    t.is(await deleter.deleteIntervalId("b", "k"), undefined);
    t.is(await get(deleter), null);
    t.false(await deleter.hasIntervalId("b", "k"));
    await until(async () => (await get(intervals)) === null && (await get(other)) === null, "both see it", 2000);
    // An id that was deleted is written again.
    const { sent } = await counted(() => intervals.setIntervalId({ bucket: "b", entryKey: "k", id: "1" }));
    t.is(sent, 1);
  }
});

test("a session is known by its five strings, and by the three of older releases", async (t) => {
  const sessions = own.lib.ioc.sessionCacheService;
  const five = { strategyName: "st", exchangeName: "ex", frameName: "fr", symbol: "B", backtest: true, id: "five" };
  const { symbol, backtest, ...three } = { ...five, id: "three" };
  await sessions.setSessionId(five);
  await sessions.setSessionId(three);
  const known = await counted(async () => [
    await sessions.getSessionId("st", "ex", "fr", symbol, backtest),
    await sessions.hasSessionId("st", "ex", "fr", symbol, backtest),
    await sessions.getSessionId("st", "ex", "fr"),
    await sessions.hasSessionId("st", "ex", "fr"),
  ]);
  t.deepEqual(known, { value: ["five", true, "three", true], sent: 0 });
  t.is(await sessions.getSessionId("st", "ex", "fr", symbol, false), null, "the live session is another");
  await own.server.command("SET", "session_cache:ex:st:fr:B:backtest", "theirs");
  await own.server.command("DEL", "session_cache:ex:st:fr");
  const getFive = () => sessions.getSessionId("st", "ex", "fr", symbol, backtest);
  await until(async () => (await getFive()) === "theirs", "the write is seen", 2000);
  await until(async () => (await sessions.getSessionId("st", "ex", "fr")) === null, "the deletion is seen", 2000);
  t.false(await sessions.hasSessionId("st", "ex", "fr"));
});

test("of the two keys that three strings of a session ask for, the first that is there wins", async (t) => {
  const sessions = own.lib.ioc.sessionCacheService;
  const get = () => sessions.getSessionId("a", "b", "c");
  const has = () => sessions.hasSessionId("a", "b", "c");
  // The uniform form of the same strings: the second key. Nothing is known of the first.
  await sessions.setSessionId({ symbol: "a", strategyName: "b", exchangeName: "c", id: "second" });
  const asked = await own.calls(async () => t.is(await get(), "second"));
  t.deepEqual(asked, [["MGET", "session_cache:b:a:c", "session_cache:c:b:a"]]);
  t.true(await has());
  // The second key is known; it must not be told as long as the first may be there.
  await own.server.command("SET", "session_cache:b:a:c", "first");
  t.is(await get(), "first");
  await own.server.command("DEL", "session_cache:b:a:c");
  t.is(await get(), "second");
  await sessions.setSessionId({ strategyName: "a", exchangeName: "b", frameName: "c", id: "ours" });
  t.deepEqual(await counted(get), { value: "ours", sent: 0 });
  t.deepEqual(await counted(has), { value: true, sent: 0 });
  await sessions.delete("b:a:c");
  t.is(await get(), "second");
  await sessions.delete("c:b:a");
  t.is(await get(), null);
  t.false(await has());
});

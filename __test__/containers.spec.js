"use strict";

// Services held by somebody else's container: reached through a prototype, copied, extended, detached, loaded twice.

const { serial: test } = require("ava");
const { withRedis, loadFresh, isOurs, collect, outcome, recorder, root } = require("./support/addon.js");
const { collections, services } = require("../js/binding.js");

const own = withRedis(test);
test.beforeEach(() => own.server.command("FLUSHALL"));

/** A value for each argument of a form. */
const sample = ({ name, type }) => (type === "number" ? 1767225600000 : type === "boolean" ? true : `a ${name}`);
const rowOf = (form) => Object.fromEntries([...form.args.map((arg) => [arg.name, sample(arg)]), ["id", "the id"]]);

/** Uses every method of a service, on any receiver. */
async function exercise(t, receiver, { service, nouns }) {
  for (const { noun, forms, delete: deletes } of nouns) {
    for (const form of forms) {
      const args = form.args.map(sample);
      const where = `${service} ${noun} ${args.length}`;
      await own.server.command("FLUSHALL");
      t.is(await receiver[`get${noun}Id`](...args), null, where);
      t.false(await receiver[`has${noun}Id`](...args), where);
      t.is(await receiver[`set${noun}Id`](rowOf(form)), "the id", where);
      t.is(await receiver[`get${noun}Id`](...args), "the id", where);
      t.true(await receiver[`has${noun}Id`](...args), where);
      t.is(await receiver.size(), 1, where);
      if (deletes) {
        await receiver[`delete${noun}Id`](...args);
        t.is(await receiver.size(), 0, where);
      }
    }
  }
  await exerciseMap(t, receiver);
}

async function exerciseMap(t, receiver) {
  await receiver.clear();
  await receiver.set("k", "v");
  t.is(await receiver.get("k"), "v");
  t.true(await receiver.has("k"));
  t.deepEqual(await receiver.toArray(), [["k", "v"]]);
  t.deepEqual(await collect(receiver.iterate()), [["k", "v"]]);
  t.deepEqual(await collect(receiver.keys()), ["k"]);
  t.deepEqual(await collect(receiver.values()), ["v"]);
  t.is(receiver._getItemKey("k"), `${receiver.connectionKey}:k`);
  await receiver.delete("k");
  t.is(await receiver.size(), 0);
}

test("every service works on an object whose prototype is the service", async (t) => {
  for (const row of services()) await exercise(t, Object.setPrototypeOf({}, own.lib.ioc[row.service]), row);
});

test("every service works after Object.assign onto an object with its class's prototype", async (t) => {
  for (const row of services()) {
    const receiver = Object.assign(Object.create(own.lib[row.class].prototype), new own.lib[row.class]());
    await exercise(t, receiver, row);
  }
});

test("every service works in a plain instance of its class", async (t) => {
  for (const row of services()) await exercise(t, new own.lib[row.class](), row);
});

test("every service works in a subclass that overrides get, set and has and calls super", async (t) => {
  for (const row of services()) {
    let calls = 0;
    class Mine extends own.lib[row.class] {
      async get(key) {
        calls++;
        return await super.get(key);
      }
      async set(key, value) {
        calls++;
        await super.set(key, value);
      }
      async has(key) {
        calls++;
        return await super.has(key);
      }
    }
    await exercise(t, new Mine(), row);
    t.true(calls > 3, row.service);
    await exercise(t, Object.setPrototypeOf({}, new Mine()), row);
  }
});

test("a prototype chain of several containers, and a proxy around a service, work", async (t) => {
  const [row] = services().filter((one) => one.service === "signalCacheService");
  const service = own.lib.ioc.signalCacheService;
  await exercise(t, Object.create(Object.create(Object.setPrototypeOf({}, service))), row);
  await exercise(t, new Proxy(service, {}), row);
});

test("frozen, sealed and non-extensible services work", async (t) => {
  const [row] = services().filter((one) => one.service === "signalCacheService");
  for (const limit of [Object.freeze, Object.seal, Object.preventExtensions]) {
    await exercise(t, limit(new own.lib.SignalCacheService()), row);
  }
});

test("the container that backtest-kit uses hands out services that work", async (t) => {
  const { createActivator } = await import("di-kit");
  const { provide, inject, init } = createActivator("test");
  class Watched extends own.lib.PartialCacheService {
    signals = inject("signalCacheService");
    async both(symbol) {
      return [await this.signals.getSignalId(symbol, "s", "x"), await this.getPartialId(symbol, "s", "x")];
    }
  }
  for (const { service, class: name } of services()) provide(service, () => new own.lib[name]());
  provide("loggerService", () => own.lib.ioc.loggerService);
  provide("redisService", () => own.lib.ioc.redisService);
  provide("watched", () => new Watched());
  const container = Object.fromEntries(services().map(({ service }) => [service, inject(service)]));
  const [watched, logger, redis] = ["watched", "loggerService", "redisService"].map(inject);
  init();
  for (const row of services()) await exercise(t, container[row.service], row);
  await container.signalCacheService.setSignalId({ symbol: "B", strategyName: "s", exchangeName: "x", id: "1" });
  await container.partialCacheService.setPartialId({ symbol: "B", strategyName: "s", exchangeName: "x", id: "2" });
  t.deepEqual(await watched.both("B"), ["1", "2"]);
  const kept = recorder();
  logger.setLogger(kept);
  await logger.log("topic", { a: 1 });
  own.lib.setLogger(null);
  t.deepEqual(kept.calls, [["log", "topic", { a: 1 }]]);
  t.is(await redis.waitForInit(), undefined);
});

test("each db service holds its cache service: the one of ioc, in copies and in instances of one's own too", async (t) => {
  const { ioc } = own.lib;
  const held = collections().map(({ service, cache, class: name }) => {
    const db = ioc[service];
    const copy = Object.assign(Object.create(own.lib[name].prototype), db);
    class Extended extends own.lib[name] {}
    for (const one of [db, Object.setPrototypeOf({}, db), copy, new own.lib[name](), new Extended()]) {
      t.is(one[cache], ioc[cache], `${service}.${cache}`);
      t.is(one.loggerService, ioc.loggerService);
    }
    return cache;
  });
  t.is(new Set(held).size, 17);
  await ioc.signalDbService.signalCacheService.set("k", "v");
  t.is(await ioc.signalCacheService.get("k"), "v");
});

test("what a container copies or shows of a service holds nothing secret", async (t) => {
  const service = new own.lib.SignalCacheService();
  await service.get("k");
  const { inspect } = require("node:util");
  const shown = inspect(service, { depth: 6, showHidden: true }) + JSON.stringify(service);
  t.false(shown.includes(own.server.env.CC_REDIS_PASSWORD));
});

test("methods of the logger and waitForInit work detached", async (t) => {
  const { log, debug, info, warn, setLogger } = own.lib.ioc.loggerService;
  const kept = recorder();
  setLogger(kept);
  for (const [level, method] of Object.entries({ log, debug, info, warn })) {
    const result = method("topic", level, 1);
    t.true(result instanceof Promise, level);
    t.is(await result, undefined, level);
  }
  setLogger(null);
  t.deepEqual(kept.calls, ["log", "debug", "info", "warn"].map((level) => [level, "topic", level, 1]));
  const { waitForInit } = own.lib.ioc.redisService;
  t.is(await waitForInit(), undefined);
});

test("a map's method that lost its map is a rejection with a code, not a crash", async (t) => {
  const service = own.lib.ioc.signalCacheService;
  const methods = "get set has delete clear toArray size getSignalId hasSignalId setSignalId".split(" ");
  const row = { symbol: "B", strategyName: "s", exchangeName: "x", id: "1" };
  for (const method of methods) {
    const detached = service[method];
    for (const receiver of [undefined, null, {}, 5, "text", Object.create(null)]) {
      const args = method === "setSignalId" ? [row] : ["a", "b", "c"];
      let result;
      t.notThrows(() => (result = Reflect.apply(detached, receiver, args)), method);
      const { error } = await outcome(result);
      t.true(error instanceof Error, `${method} on ${String(receiver && typeof receiver)}`);
      t.is(typeof error.code, "string", `${method}: ${error.message}`);
    }
  }
  for (const method of ["iterate", "keys", "values"]) {
    const { error } = await outcome(Reflect.apply(service[method], undefined, []).next());
    t.is(typeof error?.code, "string", method);
  }
});

test("two copies of the package work side by side, each with its own connection and logger", async (t) => {
  const [a, b] = [loadFresh(), loadFresh()];
  t.not(a.ioc, b.ioc);
  const [first, second] = [recorder(), recorder()];
  a.setLogger(first);
  b.setLogger(second);
  const row = { symbol: "B", strategyName: "s", exchangeName: "x", id: "1" };
  t.is(await a.ioc.signalCacheService.setSignalId(row), "1");
  t.is(await b.ioc.signalCacheService.getSignalId("B", "s", "x"), "1");
  t.is(first.calls.length, 2);
  t.is(second.calls.length, 2);
  await a.close();
  t.is(await b.ioc.signalCacheService.getSignalId("B", "s", "x"), "1", "closing one leaves the other alone");
  const either = (_, i) => (i % 2 ? a : b).ioc.signalCacheService.get("x:s:B");
  const mixed = await Promise.all(Array.from({ length: 200 }, either));
  t.true(mixed.every((value) => value === "1"));
  await a.close();
  await b.close();
});

test("a copy loaded with the native binary loaded anew works too", async (t) => {
  for (const file of Object.keys(require.cache)) {
    if (isOurs(file) || (file.startsWith(root) && file.endsWith(".node"))) delete require.cache[file];
  }
  const lib = require(root);
  await lib.ioc.signalCacheService.set("k", "v");
  t.is(await own.lib.ioc.signalCacheService.get("k"), "v");
  await lib.close();
  t.is(await own.lib.ioc.signalCacheService.get("k"), "v");
});

test("require and import give one and the same package", async (t) => {
  const required = require(root);
  const imported = await import("backtest-kit-native");
  t.is(imported.default, imported.ioc);
  for (const name of Object.keys(required).filter((one) => one !== "default")) {
    t.is(typeof imported[name], typeof required[name], name);
  }
  t.is(required.default, required.ioc);
  await imported.close();
});

test("both ways of loading export the documented names", async (t) => {
  const names = "ioc default BaseMap setConfig getConfig setLogger waitForInit stats health close".split(" ");
  names.push(...services().map((row) => row.class));
  const imported = await import("backtest-kit-native");
  for (const name of names) {
    t.true(name in own.lib, `require: ${name}`);
    t.true(name in imported, `import: ${name}`);
  }
});

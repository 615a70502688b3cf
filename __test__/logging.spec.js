"use strict";

// What is logged, when, and that no logger can do harm. The calls are data (spec/logs.json).

const { serial: test } = require("ava");
const { withRedis, recorder, outcome } = require("./support/addon.js");
const { runChild } = require("./support/child.js");
const { loadSpec } = require("./support/spec.js");

const own = withRedis(test);
const unhandled = [];
test.before(() => process.on("unhandledRejection", (error) => unhandled.push(error)));
test.beforeEach(() => own.server.command("FLUSHALL"));
test.afterEach(() => own.lib.setLogger(null));

const target = (one) => (one.on === "map" ? new own.lib.BaseMap("ns", -1) : own.lib.ioc[one.on]);

for (const one of loadSpec("logs").cases) {
  test(`logged exactly so: ${one.name}`, async (t) => {
    const logger = recorder();
    own.lib.setLogger(logger);
    const result = target(one)[one.method](...one.args);
    if (one.generator) {
      t.deepEqual(logger.calls, [], "nothing before the first next()");
      const step = result.next();
      t.deepEqual(logger.calls, one.logs, "at the first next()");
      await step;
      await result.next();
    } else {
      // The call has only just been made: the log comes before the command, not after its answer.
      t.deepEqual(logger.calls, one.logs);
      const { error } = await outcome(result);
      t.is(error?.code, one.code);
    }
    t.deepEqual(logger.calls, one.logs, "and nothing afterwards");
  });
}

test("the value in the log is the very object that was given", async (t) => {
  const logger = recorder();
  own.lib.setLogger(logger);
  const value = { a: 1 };
  await new own.lib.BaseMap("ns", -1).set("k", value);
  t.is(logger.calls[0][2].value, value);
});

test("the log comes before the command is sent", async (t) => {
  await own.monitor.settle();
  own.monitor.clear();
  let seen;
  const blocking = {
    info() {
      // Nothing that was written to a socket by now could have been missed by a blocked thread: give it time.
      const end = Date.now() + 50;
      while (Date.now() < end);
      seen = own.lib.stats();
    },
  };
  const before = own.lib.stats();
  own.lib.setLogger(blocking);
  await new own.lib.BaseMap("ns", -1).get("k");
  t.deepEqual(seen, before, "no counter had moved when the logger ran");
});

const hostile = {
  "throws an error": { log: thrower, info: thrower, debug: thrower, warn: thrower },
  "throws null": { log: () => throwing(null), info: () => throwing(null) },
  rejects: { log: async () => thrower(), info: async () => thrower() },
  "rejects later": { log: later, info: later },
  "never resolves": { log: () => new Promise(() => {}), info: () => new Promise(() => {}) },
  "lacks the methods": {},
  "has methods that are no functions": { log: 1, info: "text", debug: {}, warn: null },
  "has throwing getters": Object.defineProperties({}, { log: { get: thrower }, info: { get: thrower } }),
  "returns a thenable that throws": { log: () => ({ then: thrower }), info: () => ({ then: thrower }) },
  "returns an object with a throwing then": {
    info: () => Object.defineProperty({}, "then", { get: thrower }),
    log: () => Object.defineProperty({}, "then", { get: thrower }),
  },
  "is null": null,
  "is undefined": undefined,
  "is a function": () => thrower(),
  "is a proxy that throws": new Proxy({}, { get: thrower }),
};

function thrower() {
  throw new Error("the logger is broken");
}

function throwing(what) {
  throw what;
}

function later() {
  return new Promise((resolve, reject) => setImmediate(() => reject(new Error("the logger failed later"))));
}

for (const [name, logger] of Object.entries(hostile)) {
  test(`a logger that ${name} breaks nothing and leaves no unhandled rejection`, async (t) => {
    unhandled.length = 0;
    t.is(own.lib.setLogger(logger), undefined);
    const map = new own.lib.BaseMap("ns", -1);
    t.is(await map.set("k", "v"), undefined);
    t.is(await map.get("k"), "v");
    t.true(await map.has("k"));
    t.is(await map.size(), 1);
    t.deepEqual(await map.toArray(), [["k", "v"]]);
    for await (const key of map.keys()) t.is(key, "k");
    const row = { symbol: "B", strategyName: "s", exchangeName: "x", id: "1" };
    t.is(await own.lib.ioc.signalCacheService.setSignalId(row), "1");
    t.is(await own.lib.ioc.signalCacheService.getSignalId("B", "s", "x"), "1");
    for (const level of ["log", "debug", "info", "warn"]) {
      t.is(await own.lib.ioc.loggerService[level]("topic"), undefined);
    }
    await map.delete("k");
    await map.clear();
    // An unhandled rejection is reported after the turn in which the promise was left alone.
    await new Promise((resolve) => setTimeout(resolve, 20));
    t.deepEqual(unhandled, []);
  });
}

test("what is no logger is refused, and the logger that was set stays", async (t) => {
  const logger = recorder();
  own.lib.setLogger(logger);
  for (const wrong of [5, "console", true, Symbol("logger"), 1n]) {
    const message = `setLogger takes an object with log, debug, info, warn, or null for none; it was given a ${typeof wrong}`;
    t.throws(() => own.lib.setLogger(wrong), { code: "INVALID_VALUE", instanceOf: TypeError, message });
  }
  await own.lib.ioc.loggerService.warn("topic");
  t.deepEqual(logger.calls, [["warn", "topic"]]);
});

test("setLogger and ioc.loggerService.setLogger are the same", async (t) => {
  const [a, b] = [recorder(), recorder()];
  own.lib.setLogger(a);
  own.lib.ioc.loggerService.setLogger(b);
  await own.lib.ioc.loggerService.warn("topic", { x: 1 }, 2);
  t.deepEqual(a.calls, []);
  t.deepEqual(b.calls, [["warn", "topic", { x: 1 }, 2]]);
});

test("a logger's methods are called on the logger", async (t) => {
  class Logger {
    lines = [];
    log(topic) {
      this.lines.push(topic);
    }
    info(topic) {
      this.lines.push(topic);
    }
  }
  const logger = new Logger();
  own.lib.setLogger(logger);
  await own.lib.ioc.signalCacheService.getSignalId("B", "s", "x");
  t.deepEqual(logger.lines, ["signalCacheService getSignalId", "BaseMap get key=x:s:B"]);
});

test("a logger that uses the maps itself does not disturb the call", async (t) => {
  const map = new own.lib.BaseMap("ns", -1);
  const inner = [];
  let depth = 0;
  own.lib.setLogger({
    info() {
      if (depth++ < 1) inner.push(map.set("inner", "1"), map.get("inner"));
    },
  });
  await map.set("k", "v");
  t.deepEqual(await Promise.all(inner), [undefined, "1"]);
  t.is(await map.get("k"), "v");
});

test("it is silent by default", async (t) => {
  const { execFile } = require("node:child_process");
  const script = `
    const lib = require(${JSON.stringify(require("./support/addon.js").root)});
    (async () => {
      await lib.ioc.signalCacheService.setSignalId({ symbol: "B", strategyName: "s", exchangeName: "x", id: "1" });
      await lib.ioc.loggerService.warn("topic");
      await lib.ioc.signalCacheService.size();
      await lib.ioc.signalCacheService.get({ toString() { throw new Error("no") } }).catch(() => {});
    })();
  `;
  const printed = await new Promise((resolve, reject) => {
    const env = { ...process.env, ...own.server.env };
    execFile(process.execPath, ["-e", script], { env }, (error, stdout, stderr) => {
      if (error) reject(error);
      else resolve(stdout + stderr);
    });
  });
  t.is(printed, "");
});

test("a call that is refused has been logged by its name, except for an empty key", async (t) => {
  const logger = recorder();
  own.lib.setLogger(logger);
  await outcome(own.lib.ioc.signalCacheService.getSignalId("only one"));
  t.true(logger.calls.every(([level]) => level === "log"), "no map operation was logged");
});

const ALL = ["log", "debug", "info", "warn"];
for (const [way, levels] of [
  ["throws", ["warn"]],
  ["rejects", ["warn"]],
  ["is no function", ["warn"]],
  ["throws", ALL],
  ["rejects", ALL],
  ["returns a thenable that rejects", ALL],
  ["is no function", ALL],
  ["throws only when it is told of readiness", ["log"]],
]) {
  const what = levels.length === 1 ? levels[0] : "every method";
  test(`${what} of ioc.loggerService may be replaced by what ${way}: no process ends, and no call breaks`, async (t) => {
    await own.server.command("ACL", "SETUSER", "bot", "on", ">pw", "~*", "+@all", "-client|tracking");
    const env = { ...own.server.env, CC_REDIS_USER: "bot", CC_REDIS_PASSWORD: "pw", CC_NEAR_CACHE: "on" };
    const result = await runChild("loggers", { env, args: [way, ...levels] });
    t.is(result.stderr, "");
    t.is(result.code, 0);
    const [told] = result.lines;
    t.is(told.nearCache, "refused", "there was something to tell in the background");
    t.deepEqual(told.answers, ["ok", "ok", "1", "1", "ok", "ok"]);
  });
}

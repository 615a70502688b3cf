"use strict";

// Configuration by setup() and install(): what it becomes, when it is too late for it, and what is left as it was.

const { serial: test } = require("ava");
const { loadFor, loadFresh, outcome, recorder } = require("../support/addon.js");
const { startMongo } = require("../support/mongo.js");
const { startRedis } = require("../support/redis.js");
const { standInKit } = require("../support/stand-in-kit.js");

const own = { mongo: null, redis: null };

test.before(async () => {
  [own.mongo, own.redis] = await Promise.all([startMongo({ database: "backtest-kit" }), startRedis()]);
});
test.after.always(() => Promise.all([own.mongo?.stop(), own.redis?.stop()]));
test.beforeEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith("CC_")) delete process.env[name];
  // setup() takes what it can see.
  globalThis.BacktestKit = standInKit();
});
test.afterEach.always(() => {
  delete globalThis.BacktestKit;
});

const thrown = (action) => {
  try {
    action();
    return null;
  } catch (error) {
    return error;
  }
};
const KIT_DATABASE = "mongodb://localhost:27017/backtest-kit?wtimeoutMS=15000";
const IOC_DATABASE = "mongodb://localhost:27017/backtest-pro?wtimeoutMS=15000";
const registered = () => globalThis.BacktestKit.PersistSignalAdapter.Ctor.name;
const here = () => ({ CC_REDIS_HOST: own.redis.host, CC_REDIS_PORT: own.redis.port, CC_MONGO_CONNECTION_STRING: own.mongo.url });

test("alone, ioc keeps its defaults", (t) => {
  const lib = loadFor(t);
  const { CC_REDIS_USER, CC_REDIS_PASSWORD, CC_MONGO_CONNECTION_STRING } = lib.getConfig();
  t.deepEqual([CC_REDIS_USER, CC_REDIS_PASSWORD, CC_MONGO_CONNECTION_STRING], ["default", "********", IOC_DATABASE]);
});

for (const name of ["setup", "install"]) {
  test(`${name}() brings its defaults along: no credentials, and the database backtest-kit, for ioc too`, (t) => {
    const lib = loadFor(t);
    t.is(lib[name](), undefined);
    const config = lib.getConfig();
    const { CC_REDIS_HOST, CC_REDIS_PORT, CC_REDIS_USER, CC_REDIS_PASSWORD, CC_MONGO_CONNECTION_STRING } = config;
    t.deepEqual([CC_REDIS_HOST, CC_REDIS_PORT, CC_REDIS_USER, CC_REDIS_PASSWORD, CC_MONGO_CONNECTION_STRING], ["127.0.0.1", 6379, "", "", KIT_DATABASE]);
    t.is(registered(), "PersistSignalInstance");
  });

  test(`${name}() twice is as once, and connects to nothing`, async (t) => {
    const lib = loadFor(t);
    lib[name]();
    const config = lib.getConfig();
    lib[name]();
    lib[name]();
    await new Promise((resolve) => setTimeout(resolve, 20));
    t.deepEqual(lib.getConfig(), config);
    t.is(registered(), "PersistSignalInstance");
    t.is(lib.stats().mongo, null);
    t.is(lib.health().redis.state, "idle");
    t.is(lib.health().kit.length, 1);
  });
}

test("no password is said where there is none: with a server that has none, and one that asks for one", async (t) => {
  const monitor = await own.redis.monitor();
  const lib = loadFor(t);
  lib.setup(here());
  await lib.ioc.signalCacheService.size();
  await monitor.settle();
  t.false(monitor.commands.some((words) => words.includes("mysecurepassword") || words[0] === "AUTH"), "nothing was said");
  await monitor.stop();
  const locked = await startRedis({ password: "geheim" });
  t.teardown(() => locked.stop());
  const other = loadFor(t);
  other.setup({ ...here(), CC_REDIS_PORT: locked.port });
  const { error } = await outcome(other.ioc.signalCacheService.size());
  t.is(error?.code, "REDIS_AUTH");
  t.regex(error.message, /NOAUTH/);
});

test("a password without a user is the password of the default user", async (t) => {
  const locked = await startRedis({ password: "geheim" });
  t.teardown(() => locked.stop());
  const lib = loadFor(t);
  lib.setup({ ...here(), CC_REDIS_PORT: locked.port, CC_REDIS_PASSWORD: "geheim" });
  t.is(await lib.ioc.signalCacheService.size(), 0);
  t.deepEqual([lib.getConfig().CC_REDIS_USER, lib.getConfig().CC_REDIS_PASSWORD], ["", "********"]);
});

test("the environment counts beneath setup(), and what setup() was given above it", (t) => {
  process.env.CC_REDIS_HOST = "from.environment";
  process.env.CC_REDIS_PORT = "7000";
  const lib = loadFor(t);
  lib.setup({ CC_REDIS_HOST: "given" });
  const { CC_REDIS_HOST, CC_REDIS_PORT } = lib.getConfig();
  t.deepEqual([CC_REDIS_HOST, CC_REDIS_PORT], ["given", 7000]);
});

test("an empty text and 0 mean not set, also of what was set before", (t) => {
  process.env.CC_REDIS_HOST = "from.environment";
  const lib = loadFor(t);
  lib.setup({ CC_REDIS_HOST: "given", CC_REDIS_PORT: 7001, CC_REDIS_USER: "bot" });
  lib.setup({ CC_REDIS_HOST: "", CC_REDIS_PORT: 0, CC_REDIS_USER: null, CC_REDIS_PASSWORD: undefined });
  const { CC_REDIS_HOST, CC_REDIS_PORT, CC_REDIS_USER } = lib.getConfig();
  t.deepEqual([CC_REDIS_HOST, CC_REDIS_PORT, CC_REDIS_USER], ["from.environment", 6379, ""]);
});

test("0 is a value where a variable takes it", (t) => {
  const lib = loadFor(t);
  lib.setup({ CC_REDIS_SPIN_US: 0 });
  t.is(lib.getConfig().CC_REDIS_SPIN_US, 0);
});

test("what is no variable is ignored, with one line in the log", (t) => {
  const lib = loadFor(t);
  const logger = recorder();
  lib.setLogger(logger);
  lib.setup({ CC_REDIS_HOST: "given", CC_NO_SUCH: 1, another: {} });
  t.is(lib.getConfig().CC_REDIS_HOST, "given");
  t.is(logger.calls.length, 1);
  t.is(logger.calls[0][0], "warn");
  t.regex(logger.calls[0][1], /CC_NO_SUCH, another/);
});

for (const [what, config, named] of [
  ["a port that is a word", { CC_REDIS_PORT: "abc" }, "CC_REDIS_PORT"],
  ["a connection string that is none", { CC_MONGO_CONNECTION_STRING: "nonsense" }, "CC_MONGO_CONNECTION_STRING"],
  ["an object as a host", { CC_REDIS_HOST: {} }, "CC_REDIS_HOST"],
  ["what is no object", "redis", "setup"],
  ["a getter that throws", { get CC_REDIS_HOST() { throw new Error("no"); } }, "no"],
]) {
  test(`${what} is refused, and changes nothing, the adapters neither`, (t) => {
    const lib = loadFor(t);
    const before = lib.getConfig();
    const error = thrown(() => lib.setup(config));
    t.is(error?.code, "INVALID_CONFIG");
    t.true(error.message.includes(named), error.message);
    t.deepEqual(lib.getConfig(), before);
    t.is(registered(), "Unset");
    t.deepEqual(lib.health().kit, []);
  });
}

for (const [what, call] of [
  ["an object without adapters", (lib) => lib.install({ getConfig() {} })],
  ["null", (lib) => lib.install(null)],
  ["text", (lib) => lib.install("backtest-kit")],
  ["adapters that cannot be registered with", (lib) => lib.install({ PersistSignalAdapter: {}, PersistLogAdapter: null })],
  ["a proxy that throws", (lib) => lib.install(new Proxy({}, { ownKeys() { throw new Error("no"); } }))],
]) {
  test(`a wrong kit is refused, and changes nothing: ${what}`, (t) => {
    const lib = loadFor(t);
    const before = lib.getConfig();
    const error = thrown(() => call(lib));
    t.is(error?.code, "KIT_UNUSABLE");
    t.true(error instanceof TypeError);
    t.deepEqual(lib.getConfig(), before);
    t.is(registered(), "Unset");
  });
}

test("a global that is no kit is not taken for one", (t) => {
  globalThis.BacktestKit = { version: "1" };
  t.is(thrown(() => loadFor(t).setup())?.code, "KIT_NOT_FOUND");
});

test("after calls, the same configuration once more is fine", async (t) => {
  const lib = loadFor(t, { ...here(), CC_REDIS_USER: "default", CC_REDIS_PASSWORD: "mysecurepassword" });
  await lib.ioc.signalDbService.upsert("a", "b", "c", { n: 1 });
  lib.setup();
  lib.setup({ ...here(), CC_REDIS_USER: "default", CC_REDIS_PASSWORD: "mysecurepassword" });
  lib.install();
  t.is(registered(), "PersistSignalInstance");
  t.deepEqual(await globalThis.BacktestKit.PersistSignalAdapter.readSignalData("a", "b", "c"), { n: 1 });
});

test("after setup() and calls, setup() again is fine", async (t) => {
  const lib = loadFor(t);
  lib.setup(here());
  await globalThis.BacktestKit.PersistSignalAdapter.writeSignalData({ n: 2 }, "a", "b", "c");
  lib.setup();
  lib.setup(here());
  t.deepEqual(await globalThis.BacktestKit.PersistSignalAdapter.readSignalData("a", "b", "c"), { n: 2 });
});

test("after calls to another database setup() throws, names both without passwords, and changes nothing", async (t) => {
  const lib = loadFor(t, { CC_REDIS_URL: own.redis.url, CC_MONGO_CONNECTION_STRING: own.mongo.urlOf("backtest-pro") });
  await lib.ioc.signalDbService.upsert("a", "b", "c", { n: 3 });
  const before = lib.getConfig();
  const asked = `mongodb://bot:geheim@other.example:27017/elsewhere`;
  const error = thrown(() => lib.setup({ CC_MONGO_CONNECTION_STRING: asked, CC_REDIS_PASSWORD: "geheim" }));
  t.is(error?.code, "INVALID_CONFIG");
  t.regex(error.message, /backtest-pro/);
  t.regex(error.message, /other\.example:27017\/elsewhere/);
  t.notRegex(error.message, /geheim/);
  t.deepEqual(lib.getConfig(), before);
  t.is(registered(), "Unset");
  t.deepEqual((await lib.ioc.signalDbService.findByContext("a", "b", "c")).payload, { n: 3 });
  t.is(thrown(() => lib.install()), null, "what is in use was set, so install()'s defaults differ in nothing");
});

test("after calls with ioc's own defaults, install() would have to change them, and throws", async (t) => {
  process.env.CC_REDIS_PORT = String(own.redis.port);
  const lib = loadFresh();
  t.teardown(() => lib.close());
  await lib.ioc.signalCacheService.size();
  const error = thrown(() => lib.install());
  t.is(error?.code, "INVALID_CONFIG");
  t.is(registered(), "Unset");
  await lib.close();
  lib.install();
  t.is(registered(), "PersistSignalInstance");
  t.is(lib.getConfig().CC_MONGO_CONNECTION_STRING, KIT_DATABASE);
});

test("after close() setup() may change everything, and the next call uses it", async (t) => {
  const lib = loadFor(t);
  lib.setup(here());
  const { PersistSignalAdapter } = globalThis.BacktestKit;
  await PersistSignalAdapter.writeSignalData({ n: 4 }, "a", "b", "c");
  await lib.close();
  lib.setup({ CC_MONGO_CONNECTION_STRING: own.mongo.urlOf("elsewhere") });
  t.is(await PersistSignalAdapter.readSignalData("a", "b", "c"), null);
  await lib.close();
  lib.setup({ CC_MONGO_CONNECTION_STRING: own.mongo.url });
  t.deepEqual(await PersistSignalAdapter.readSignalData("a", "b", "c"), { n: 4 });
});

test("setConfig() after setup() keeps its defaults, and is as strict as ever", (t) => {
  const lib = loadFor(t);
  lib.setup();
  lib.setConfig({ CC_REDIS_HOST: "given" });
  t.deepEqual([lib.getConfig().CC_REDIS_HOST, lib.getConfig().CC_MONGO_CONNECTION_STRING], ["given", KIT_DATABASE]);
  t.is(thrown(() => lib.setConfig({ CC_NO_SUCH: 1 }))?.code, "INVALID_CONFIG");
});

test("setup() never throws because a server is away", (t) => {
  const lib = loadFor(t);
  lib.setup({ CC_REDIS_PORT: 1, CC_MONGO_CONNECTION_STRING: "mongodb://127.0.0.1:1/none" });
  t.is(registered(), "PersistSignalInstance");
});

test("after the kit's own adapter was chosen, setup() brings ours back", (t) => {
  const lib = loadFor(t);
  lib.setup();
  globalThis.BacktestKit.PersistSignalAdapter.usePersistSignalAdapter(class Dummy {});
  t.is(registered(), "Dummy");
  lib.setup();
  t.is(registered(), "PersistSignalInstance");
});

test("waitForInit.clear() lets the next call ask both servers again", async (t) => {
  const lib = loadFor(t);
  lib.setup(here());
  await lib.waitForInit();
  const { requests } = lib.stats().mongo;
  await lib.waitForInit();
  t.is(lib.stats().mongo.requests, requests);
  lib.waitForInit.clear();
  await lib.waitForInit();
  t.is(lib.stats().mongo.requests, requests + 1);
});

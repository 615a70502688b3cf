"use strict";

// What is different from the original without being tested elsewhere; COMPATIBILITY.md names these tests.

const { serial: test } = require("ava");
const { loadFresh, loadFor, outcome } = require("./support/addon.js");
const { runChild } = require("./support/child.js");
const { withMongo, oursOnly } = require("./support/mongo-peer.js");
const { freePort } = require("./support/redis.js");

const own = withMongo(test);
const ours = oursOnly(test);
const risk = (over) => ({ riskName: "r", exchangeName: "e", positions: [], when: 5, ...over });

test.beforeEach(() => own.wipe());

ours("errors have our codes and the classes of JavaScript; numbers and words of the server are in the cause", async (t) => {
  const { riskDbService } = own.ioc;
  await riskDbService.create(risk());
  const { error: refused } = await outcome(riskDbService.create(risk()));
  t.deepEqual([refused.name, refused.code, refused.constructor], ["Error", "MONGO_WRITE", Error]);
  t.is(refused.keyPattern, undefined);
  const { code, codeName, keyPattern, keyValue } = refused.cause;
  t.deepEqual({ code, keyPattern, keyValue }, { code: 11000, keyPattern: { riskName: 1, exchangeName: 1 }, keyValue: { riskName: "r", exchangeName: "e" } });
  t.true([undefined, "DuplicateKey"].includes(codeName));
  for (const call of [riskDbService.create({ when: "noon" }), riskDbService.create({}), riskDbService.findById("garbage")]) {
    const { error } = await outcome(call);
    t.deepEqual([error.name, error.code, error.errors, error.path], ["TypeError", "INVALID_VALUE", undefined, undefined]);
  }
  const { error: absent } = await outcome(riskDbService.findById("000000000000000000000000"));
  t.deepEqual([absent.name, absent.code], ["Error", "NOT_FOUND"]);
  await own.redis.command("HSET", "signal_cache:e:st:s", "f", "v");
  const { error: reply } = await outcome(own.ioc.signalCacheService.getSignalId("s", "st", "e"));
  t.deepEqual([reply.name, reply.code], ["Error", "REDIS_REPLY"]);
});

ours("a row's _id is an ObjectId of npm's bson, and a row is a plain object", async (t) => {
  const row = await own.ioc.riskDbService.create(risk());
  t.is(row._id.constructor, require("bson").ObjectId);
  t.is(Object.getPrototypeOf(row), Object.prototype);
});

ours("methods of db services belong to their class: subclasses override them, and a copy without the class lacks them", async (t) => {
  const { ioc, lib } = own;
  const { signalDbService } = ioc;
  t.deepEqual(Object.keys(signalDbService).sort(), ["loggerService", "signalCacheService"]);
  t.is({ ...signalDbService }.findByContext, undefined);
  class Signals extends lib.SignalDbService {
    async findByContext(...context) {
      return (await super.findByContext(...context))?.payload ?? null;
    }
  }
  await signalDbService.upsert("s", "st", "ex", { a: 1 });
  t.deepEqual(await new Signals().findByContext("s", "st", "ex"), { a: 1 });
  const { findByContext } = signalDbService;
  t.deepEqual((await findByContext("s", "st", "ex")).payload, { a: 1 });
});

ours("services and their members can be replaced at run time, although the declarations say readonly", (t) => {
  const lib = loadFresh();
  const other = { getSignalId: async () => "other" };
  t.true([lib.ioc, lib.ioc.signalDbService, lib.ioc.redisService, lib.ioc.loggerService].every((one) => Object.isExtensible(one) && !Object.isFrozen(one)));
  lib.ioc.signalCacheService = other;
  t.is(lib.ioc.signalCacheService, other);
  lib.ioc.signalDbService.signalCacheService = other;
  lib.ioc.signalDbService.findByContext = other.getSignalId;
  t.is(lib.ioc.signalDbService.findByContext, other.getSignalId);
});

ours("the TargetModel of a service has a name and nothing of a model", (t) => {
  const { TargetModel } = own.ioc.riskDbService;
  t.deepEqual({ ...TargetModel }, { modelName: "risk-items" });
});

test("nothing is printed whatever goes wrong, and no handlers are installed", async (t) => {
  const [redis, mongo] = await Promise.all([freePort(), freePort()]);
  const env = { CC_REDIS_URL: `redis://127.0.0.1:${redis}`, CC_REDIS_TIMEOUT_MS: "200", CC_MONGO_CONNECTION_STRING: `mongodb://127.0.0.1:${mongo}/db`, CC_MONGO_TIMEOUT_MS: "200" };
  const { code, stderr, lines, stdout } = await runChild("quiet", { env });
  t.deepEqual([code, stderr, lines.length, stdout.trim().split("\n").length], [0, "", 1, 1]);
  t.deepEqual(lines[0].codes, ["REDIS_UNAVAILABLE", "REDIS_UNAVAILABLE", "MONGO_UNAVAILABLE", "MONGO_UNAVAILABLE", "MONGO_UNAVAILABLE", "INVALID_VALUE"]);
  t.deepEqual(lines[0].after, lines[0].before);
});

test("an empty text in setConfig means the default, not the environment", (t) => {
  const { CC_REDIS_HOST } = process.env;
  process.env.CC_REDIS_HOST = "of-the-environment";
  t.teardown(() => (CC_REDIS_HOST === undefined ? delete process.env.CC_REDIS_HOST : (process.env.CC_REDIS_HOST = CC_REDIS_HOST)));
  const lib = loadFor(t, { CC_REDIS_HOST: "", CC_REDIS_URL: "" });
  t.is(lib.getConfig().CC_REDIS_HOST, "127.0.0.1");
  t.throws(() => lib.setConfig({ CC_REDIS_PORT: 0 }), { code: "INVALID_CONFIG" });
});

ours("a payload that is null is refused where it says whether it is removed, and stored by the others", async (t) => {
  const { measureDbService, signalDbService } = own.ioc;
  const { error } = await outcome(measureDbService.upsert("b", "k", null));
  t.is(error?.code, "INVALID_VALUE");
  await signalDbService.upsert("s", "st", "ex", null);
  t.is((await signalDbService.findByContext("s", "st", "ex")).payload, null);
});

ours("when is a Date, or whatever has its getTime; else it is refused by name", async (t) => {
  const { stateDbService } = own.ioc;
  await stateDbService.upsert("s", "b", {}, { getTime: () => 5 });
  t.is((await stateDbService.findByContext("s", "b")).when, 5);
  for (const when of [undefined, null, 5, "2026-01-01", new Date(NaN)]) {
    const { error } = await outcome(stateDbService.upsert("s", "b", {}, when));
    t.is(error?.code, "INVALID_VALUE", String(when));
    t.regex(error.message, /when/);
  }
});

"use strict";

// What a user of MongoDB needs, as docs/deployment.md has it: the role readWrite on the database.

const fs = require("node:fs");
const path = require("node:path");
const { serial: test } = require("ava");
const { collect, loadFor, outcome, root, serverFor } = require("./support/addon.js");
const { startMongo } = require("./support/mongo.js");
const { argumentsFor, collections, oursOnly, read, write } = require("./support/mongo-peer.js");

const ours = oursOnly(test);
const DATABASE = "backtest-kit";
const [, ROLE] = /A user of MongoDB needs the role `(\w+)` on the database/.exec(fs.readFileSync(path.join(root, "docs", "deployment.md"), "utf8"));

/** The package as a user with these roles, in a fresh copy. */
async function asUser(t, roles) {
  const [mongo, redis] = [await startMongo(), await serverFor(t)];
  t.teardown(() => mongo.stop());
  await mongo.command({ createUser: "bot", pwd: "password", roles }, { database: "admin" });
  mongo.options.args = ["--auth"];
  await mongo.restart();
  const url = `mongodb://bot:password@${mongo.host}:${mongo.port}/${DATABASE}?authSource=admin`;
  return loadFor(t, { ...redis.env, CC_MONGO_CONNECTION_STRING: url, CC_MONGO_TIMEOUT_MS: 5000 });
}

ours("the role that deployment.md names is enough for every method of every db service", async (t) => {
  const lib = await asUser(t, [{ role: ROLE, db: DATABASE }]);
  await lib.waitForInit();
  for (const row of collections) {
    const service = lib.ioc[row.service];
    await write(lib.ioc, row);
    const found = await read(lib.ioc, row);
    t.truthy(found, row.service);
    if (row.has) t.true(await service[row.has](...argumentsFor(row.findArgs)));
    if (row.removes) await service.softRemove(...argumentsFor(row.findArgs));
    for (const { method, by } of row.lists ?? []) t.true(Array.isArray(await service[method](...argumentsFor(by))), method);
    await service.update(found.id, { $set: { when: 1 } });
    t.is((await service.findById(found.id)).id, found.id);
    t.is((await service.findByFilter({ _id: found.id })).id, found.id);
    t.is((await service.findAll()).length, 1);
    t.is((await collect(service.iterate())).length, 1);
    t.is((await service.paginate({}, { limit: 1 })).total, 1);
  }
  const candles = [1, 2, 3].map((minute) => ({ timestamp: minute * 60_000, open: 1, high: 1, low: 1, close: 1, volume: 1 }));
  t.deepEqual(await lib.ioc.candleDbService.createMany("S", "1m", "ex", candles), { inserted: 3, existing: 0 });
  t.is((await lib.ioc.candleDbService.findRange("S", "1m", "ex", 60_000, 3)).length, 3);
  await lib.ioc.intervalDbService.clearBucket("bucket");
  t.deepEqual(lib.health().mongo.indexProblems, []);
});

ours("a role that may only read is not enough", async (t) => {
  const lib = await asUser(t, [{ role: "read", db: DATABASE }]);
  t.deepEqual(await lib.ioc.signalDbService.findAll(), []);
  const { error } = await outcome(lib.ioc.signalDbService.upsert("S", "st", "ex", {}));
  t.is(error?.code, "MONGO_WRITE");
  t.regex(error.message, /not authorized/);
});

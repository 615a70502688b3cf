"use strict";

// Sharded clusters: what a router needs of commands. It is a real mongod that says that it is a router; see support/router.js.

const fs = require("node:fs");
const path = require("node:path");
const { serial: test } = require("ava");
const { loadFor, root } = require("./support/addon.js");
const { cli } = require("./support/copy.js");
const { startMongo } = require("./support/mongo.js");
const { collections, SAMPLE, argumentsFor, write, read } = require("./support/mongo-peer.js");
const { startRedis } = require("./support/redis.js");
const { startRouter, keyOf } = require("./support/router.js");

let mongo, redis, router;
test.before(async () => {
  [mongo, redis] = await Promise.all([startMongo({ replSet: true }), startRedis()]);
  router = await startRouter(mongo);
});
test.after.always(() => Promise.all([router, redis, mongo].map((server) => server && server.stop())));

let databases = 0;

async function scene(t) {
  await redis.command("FLUSHALL");
  const database = `sharded-${++databases}`;
  const lib = loadFor(t, { CC_MONGO_CONNECTION_STRING: router.urlOf(database), CC_REDIS_URL: redis.url });
  /** The commands that come to a collection during an action. */
  const sent = async (collection, action) => {
    const before = router.commands.length;
    await action();
    return router.commands.slice(before).filter((command) => command[Object.keys(command)[0]] === collection);
  };
  return { lib, ioc: lib.ioc, database, sent, crud: (collection) => new (lib.BaseCRUD(collection))() };
}

/** The filters of a command. */
function filtersOf(command) {
  if (command.findAndModify) return [command.query];
  if (command.update) return command.updates.map(({ q }) => q);
  if (command.delete) return command.deletes.map(({ q }) => q);
  if (command.find) return command.filter.$or ?? [command.filter];
  return [];
}

for (const row of collections) {
  test(`${row.collection}: each write and each read of a row names the whole shard key`, async (t) => {
    const { ioc, sent } = await scene(t);
    const others = [1, 2, 3].map((n) => ({ [row.key.at(-1)]: row.key.at(-1) === "backtest" ? n === 1 : row.key.at(-1) === "timestamp" ? SAMPLE.timestamp + n * 60_000 : `other-${n}` }));
    const commands = await sent(row.collection, async () => {
      await write(ioc, row);
      await write(ioc, row);
      await read(ioc, row);
      // Together, in one command.
      await Promise.all(others.map((over) => write(ioc, row, over)));
      await Promise.all(others.map((over) => read(ioc, row, over)));
      if (ioc[row.service].softRemove) await ioc[row.service].softRemove(...argumentsFor(row.key));
    });
    const filters = commands.flatMap(filtersOf);
    t.true(filters.length > 2);
    for (const filter of filters) t.true(router.hasKey(row.collection, filter), JSON.stringify(filter));
    const writes = commands.filter((command) => command.findAndModify || command.update);
    t.true(writes.length > 0);
    for (const command of writes) t.true(Number(command.txnNumber) > 0, "a router knows numbers");
  });
}

test("clearBucket deletes rows by their shard key, and an update of BaseCRUD looks for it first", async (t) => {
  const { lib, ioc, sent, crud } = await scene(t);
  t.is(lib.health().mongo, null);
  await Promise.all(["a", "b"].map((key) => ioc.intervalDbService.upsert("bucket", key, {}, new Date(5))));
  t.is(lib.health().mongo.topology.kind, "sharded");
  const deleted = await sent("interval-items", () => ioc.intervalDbService.clearBucket("bucket"));
  const filters = deleted.filter((command) => command.delete).flatMap(filtersOf);
  t.deepEqual(filters.map(({ bucket, entryKey }) => [bucket, entryKey]).sort(), [["bucket", "a"], ["bucket", "b"]]);
  t.deepEqual(await ioc.intervalDbService.listKeys("bucket"), []);

  const states = crud("state-items");
  const { id } = await states.create({ signalId: "s", bucketName: "b", when: 5, payload: {} });
  const changed = await sent("state-items", () => states.update(id, { when: 6 }));
  const [{ query }] = changed.filter((command) => command.findAndModify);
  t.deepEqual([query.signalId, query.bucketName], ["s", "b"]);
  t.is((await states.findById(id)).when, 6);
  await t.throwsAsync(states.update("0".repeat(24), { when: 7 }), { message: /not found/ });
});

test("an update that is the first call of a process names the shard key, too", async (t) => {
  const { database, crud } = await scene(t);
  const { id } = await crud("state-items").create({ signalId: "s", bucketName: "b", when: 5, payload: {} });
  const lib = loadFor(t, { CC_MONGO_CONNECTION_STRING: router.urlOf(database), CC_REDIS_URL: redis.url });
  const before = router.commands.length;
  t.is((await new (lib.BaseCRUD("state-items"))().update(id, { when: 6 })).when, 6);
  const sent = router.commands.slice(before).filter((command) => command.findAndModify === "state-items");
  t.deepEqual(sent.map(({ query }) => [query.signalId, query.bucketName]), [["s", "b"]]);
});

test("behind a balancer of load nothing is known of the servers: it counts as one, and calls do not wait for more", async (t) => {
  const balanced = await startRouter(mongo, { isBalanced: true });
  t.teardown(() => balanced.stop());
  const url = `${balanced.urlOf(`sharded-${++databases}`)}?loadBalanced=true`;
  const lib = loadFor(t, { CC_MONGO_CONNECTION_STRING: url, CC_REDIS_URL: redis.url });
  const states = new (lib.BaseCRUD("state-items"))();
  const { id } = await states.create({ signalId: "s", bucketName: "b", when: 5, payload: {} });
  t.is(lib.health().mongo.topology.kind, "single");
  t.is((await states.findById(id)).when, 5);
  for (const row of collections) {
    await write(lib.ioc, row);
    t.truthy(await read(lib.ioc, row), row.collection);
  }
});

test("a session that older code names by three parts has no shard key, and the router's words say so", async (t) => {
  const { ioc } = await scene(t);
  const error = await t.throwsAsync(ioc.sessionDbService.upsert("strat", "binance", "frame", {}, new Date(5)));
  t.is(error.code, "MONGO_WRITE");
  t.regex(error.message, /must contain the shard key/);
});

test("doctor says which collections are sharded by something else than their key", async (t) => {
  const { database, ioc } = await scene(t);
  await ioc.measureDbService.upsert("b", "k", {});
  const doctor = async () => {
    const env = { CC_MONGO_CONNECTION_STRING: router.urlOf(database), CC_REDIS_URL: redis.url };
    return (await cli(["doctor", "--json"], { env })).told.findings;
  };
  const said = (findings, words) => findings.filter(({ what }) => words.test(what));
  t.is(said(await doctor(), /not sharded, so on one shard: candle-items/).length, 1);
  const entries = [
    { _id: `${database}.measure-items`, key: { bucket: 1, entryKey: 1 }, unique: true },
    { _id: `${database}.signal-items`, key: { symbol: 1 }, unique: false },
    { _id: `${database}.log-items`, key: { createDate: 1 }, unique: false },
    { _id: `${database}.state-items`, key: { when: 1 }, dropped: true },
  ];
  await mongo.insert("collections", entries, "config");
  const findings = await doctor();
  const wrong = said(findings, /is sharded by/);
  t.deepEqual(wrong.map(({ level, what }) => [level, what.split(" ")[0]]), [["problem", "log-items"]]);
  t.regex(wrong[0].advice, /reshardCollection: "<database>.log-items", key: \{"entryId":1\}/);
  const [{ what }] = said(findings, /not sharded, so on one shard/);
  t.false(/measure-items|signal-items|log-items/.test(what));
  t.true(what.includes("state-items"));
});

test("docs/deployment.md names the shard key of each collection, which is its unique key", (t) => {
  const text = fs.readFileSync(path.join(root, "docs", "deployment.md"), "utf8");
  for (const { collection } of collections) {
    t.true(text.includes(`| \`${collection}\` | \`{ ${keyOf(collection).map((name) => `${name}: 1`).join(", ")} }\` |`), collection);
  }
  for (const [, collection, key] of text.matchAll(/sh\.shardCollection\("[\w-]+\.([\w-]+)", \{ (.*?) \}, true\)/g)) {
    t.is(key, keyOf(collection).map((name) => `${name}: 1`).join(", "));
  }
});

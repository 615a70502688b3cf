"use strict";

// Writes whose reply is lost while somebody else writes something newer: on a standalone server, which knows no numbers, and
// on a replica set of one, which does.

const { serial: test } = require("ava");
const { loadFor, outcome, until } = require("./support/addon.js");
const { startMongo } = require("./support/mongo.js");
const { startReplicaSet } = require("./support/mongo-set.js");
const { SAMPLE, CANDLE } = require("./support/mongo-peer.js");
const { startProxy } = require("./support/proxy.js");
const { startRedis } = require("./support/redis.js");

const KINDS = {
  "a standalone server": { options: {}, query: {} },
  "a replica set": { options: { replSet: true }, query: {} },
  // The connection string asks for writes without numbers.
  "a replica set with retryWrites=false": { options: { replSet: true }, query: { retryWrites: false } },
};
/** What replies to writes hold, and nothing else does. */
const REPLY = { findAndModify: "lastErrorObject", update: "nModified", insert: "\x10n\0", delete: "\x10n\0" };

let redis;
const servers = new Map();
test.before(async () => {
  redis = await startRedis();
});
test.after.always(() => Promise.all([redis, ...servers.values()].map((server) => server && server.stop())));

async function serverOf(kind) {
  const { options } = KINDS[kind];
  const name = JSON.stringify(options);
  if (!servers.has(name)) servers.set(name, await startMongo(options));
  return servers.get(name);
}

let databases = 0;

/** A proxy before the server, the package behind it on a database of its own, and the words to lose a reply. */
async function scene(t, kind, config) {
  const mongo = await serverOf(kind);
  const proxy = await startProxy(mongo);
  t.teardown(() => proxy.stop());
  await redis.command("FLUSHALL");
  const database = `again-${++databases}`;
  const query = new URLSearchParams({ directConnection: true, ...KINDS[kind].query });
  const url = `mongodb://127.0.0.1:${proxy.port}/${database}?${query}`;
  const lib = loadFor(t, { CC_MONGO_CONNECTION_STRING: url, CC_REDIS_URL: redis.url, ...config });
  const command = (document) => mongo.command(document, { database });
  const own = { mongo, proxy, lib, ioc: lib.ioc, database, numbered: kind === "a replica set" };
  return Object.assign(own, {
    crud: (collection) => new (lib.BaseCRUD(collection))(),
    documents: (collection, filter) => mongo.documents(collection, { filter, database, sort: { _id: 1 } }),
    /** Another client's write, newer than ours. */
    newer: (collection, q, $set) => command({ update: collection, updates: [{ q, u: { $set: { ...$set, updatedDate: new Date() } } }] }),
    command,
    /** How many commands the server knew again. */
    known: async () => Number((await mongo.command({ serverStatus: 1 }, { database: "admin" })).transactions?.retriedCommandsCount ?? 0),
    /**
     * Loses the next reply to a write of that kind, and the network with it, until `meanwhile` is done. Resolves with what
     * became of the call.
     */
    async losing(reply, call, meanwhile) {
      let lost = false;
      proxy.corrupt((bytes) => {
        if (lost || !bytes.includes(Buffer.from(REPLY[reply], "latin1"))) return bytes;
        lost = true;
        proxy.refuse();
        return Buffer.alloc(0);
      });
      const result = outcome(call());
      await until(() => lost, "the reply was lost");
      await meanwhile();
      await proxy.heal();
      return result;
    },
  });
}

const when = new Date(5);

for (const kind of Object.keys(KINDS)) {
  test(`${kind}: an upsert whose reply is lost does not undo a newer write of another client`, async (t) => {
    const { ioc, losing, newer, documents, known, numbered } = await scene(t, kind);
    await ioc.measureDbService.upsert("b", "k", { value: "first" });
    const before = await known();
    const { error } = await losing("findAndModify", () => ioc.measureDbService.upsert("b", "k", { value: "ours" }), async () => {
      t.is((await documents("measure-items"))[0].payload.value, "ours", "it was carried out");
      await newer("measure-items", { entryKey: "k" }, { payload: { value: "newer" }, removed: false });
    });
    t.is(error, undefined);
    t.is((await ioc.measureDbService.findByKey("b", "k")).payload.value, "newer");
    t.is((await known()) - before, numbered ? 1 : 0);
  });

  if (kind.includes("retryWrites")) continue;

  test(`${kind}: an upsert that never arrived is sent again, and stored as any other`, async (t) => {
    const { ioc, proxy, documents } = await scene(t, kind);
    await ioc.measureDbService.upsert("b", "before", { value: 1 });
    let lost = false;
    proxy.corrupt((bytes) => {
      if (lost || !bytes.includes("findAndModify")) return bytes;
      lost = true;
      proxy.cut();
      return Buffer.alloc(0);
    }, "up");
    await ioc.measureDbService.upsert("b", "k", { value: 2 });
    t.true(lost);
    const [first, second] = await documents("measure-items");
    t.deepEqual(Object.keys(second), Object.keys(first), "the order of fields too");
    t.deepEqual(second.payload, { value: 2 });
    t.is((await ioc.measureDbService.findByKey("b", "k")).id, second._id.toHexString());
  });

  test(`${kind}: upserts that travelled together undo nothing newer when their reply is lost, and all are there`, async (t) => {
    const { ioc, losing, newer, documents } = await scene(t, kind);
    await ioc.measureDbService.upsert("b", "k1", { value: "first" });
    const call = () => Promise.all(Array.from({ length: 20 }, (_, i) => ioc.measureDbService.upsert("b", `k${i}`, { value: i })));
    const { error } = await losing("update", call, async () => {
      t.is((await documents("measure-items")).length, 20);
      for (const entryKey of ["k1", "k7"]) await newer("measure-items", { entryKey }, { payload: { value: "newer" }, removed: false });
    });
    t.is(error, undefined);
    const values = Object.fromEntries((await documents("measure-items")).map((row) => [row.entryKey, row.payload.value]));
    t.deepEqual(values, { ...Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, i])), k1: "newer", k7: "newer" });
    t.is((await ioc.measureDbService.findByKey("b", "k7")).payload.value, "newer");
  });

  test(`${kind}: of upserts of one key in one tick the last one stays, whichever reply is lost`, async (t) => {
    const { ioc, losing, documents } = await scene(t, kind);
    await ioc.measureDbService.upsert("b", "before", 0);
    const values = [["k", 1], ["other", 1], ["k", 2], ["other", 2]];
    const call = () => Promise.all(values.map(([key, value]) => ioc.measureDbService.upsert("b", key, { value })));
    t.is((await losing("update", call, async () => {})).error, undefined);
    t.deepEqual((await documents("measure-items", { entryKey: { $in: ["k", "other"] } })).map((row) => row.payload.value), [2, 2]);
  });

  test(`${kind}: a softRemove whose reply is lost leaves a row that was written anew since`, async (t) => {
    const { ioc, losing, newer, documents } = await scene(t, kind);
    await ioc.measureDbService.upsert("b", "k", { value: "first" });
    const { error } = await losing("findAndModify", () => ioc.measureDbService.softRemove("b", "k"), async () => {
      t.true((await documents("measure-items"))[0].removed, "it was carried out");
      await newer("measure-items", { entryKey: "k" }, { payload: { value: "newer" }, removed: false });
    });
    t.is(error, undefined);
    const [row] = await documents("measure-items");
    t.deepEqual([row.removed, row.payload], [false, { value: "newer" }]);
  });

  test(`${kind}: an update() whose reply is lost undoes nothing newer, and resolves only where its outcome can be told`, async (t) => {
    const { crud, losing, newer, documents, numbered } = await scene(t, kind);
    const states = crud("state-items");
    const { id } = await states.create({ signalId: "s", bucketName: "b", when: 5, payload: { a: 1 } });
    const beside = await losing("findAndModify", () => states.update(id, { when: 6 }), () => newer("state-items", {}, { payload: { a: 2 } }));
    t.is(beside.error, undefined);
    t.is(beside.value.when, 6);
    const over = await losing("findAndModify", () => states.update(id, { when: 7 }), () => newer("state-items", {}, { when: 8 }));
    if (numbered) t.is(over.value?.when, 7);
    else t.is(over.error?.code, "MONGO_UNKNOWN", String(over.error));
    const [row] = await documents("state-items");
    t.deepEqual([row.when, row.payload], [8, { a: 2 }]);
  });

  test(`${kind}: what an update() adds up is added once, and rejects where nobody knows whether it was`, async (t) => {
    const { crud, losing, documents, numbered } = await scene(t, kind);
    const states = crud("state-items");
    const { id } = await states.create({ signalId: "s", bucketName: "b", when: 5, payload: { list: [] } });
    for (const dto of [{ $inc: { when: 1 } }, { $push: { "payload.list": 1 } }]) {
      const { value, error } = await losing("findAndModify", () => states.update(id, dto), async () => {});
      if (numbered) t.is(value?.when, 6);
      else t.is(error?.code, "MONGO_UNKNOWN", String(error));
    }
    const [row] = await documents("state-items");
    t.deepEqual([row.when, row.payload], [6, { list: [1] }]);
  });

  test(`${kind}: a clearBucket whose reply is lost deletes nothing that was written since`, async (t) => {
    const { ioc, losing, documents, command } = await scene(t, kind);
    for (const key of ["k1", "k2"]) await ioc.intervalDbService.upsert("b", key, {}, when);
    await ioc.intervalDbService.upsert("other", "k1", {}, when);
    const row = (entryKey) => ({ bucket: "b", entryKey, payload: {}, removed: false, when: 5, updatedDate: new Date(), createDate: new Date() });
    const { error } = await losing("delete", () => ioc.intervalDbService.clearBucket("b"), async () => {
      t.deepEqual((await documents("interval-items")).map(({ bucket }) => bucket), ["other"], "it was carried out");
      await command({ insert: "interval-items", documents: [row("k1"), row("k3")] });
    });
    t.is(error, undefined);
    t.deepEqual((await documents("interval-items", { bucket: "b" })).map(({ entryKey }) => entryKey), ["k1", "k3"]);
    t.truthy(await ioc.intervalDbService.findByKey("b", "k1"));
  });

  test(`${kind}: a create whose reply is lost knows its row, whatever became of it since`, async (t) => {
    const { crud, losing, newer, documents } = await scene(t, kind);
    const states = crud("state-items");
    await states.create({ signalId: "s", bucketName: "before", when: 5, payload: {} });
    const { value, error } = await losing("insert", () => states.create({ signalId: "s", bucketName: "b", when: 5, payload: {} }), () => newer("state-items", { bucketName: "b" }, { when: 6 }));
    t.is(error, undefined);
    t.is(value.when, 5);
    const [row] = await documents("state-items", { bucketName: "b" });
    t.deepEqual([row._id.toHexString(), row.when], [value.id, 6]);
  });

  test(`${kind}: a create whose key was taken since is refused`, async (t) => {
    const { crud, proxy, command, documents } = await scene(t, kind);
    const states = crud("state-items");
    await states.create({ signalId: "s", bucketName: "before", when: 5, payload: {} });
    let lost = false;
    proxy.corrupt((bytes) => {
      if (lost || !bytes.includes("\x02insert")) return bytes;
      lost = true;
      proxy.refuse();
      return Buffer.alloc(0);
    }, "up");
    const creating = outcome(states.create({ signalId: "s", bucketName: "b", when: 5, payload: {} }));
    await until(() => lost, "the request was lost");
    await command({ insert: "state-items", documents: [{ signalId: "s", bucketName: "b", when: 6 }] });
    await proxy.heal();
    const { error } = await creating;
    t.is(error?.code, "MONGO_WRITE", String(error));
    t.is((await documents("state-items", { bucketName: "b" }))[0].when, 6);
  });

  test(`${kind}: candles whose reply is lost are told as inserted, and stay as somebody has changed them since`, async (t) => {
    const { ioc, losing, newer, documents } = await scene(t, kind);
    const candle = (i) => ({ symbol: "BTCUSDT", interval: "1m", exchangeName: "binance", timestamp: SAMPLE.timestamp + i * 60_000, ...CANDLE });
    await ioc.candleDbService.create(candle(1_000));
    const many = Array.from({ length: 50 }, (_, i) => candle(i));
    const changed = { timestamp: candle(3).timestamp };
    const { value } = await losing("insert", () => ioc.candleDbService.createMany(many), () => newer("candle-items", changed, { close: 9 }));
    t.deepEqual(value, { inserted: 50, existing: 0 });
    t.is((await documents("candle-items")).length, 51);
    t.is((await documents("candle-items", changed))[0].close, 9);
  });

  test(`${kind}: a candle whose reply is lost keeps what somebody has changed since`, async (t) => {
    const { ioc, losing, newer, documents } = await scene(t, kind);
    const candle = (i) => ({ symbol: "BTCUSDT", interval: "1m", exchangeName: "binance", timestamp: SAMPLE.timestamp + i * 60_000, ...CANDLE });
    await ioc.candleDbService.create(candle(0));
    let date;
    const { value } = await losing("findAndModify", () => ioc.candleDbService.create(candle(1)), async () => {
      await newer("candle-items", { timestamp: candle(1).timestamp }, { close: 9 });
      date = (await documents("candle-items", { timestamp: candle(1).timestamp }))[0].updatedDate;
    });
    t.is(value.timestamp, candle(1).timestamp);
    const [row] = await documents("candle-items", { timestamp: candle(1).timestamp });
    t.deepEqual([row.close, row.updatedDate], [9, date]);
  });

  test(`${kind}: a write whose reply is lost for good rejects as unknown`, async (t) => {
    const { ioc, lib, proxy, losing, documents } = await scene(t, kind, { CC_MONGO_TIMEOUT_MS: 2_000 });
    const { heal } = proxy;
    await ioc.measureDbService.upsert("b", "k", { value: "first" });
    const stay = async () => {
      proxy.heal = async () => {};
    };
    const { error } = await losing("findAndModify", () => ioc.measureDbService.upsert("b", "k", { value: "ours" }), stay);
    t.is(error?.code, "MONGO_UNKNOWN", String(error));
    t.regex(error.message, /^outcome unknown/);
    t.truthy(error.cause);
    t.is((await documents("measure-items"))[0].payload.value, "ours");
    proxy.heal = heal;
    await proxy.heal();
    await until(() => ioc.measureDbService.findByKey("b", "k").then(() => true, () => false), "reads are answered", 60_000);
    await lib.close();
  });
}

test("the primary dies with the reply to an upsert: its successor knows the write, and a newer one stays", async (t) => {
  const set = await startReplicaSet(3);
  t.teardown(() => set.stop());
  await redis.command("FLUSHALL");
  const url = set.urlOf("again", { w: "majority" });
  const { ioc } = loadFor(t, { CC_MONGO_CONNECTION_STRING: url, CC_REDIS_URL: redis.url, CC_MONGO_TIMEOUT_MS: 60_000 });
  await ioc.measureDbService.upsert("b", "k", { value: "first" });
  const old = await set.primary();
  let lost = false;
  old.proxy.corrupt((bytes) => {
    if (lost || !bytes.includes(REPLY.findAndModify)) return bytes;
    lost = true;
    old.proxy.refuse();
    return Buffer.alloc(0);
  });
  const writing = outcome(ioc.measureDbService.upsert("b", "k", { value: "ours" }));
  await until(() => lost, "the reply was lost");
  await old.server.kill();
  const { server } = await set.primary(old);
  const u = { $set: { payload: { value: "newer" }, updatedDate: new Date() } };
  await server.command({ update: "measure-items", updates: [{ q: { entryKey: "k" }, u }], writeConcern: { w: "majority" } }, { database: "again" });
  t.is((await writing).error, undefined);
  const { transactions } = await server.command({ serverStatus: 1 }, { database: "admin" });
  t.is(Number(transactions.retriedCommandsCount), 1);
  t.is((await ioc.measureDbService.findByKey("b", "k")).payload.value, "newer");
});

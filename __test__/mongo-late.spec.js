"use strict";

// Writes that were given up at their deadline and that the server gets, or carries out, only later: after a newer write that was
// acknowledged. On a replica set they must not undo it.

const { serial: test } = require("ava");
const { loadFor, outcome, until } = require("./support/addon.js");
const { startMongo } = require("./support/mongo.js");
const { startProxy } = require("./support/proxy.js");
const { startRedis } = require("./support/redis.js");

const DEADLINE = 500;

let mongo, redis;
test.before(async () => {
  // Fail points hold a command up within the server.
  const args = ["--setParameter", "enableTestCommands=1"];
  [mongo, redis] = await Promise.all([startMongo({ replSet: true, args }), startRedis()]);
});
test.after.always(() => Promise.all([mongo, redis].map((server) => server && server.stop())));

let databases = 0;

async function scene(t) {
  const proxy = await startProxy(mongo);
  t.teardown(() => proxy.stop());
  await redis.command("FLUSHALL");
  const database = `late-${++databases}`;
  const url = `mongodb://127.0.0.1:${proxy.port}/${database}?directConnection=true`;
  const lib = loadFor(t, { CC_MONGO_CONNECTION_STRING: url, CC_REDIS_URL: redis.url, CC_MONGO_TIMEOUT_MS: DEADLINE });
  const { measureDbService: measures, intervalDbService: intervals } = lib.ioc;
  const documents = (collection, filter) => mongo.documents(collection, { filter, database, sort: { _id: 1 } });
  // Indexes, and a connection.
  await measures.upsert("b", "first", {});
  await intervals.upsert("other", "first", {}, new Date(5));
  return { proxy, lib, measures, intervals, documents, crud: (collection) => new (lib.BaseCRUD(collection))() };
}

/** Holds up the next command that has these words, and its connection with it. */
function holdUp(proxy, words) {
  let held = null;
  proxy.corrupt((bytes, flow) => {
    if (held === null && bytes.includes(Buffer.from(words, "latin1"))) {
      held = flow;
      flow.hold();
    }
    return bytes;
  }, "up");
  return { isHeld: () => held !== null, release: () => held.release() };
}

/** How many writes have reached the server. */
const arrived = async () => {
  const { metrics } = await mongo.command({ serverStatus: 1 }, { database: "admin" });
  return ["findAndModify", "update", "delete", "insert"].reduce((sum, name) => sum + Number(metrics.commands[name].total), 0);
};

/** Until the server is through with one more write than it had got `before`. */
async function untilThrough(before) {
  await until(async () => (await arrived()) > before, "the late command has arrived");
  const writing = { currentOp: 1, "command.txnNumber": { $exists: true } };
  await until(async () => (await mongo.command(writing, { database: "admin" })).inprog.length === 0, "the late command is through");
}

/** A call is given up while its bytes are under way; `meanwhile` is acknowledged; then the bytes arrive. */
async function late(t, { proxy }, words, call, meanwhile) {
  const held = holdUp(proxy, words);
  const { error } = await outcome(call());
  t.true(held.isHeld(), "it was held up");
  t.is(error?.code, "MONGO_TIMEOUT", String(error));
  t.regex(error.message, /outcome unknown/);
  await meanwhile();
  const before = await arrived();
  held.release();
  await untilThrough(before);
}

test("an upsert that arrives after its deadline does not undo a later one that was acknowledged", async (t) => {
  const own = await scene(t);
  const { measures, documents } = own;
  await measures.upsert("b", "k", { value: "first" });
  await late(t, own, "findAndModify", () => measures.upsert("b", "k", { value: "late" }), () => measures.upsert("b", "k", { value: "newer" }));
  t.deepEqual((await documents("measure-items", { entryKey: "k" })).map((row) => row.payload.value), ["newer"]);
});

test("upserts that travelled together and arrive late do not undo later ones of any of their keys", async (t) => {
  const own = await scene(t);
  const { measures, documents } = own;
  const all = (value) => Promise.all([1, 2, 3, 4].map((n) => measures.upsert("b", `k${n}`, { value })));
  await all("first");
  await late(t, own, "\x02update", () => all("late"), async () => {
    await measures.upsert("b", "k1", { value: "newer" });
    await all("newest");
  });
  t.deepEqual((await documents("measure-items", { entryKey: /^k/ })).map((row) => row.payload.value), Array(4).fill("newest"));
});

test("a softRemove that arrives late does not remove a row that was written since", async (t) => {
  const own = await scene(t);
  const { measures, documents } = own;
  await measures.upsert("b", "k", { value: "first" });
  await late(t, own, "findAndModify", () => measures.softRemove("b", "k"), () => measures.upsert("b", "k", { value: "newer" }));
  t.deepEqual((await documents("measure-items", { entryKey: "k" })).map((row) => [row.removed, row.payload.value]), [[false, "newer"]]);
});

test("a clearBucket that arrives late deletes no row that was written since", async (t) => {
  const own = await scene(t);
  const { intervals, documents } = own;
  const when = new Date(5);
  await intervals.upsert("b", "k", { value: "first" }, when);
  await late(t, own, "\x02delete", () => intervals.clearBucket("b"), () => intervals.upsert("b", "k", { value: "newer" }, when));
  t.deepEqual((await documents("interval-items", { bucket: "b" })).map((row) => row.payload.value), ["newer"]);
});

test("an update() and a create() that arrive late change nothing that was written since", async (t) => {
  const own = await scene(t);
  const { crud, documents } = own;
  const states = crud("state-items");
  const { id } = await states.create({ signalId: "s", bucketName: "b", when: 5, payload: {} });
  await late(t, own, "findAndModify", () => states.update(id, { when: 6 }), () => states.update(id, { when: 7 }));
  t.deepEqual((await documents("state-items")).map(({ when }) => when), [7]);
  const create = () => states.create({ signalId: "s", bucketName: "new", when: 5, payload: {} });
  await late(t, own, "\x02insert", create, () => states.update(id, { when: 8 }));
  t.deepEqual((await documents("state-items")).map(({ when }) => when), [8], "what was given up does not come after what was not");
});

test("a write that the server holds up beyond its deadline does not undo a later one", async (t) => {
  const { measures, documents } = await scene(t);
  await measures.upsert("b", "k", { value: "first" });
  const data = { failCommands: ["findAndModify"], blockConnection: true, blockTimeMS: 3 * DEADLINE };
  await mongo.command({ configureFailPoint: "failCommand", mode: { times: 1 }, data }, { database: "admin" });
  t.is((await outcome(measures.upsert("b", "k", { value: "late" }))).error?.code, "MONGO_TIMEOUT");
  await measures.upsert("b", "k", { value: "newer" });
  await untilThrough(0);
  t.deepEqual((await documents("measure-items", { entryKey: "k" })).map((row) => row.payload.value), ["newer"]);
});

test("while the server does not answer, later writes are not sent and say so, and afterwards all is as it was", async (t) => {
  const { proxy, measures, documents } = await scene(t);
  await measures.upsert("b", "k", { value: "first" });
  const release = proxy.hold("down");
  t.regex((await outcome(measures.upsert("b", "k", { value: "second" }))).error?.message, /outcome unknown/);
  proxy.blackHole();
  for (let n = 0; n < 2; n++) {
    const { error } = await outcome(measures.upsert("b", "k", { value: "third" }));
    t.regex(error?.code, /^MONGO_(TIMEOUT|UNAVAILABLE)$/);
    t.notRegex(error.message, /outcome unknown/);
  }
  await proxy.heal();
  release();
  await until(() => measures.upsert("b", "k", { value: "last" }).then(() => true, () => false), "writes are answered", 60_000);
  await Promise.all([1, 2, 3].map((n) => measures.upsert("b", `more-${n}`, { value: n })));
  t.deepEqual((await documents("measure-items", { entryKey: "k" })).map((row) => row.payload.value), ["last"]);
});

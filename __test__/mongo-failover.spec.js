"use strict";

// Replica sets of several members: what becomes of calls while there is no primary, and what is told of the set. `npm run test:cluster`
// plays the failures that take longer.

const { serial: test } = require("ava");
const cases = require("./cluster/cases/mongo.js");
const { loadFor, outcome, until } = require("./support/addon.js");
const { startReplicaSet } = require("./support/mongo-set.js");
const { startRedis } = require("./support/redis.js");

let redis;
test.before(async () => {
  redis = await startRedis();
});
test.after.always(() => redis?.stop());

const FAILOVER_MS = 1_500;

/** A set and the package on it. */
async function scene(t, config, options) {
  const set = await startReplicaSet(3, options);
  t.teardown(() => set.stop());
  await redis.command("FLUSHALL");
  const url = set.urlOf("failover", { w: "majority" });
  const lib = loadFor(t, { CC_MONGO_CONNECTION_STRING: url, CC_REDIS_URL: redis.url, ...config });
  const { measureDbService: measures } = lib.ioc;
  await measures.upsert("b", "first", { value: 1 });
  return { set, lib, measures };
}

for (const one of cases.filter(({ quick }) => quick)) {
  test(`${one.title}: nothing acknowledged is lost or undone, reads find what was written, and no call is rejected`, async (t) => {
    const { calls, lost, wrong } = await one.run();
    t.true(calls > 500);
    t.deepEqual([lost, wrong], [0, 0]);
  });
}

const nameOf = ({ proxy }) => `127.0.0.1:${proxy.port}`;

test("health() and stats() show the set, its members and its primary, before and after an election", async (t) => {
  const { set, lib, measures } = await scene(t, {});
  const names = set.members.map(nameOf).sort();
  await until(() => lib.health().mongo.topology.members.every(({ role }) => role !== "unknown"), "all members are known");
  const primary = await set.primary();
  const { topology } = lib.health().mongo;
  t.deepEqual([topology.kind, topology.set, topology.primary], ["replicaSet", "rs0", nameOf(primary)]);
  t.deepEqual(topology.members.map(({ server }) => server).sort(), names);
  t.deepEqual(topology.members.map(({ role }) => role).sort(), ["primary", "secondary", "secondary"]);
  for (const { heard, lastError } of topology.members) {
    t.true(Math.abs(Date.now() - heard) < 60_000);
    t.is(lastError, null);
  }
  const { elections, servers, primary: told } = lib.stats().mongo.topology;
  t.deepEqual([told, elections], [nameOf(primary), 0]);
  t.true(servers.find(({ server }) => server === nameOf(primary)).commands > 0);

  await primary.server.kill();
  await measures.upsert("b", "first", { value: 3 });
  await until(() => lib.health().mongo.topology.primary !== nameOf(primary), "another primary is known");
  t.true(lib.stats().mongo.topology.elections >= 1);
  const gone = lib.health().mongo.topology.members.find(({ server }) => server === nameOf(primary));
  t.is(gone.role, "unknown");
});

test("of a set, the error of a call names the member that has not answered", async (t) => {
  const { set, measures } = await scene(t, { CC_MONGO_TIMEOUT_MS: 2_000, CC_MONGO_FAILOVER_MS: 0 }, { electionMs: 6_000 });
  const primary = await set.primary();
  await primary.server.pause();
  const { error } = await outcome(measures.upsert("b", "first", { value: 2 }));
  await primary.server.resume();
  t.is(error?.code, "MONGO_TIMEOUT", String(error));
  t.true(error.message.includes(`on ${nameOf(primary)} of `), error.message);
});

test("a set without a primary is waited for as long as CC_MONGO_FAILOVER_MS says, and no longer", async (t) => {
  const { set, lib, measures } = await scene(t, { CC_MONGO_TIMEOUT_MS: 60_000, CC_MONGO_FAILOVER_MS: FAILOVER_MS });
  const primary = await set.primary();
  const others = set.members.filter((member) => member !== primary);
  // One member alone elects nobody.
  await Promise.all([primary, others[0]].map(({ server }) => server.kill()));
  await until(() => lib.health().mongo.topology.primary === null, "the package knows");
  const since = performance.now();
  const made = [measures.upsert("b", "k", {}), measures.findByKey("b", "first"), measures.listKeys("b")];
  for (const { error } of await Promise.all(made.map(outcome))) {
    t.is(error?.code, "MONGO_UNAVAILABLE", String(error));
    t.true(error.message.includes(nameOf(primary)), error.message);
  }
  const waited = performance.now() - since;
  // Far below CC_MONGO_TIMEOUT_MS, which is what they would wait otherwise.
  t.true(waited >= FAILOVER_MS - 100 && waited < 40_000, `${waited} ms`);
  await primary.server.start();
  await until(() => measures.upsert("b", "k", { value: "later" }).then(() => true, () => false), "a primary is there", 30_000);
  t.is((await measures.findByKey("b", "k")).payload.value, "later");
});

for (const preference of ["secondary", "nearest"]) {
  test(`a connection string that has rows read from other members than the primary is refused, and says why: ${preference}`, async (t) => {
    const url = `mongodb://127.0.0.1:1/db?replicaSet=rs0&readPreference=${preference}`;
    const error = t.throws(() => loadFor(t, { CC_MONGO_CONNECTION_STRING: url }));
    t.is(error.code, "INVALID_CONFIG");
    t.regex(error.message, new RegExp(`readPreference=${preference} would have rows read from servers that may lack`));
  });
}

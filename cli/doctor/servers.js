"use strict";
// What doctor says of the configured servers.

const { setTimeout: sleep } = require("node:timers/promises");

const { Opened } = require("../stores/opened.js");

/** Redis answers ids from memory from this version on. */
const TRACKING = 6;
const LEAST_MONGO = 4.4;
/** How long a server is waited for. */
const PATIENCE_MS = "3000";

const MONGO_ADVICE = {
  MONGO_UNAVAILABLE: "is it running, and is CC_MONGO_CONNECTION_STRING right? Without servers: CC_STORE_PATH=./dump/native",
  MONGO_TIMEOUT: "it is there and does not answer in time; a firewall or a proxy in between may swallow it",
};

/** What is known of a cluster when each master was reached, or could not be. */
async function reached(health) {
  const isUnderWay = ({ slots, state }) => slots > 0 && state === "connecting";
  for (const end = Date.now() + Number(PATIENCE_MS); health().redis.cluster.nodes.some(isUnderWay) && Date.now() < end; ) await sleep(20);
  return health().redis.cluster;
}

/** How masters of a cluster should be set up, and what they do otherwise. */
const SETTINGS = [
  { name: "cluster-require-full-coverage", should: "no", means: "while one master is missing, calls on all slots fail" },
  { name: "cluster-allow-reads-when-down", should: "no", means: "a node that is cut off answers reads for as long as it is, however old, and so does the near cache for it" },
];

/** How one of them is set up, as far as it tells: `{ server, settings }`, or why it does not: `{ server, error }`. */
async function settingsOf(native, server) {
  try {
    const list = await native.promise(native.engine.clusterSettings(server));
    return { server, settings: Object.fromEntries(Array.from({ length: list.length / 2 }, (_, i) => list.slice(2 * i, 2 * i + 2))) };
  } catch (error) {
    return { server, error };
  }
}

/** The right to a command, as a rule of a user has it. */
const rightTo = (command) => `+${command.toLowerCase().replace(" ", "|")}`;
/** A key of the services, wherever it is. */
const SOME_KEY = "signal_cache:doctor";
/** What a node says to one who may ask: that the key is not there, or may not be read, or that there is no majority. */
const IS_ALLOWED = /^(MOVED|ASK|CLUSTERDOWN|TRYAGAIN) |^NOPERM .* access (a key|one of the keys)/;

/** Which of these needs a master does not meet for this user: `{ server, command, error }` each. */
async function refusedBy(native, needs, server) {
  const tried = needs.map(({ command }) =>
    native.promise(native.engine.clusterTry(server, command, SOME_KEY)).then(
      () => null,
      (error) => (IS_ALLOWED.test(error.message) ? null : { server, command, error }),
    ),
  );
  return (await Promise.all(tried)).filter((one) => one !== null);
}

/** Whether each master allows what is asked of it, by the server's words. */
async function rights(native, health, masters, findings) {
  const needs = JSON.parse(native.engine.clusterNeeds());
  const refused = (await Promise.all(masters.map(({ server }) => refusedBy(native, needs, server)))).flat();
  for (const { command, without } of needs) {
    const those = refused.filter((one) => one.command === command);
    if (those.length === 0) continue;
    findings.problem(`${command} is not allowed at ${those.map(({ server }) => server).join(", ")}, so ${without}: ${those[0].error.message}`, `ACL SETUSER … ${rightTo(command)}, on each node`);
  }
  const { state, reason } = health().nearCache ?? {};
  if (state === "off") findings.note("ids are not kept in memory, because CC_NEAR_CACHE is off");
  else if (/CLIENT TRACKING on /.test(reason)) {
    findings.note(`changes are not announced, so ids are not kept in memory: ${reason}`, "allow CLIENT TRACKING to this user: ACL SETUSER … +client|tracking, on each node");
  } else if (refused.length === 0) findings.ok("each master announces changes and tells its slots, so ids are answered from memory");
}

/** What there is to say of a cluster; how each master is set up. */
async function cluster(native, health, findings) {
  const { nodes, unowned } = await reached(health);
  const masters = nodes.filter(({ slots }) => slots > 0);
  findings.ok(`a cluster of ${masters.length} masters: ${masters.map(({ server }) => server).join(", ")}`);
  for (const { server, state, lastError } of masters) {
    if (state !== "ready") findings.note(`${server} cannot be reached${lastError === null ? "" : `: ${lastError}`}`, "calls on its slots wait for it, or for its replica");
  }
  if (unowned > 0) findings.problem(`${unowned.toLocaleString("en-US")} of 16,384 slots have no owner: calls on them fail`, "redis-cli --cluster fix");
  // Each has its own; one that is not there is noted already.
  const ready = masters.filter(({ state }) => state === "ready");
  await rights(native, health, ready, findings);
  const told = await Promise.all(ready.map(({ server }) => settingsOf(native, server)));
  for (const why of new Set(told.filter(({ error }) => error).map(({ error }) => error.message))) {
    findings.note(`how a master is set up is not told: ${why}`, "allow CONFIG GET to this user for doctor: ACL SETUSER … +config|get");
  }
  for (const { name, should, means } of SETTINGS) {
    const wrong = told.filter(({ settings }) => settings && settings[name] !== undefined && settings[name] !== should).map(({ server }) => server);
    if (wrong.length > 0) findings.note(`${name} is ${should === "no" ? "on" : "off"} at ${wrong.join(", ")}: ${means}`, `CONFIG SET ${name} ${should}, on each node`);
  }
}

async function redis(store, findings) {
  const { native } = store.package.engine;
  const health = () => store.package.engine.health();
  try {
    native.ready();
    const info = await native.promise(native.engine.serverInfo());
    const field = (name) => new RegExp(`^${name}:(\\S+)`, "m").exec(info)?.[1];
    const version = field("valkey_version") ?? field("redis_version") ?? "unknown";
    findings.ok(`Redis answers on ${health().redis.server}; version ${version}`);
    const near = health().nearCache;
    if (health().redis.cluster !== null) await cluster(native, health, findings);
    else if (near?.state === "off") findings.note("ids are not kept in memory, because CC_NEAR_CACHE is off");
    else if (near?.reason) {
      const advice = Number.parseInt(version, 10) < TRACKING ? "Redis 6 or newer announces changes" : "allow CLIENT TRACKING to this user: ACL SETUSER … +client|tracking";
      findings.note(`ids cannot be kept in memory: the server says ${near.reason}`, advice);
    } else findings.ok("it announces changes, so ids are answered from memory");
    return { version, nearCache: near };
  } catch (error) {
    const advice = {
      REDIS_AUTH: "set CC_REDIS_USER and CC_REDIS_PASSWORD, or try --defaults setup, which sends no password",
      REDIS_UNAVAILABLE: "is it running, and are CC_REDIS_HOST and CC_REDIS_PORT right? Without servers: CC_STORE_PATH=./dump/native",
    }[error.code];
    findings.problem(`${error.message} (${error.code})`, advice);
    return { error: error.code };
  }
}

/** What routers divide collections by. Servers that are none have nothing to say of it. */
function sharding(store, findings, all) {
  const routed = all.filter(([, one]) => one.sharding);
  if (routed.length === 0) return;
  const refused = routed.find(([, one]) => one.sharding.refused !== undefined);
  if (refused !== undefined) {
    findings.note(`it is a sharded cluster, and this user may not see its shard keys: ${refused[1].sharding.refused}`, "allow it to read config.collections");
    return;
  }
  const keyOf = (name) => {
    const { key } = store.table.find(({ collection }) => collection === name);
    return JSON.stringify(Object.fromEntries(key.map((field) => [field.name, 1])));
  };
  const wrong = routed.filter(([, { sharding: one }]) => one.key !== null && !one.right);
  for (const [name, one] of wrong) {
    findings.problem(
      `${name} is sharded by ${JSON.stringify(one.sharding.key)}, with which its unique key does not begin: writes go to all shards or are refused, and keys can be there twice`,
      `reshard it: db.adminCommand({ reshardCollection: "<database>.${name}", key: ${keyOf(name)} })`,
    );
  }
  const whole = routed.filter(([, { sharding: one }]) => one.key === null).map(([name]) => name);
  if (whole.length > 0) {
    findings.note(`not sharded, so on one shard: ${whole.join(", ")}`, `where one grows large: sh.shardCollection("<database>.${whole[0]}", ${keyOf(whole[0])}, true)`);
  }
  if (wrong.length === 0 && whole.length < routed.length) findings.ok("sharded collections are divided by their own keys");
}

async function mongo(store, findings) {
  const collections = {};
  try {
    for (const [number, { collection }] of store.table.entries()) collections[collection] = await store.inspect(number);
  } catch (error) {
    findings.problem(`MongoDB: ${error.message} (${error.code})`, MONGO_ADVICE[error.code]);
    return { error: error.code };
  }
  const all = Object.entries(collections);
  const { version } = all[0][1];
  findings.ok(`MongoDB answers on ${store.config.CC_MONGO_CONNECTION_STRING}; version ${version}`);
  if (Number.parseFloat(version) < LEAST_MONGO) findings.problem(`MongoDB ${version} is too old`, `${LEAST_MONGO} or newer is needed`);
  const rows = all.reduce((sum, [, one]) => sum + one.rows, 0);
  findings.ok(`${rows.toLocaleString("en-US")} rows in ${all.filter(([, one]) => one.rows > 0).length} of ${all.length} collections`);
  for (const [name, { missing, duplicates }] of all) {
    if (duplicates > 0) {
      findings.problem(
        `${name}: ${duplicates.toLocaleString("en-US")} keys have several rows, so its unique index cannot be made`,
        "remove all but one row of each key; the index is made with the next write after that",
      );
    } else if (missing.length > 0) {
      findings.note(`${name} lacks indexes: ${missing.join(", ")}`, "they are made with the first write of a process; this user needs the right createIndex");
    }
  }
  if (all.every(([, { missing }]) => missing.length === 0)) findings.ok("no index is missing");
  const { topology } = store.package.engine.health().mongo;
  if (topology.kind === "replicaSet") findings.ok(`replica set ${topology.set} of ${topology.members.length}; its primary is ${topology.primary}`);
  for (const { server, role, lastError } of topology.kind === "replicaSet" ? topology.members : []) {
    if (role === "unknown") findings.note(`${server} cannot be reached${lastError === null ? "" : `: ${lastError}`}`, "the set goes on while most of its members are there");
  }
  sharding(store, findings, all);
  return { version, collections };
}

/** Notes what there is to say of both servers. */
async function examineServers(findings, defaults) {
  findings.begin("servers");
  let store;
  try {
    const patience = { CC_REDIS_TIMEOUT_MS: process.env.CC_REDIS_TIMEOUT_MS ?? PATIENCE_MS, CC_MONGO_TIMEOUT_MS: process.env.CC_MONGO_TIMEOUT_MS ?? PATIENCE_MS, CC_MONGO_FAILOVER_MS: process.env.CC_MONGO_FAILOVER_MS ?? "0" };
    store = new Opened("servers", { CC_STORE_PATH: "", ...patience }, { defaults, isServers: true });
  } catch (error) {
    findings.problem(`${error.message} (${error.code})`, "docs/configuration.md has the variables");
    return { error: error.code };
  }
  try {
    const [one, other] = [await redis(store, findings), await mongo(store, findings)];
    return { redis: one, mongo: other };
  } finally {
    await store.close();
  }
}

module.exports = { examineServers };

"use strict";

// docker-compose.replica-set.yml: what it promises, and that three servers that are started with its words, and made a set by its
// health check, are one that the package goes on with when its primary dies. Docker itself is not needed.

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");
const { serial: test } = require("ava");
const YAML = require("yaml");
const { loadFor, root } = require("./support/addon.js");
const { interpolate } = require("./support/compose.js");
const { startMongo } = require("./support/mongo.js");
const { startRedis } = require("./support/redis.js");

const read = (file) => fs.readFileSync(path.join(root, file), "utf8");
const source = read("docker-compose.replica-set.yml");
const parse = (text) => interpolate(YAML.parse(text, { strict: true, uniqueKeys: true }), {});
const { services, volumes } = parse(source);
const MEMBERS = ["mongodb-1", "mongodb-2", "mongodb-3"];
const after = (words, name) => words[words.indexOf(name) + 1];

/** What the health check of a service does in a shell that knows this of the set; `{ initiated, code }`. */
function check(name, { status, hello }) {
  const told = { initiated: null, code: null };
  const rs = { status, initiate: (config) => void (told.initiated = config) };
  const script = services[name].healthcheck.test.at(-1);
  vm.runInNewContext(script, { rs, db: { hello: () => hello }, quit: (code) => void (told.code = code) });
  return told;
}

const none = () => {
  throw new Error("no replset config has been received");
};

test("the compose file of a replica set has Redis as the other has it, and three members, and only words that compose knows", (t) => {
  t.deepEqual(Object.keys(parse(source)), ["services", "volumes"]);
  t.deepEqual(Object.keys(services), ["redis", ...MEMBERS]);
  const other = parse(read("docker-compose.yml"));
  t.deepEqual(services.redis, other.services.redis);
  const known = ["image", "restart", "command", "environment", "ports", "volumes", "healthcheck", "network_mode"];
  for (const service of Object.values(services)) t.deepEqual(Object.keys(service).filter((word) => !known.includes(word)), []);
  for (const name of MEMBERS) t.is(services[name].image, other.services.mongodb.image);
});

test("members of the compose file listen on loopback alone, on the ports that they are known by, and keep their data", (t) => {
  const ports = MEMBERS.map((name) => after(services[name].command, "--port"));
  t.deepEqual(services["mongodb-1"].ports, ports.map((port) => `127.0.0.1:${port}:${port}`));
  // The others have the first one's network, and with it its ports.
  for (const name of MEMBERS.slice(1)) t.deepEqual([services[name].network_mode, services[name].ports], ["service:mongodb-1", undefined]);
  const mounted = MEMBERS.flatMap((name) => services[name].volumes.map((one) => one.split(":")));
  t.deepEqual(mounted.map(([, target]) => target), MEMBERS.flatMap(() => ["/data/db", "/data/configdb"]));
  t.deepEqual(mounted.map(([name]) => name).concat("redis-data").sort(), Object.keys(volumes).sort());
  const hosts = check("mongodb-1", { status: none, hello: {} }).initiated.members.map(({ host }) => host);
  t.deepEqual(hosts, ports.map((port) => `127.0.0.1:${port}`));
  t.true(source.includes(`mongodb://${hosts.join(",")}/backtest-pro?replicaSet=${after(services["mongodb-1"].command, "--replSet")}&w=majority`));
});

test("a member of the compose file is healthy when it knows a primary; the first one makes the set where there is none, and only then", (t) => {
  const hello = { primary: "127.0.0.1:27017" };
  t.deepEqual(check("mongodb-1", { status: () => ({ ok: 1 }), hello }), { initiated: null, code: 0 });
  t.is(check("mongodb-1", { status: none, hello: {} }).code, 1);
  for (const name of MEMBERS.slice(1)) {
    t.is(after(services[name].healthcheck.test, "--port"), after(services[name].command, "--port"));
    t.deepEqual(check(name, { status: none, hello }), { initiated: null, code: 0 });
    t.is(check(name, { status: none, hello: {} }).code, 1);
  }
});

test("servers with the compose file's words, and its configuration of the set, take writes, also when the primary is gone", async (t) => {
  const commands = MEMBERS.map((name) => services[name].command);
  for (const command of commands) t.is(command[0], "mongod");
  // The harness chooses port and address; what is left are the words of the set.
  const args = commands.map((words) => ["--replSet", after(words, "--replSet"), "--oplogSize", "64"]);
  const servers = await Promise.all(args.map((words) => startMongo({ args: words })));
  const redis = await startRedis();
  t.teardown(() => Promise.all([redis, ...servers].map((server) => server.stop())));
  const { initiated } = check("mongodb-1", { status: none, hello: {} });
  const members = initiated.members.map((member, i) => ({ ...member, host: `127.0.0.1:${servers[i].port}` }));
  const admin = { database: "admin" };
  await servers[0].command({ replSetInitiate: { ...initiated, members, settings: { electionTimeoutMillis: 1_000 } } }, admin);
  const url = `mongodb://${members.map(({ host }) => host).join(",")}/compose?replicaSet=${initiated._id}&w=majority`;
  const lib = loadFor(t, { CC_MONGO_CONNECTION_STRING: url, CC_REDIS_URL: redis.url });
  await lib.ioc.measureDbService.upsert("b", "k", { value: 1 });
  const { primary } = lib.health().mongo.topology;
  await servers.find(({ port }) => primary.endsWith(`:${port}`)).kill();
  await lib.ioc.measureDbService.upsert("b", "k", { value: 2 });
  t.is((await lib.ioc.measureDbService.findByKey("b", "k")).payload.value, 2);
  t.not(lib.health().mongo.topology.primary, primary);
});

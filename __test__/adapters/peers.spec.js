"use strict";

// getRedis() and getMongo(): the project's own ioredis and mongoose, with our configuration.

const { readFileSync } = require("node:fs");
const { serial: test } = require("ava");
const Redis = require("ioredis");
const mongoose = require("mongoose");
const { loadFor, loadFresh, outcome, recorder, until } = require("../support/addon.js");
const { MongoServer, startMongo } = require("../support/mongo.js");
const { makeProject } = require("../support/project.js");
const { Authority } = require("../support/certificates.js");
const { freePort, startRedis } = require("../support/redis.js");
const { secureServerFor } = require("../support/tls.js");

const own = { mongo: null, redis: null };

test.before(async () => {
  [own.mongo, own.redis] = await Promise.all([startMongo({ database: "backtest-kit" }), startRedis({ password: "ge:h@im" })]);
});
test.after.always(() => Promise.all([own.mongo?.stop(), own.redis?.stop()]));
test.afterEach.always(() => mongoose.disconnect());

const here = () => ({ CC_REDIS_URL: own.redis.url, CC_MONGO_CONNECTION_STRING: own.mongo.url });

test("getRedis() is the project's ioredis on our server, once, until clear()", async (t) => {
  const lib = loadFor(t, here());
  t.false(lib.getRedis.hasValue());
  const redis = lib.getRedis();
  t.true(redis instanceof Redis);
  t.true(lib.getRedis.hasValue());
  t.is(lib.getRedis(), redis);
  t.is(await redis.set("a", "1"), "OK");
  t.is(String(await own.redis.command("GET", "a")), "1");
  lib.getRedis.clear();
  t.false(lib.getRedis.hasValue());
  const other = lib.getRedis();
  t.not(other, redis);
  t.is(await redis.get("a"), "1", "clear() has closed nothing");
  await lib.close();
  for (const one of [redis, other]) {
    await until(() => one.status === "end", "close() closes what was opened here");
    t.regex(String((await outcome(one.get("a"))).error), /Connection is closed/);
  }
  t.false(lib.getRedis.hasValue());
});

test("getRedis() takes host, port, user and password, and the defaults of setup()", async (t) => {
  const { CC_REDIS_HOST, CC_REDIS_PORT } = own.redis.env;
  const lib = loadFor(t, { CC_REDIS_HOST, CC_REDIS_PORT, CC_REDIS_USER: "default", CC_REDIS_PASSWORD: "ge:h@im" });
  t.is(await lib.getRedis().ping(), "PONG");
  const open = await startRedis();
  t.teardown(() => open.stop());
  const other = loadFresh({ CC_REDIS_HOST, CC_REDIS_PORT: open.port });
  t.teardown(() => other.close());
  other.install({ PersistLogAdapter: { usePersistLogAdapter() {} } });
  const redis = other.getRedis();
  t.is(await redis.ping(), "PONG");
  t.deepEqual([redis.options.username, redis.options.password], [null, null]);
});

test("getRedis() takes a socket with a database", async (t) => {
  const lib = loadFor(t, { CC_REDIS_URL: `unix:${own.redis.socket}?user=default&pass=ge%3Ah%40im&db=3` });
  await lib.getRedis().set("in three", "1");
  t.is(await own.redis.cli("-n", "3", "GET", "in three"), "1");
});

test("getRedis() takes TLS: authorities and our certificate, as files and as text", async (t) => {
  const authority = new Authority();
  t.teardown(() => authority.remove());
  const server = await secureServerFor(t, authority, authority.issue("server"), { mutual: true });
  const { cert, key } = authority.issue("client");
  for (const read of [(file) => file, (file) => readFileSync(file, "utf8")]) {
    const files = { CC_REDIS_TLS_CA: read(authority.cert), CC_REDIS_TLS_CERT: read(cert), CC_REDIS_TLS_KEY: read(key) };
    t.is(await loadFor(t, { CC_REDIS_URL: server.secure(), ...files }).getRedis().ping(), "PONG");
  }
  const { code } = t.throws(() => loadFor(t, { CC_REDIS_URL: server.secure(), CC_REDIS_TLS_CA: "/no/such/file" }).getRedis());
  t.is(code, "INVALID_CONFIG");
});

test("close() waits for what ioredis has in flight", async (t) => {
  const lib = loadFor(t, here());
  const redis = lib.getRedis();
  await redis.ping();
  const sets = Array.from({ length: 500 }, (_, i) => redis.set(`flight-${i}`, "1"));
  await lib.close();
  t.deepEqual(new Set(await Promise.all(sets)), new Set(["OK"]));
});

test("a Redis that is away is told to the logger, and ends nothing", async (t) => {
  const lib = loadFor(t, { CC_REDIS_URL: `redis://127.0.0.1:${await freePort()}` });
  const logger = recorder();
  lib.setLogger(logger);
  lib.getRedis();
  await until(() => logger.calls.some(([level, topic]) => level === "warn" && topic.includes("getRedis")), "the logger is told");
  t.is(await lib.close(), undefined);
});

test("getMongo() is the project's mongoose, connected to our database, once, until clear()", async (t) => {
  const lib = loadFor(t, here());
  t.false(lib.getMongo.hasValue());
  const [one, two] = await Promise.all([lib.getMongo(), lib.getMongo()]);
  t.is(one, mongoose);
  t.is(two, mongoose);
  t.true(lib.getMongo.hasValue());
  t.is(mongoose.connection.readyState, 1);
  t.is(mongoose.connection.name, "backtest-kit");
  lib.getMongo.clear();
  t.false(lib.getMongo.hasValue());
  t.is(mongoose.connection.readyState, 1, "clear() closes nothing");
  t.is(await lib.getMongo(), mongoose);
  await lib.close();
  t.is(mongoose.connection.readyState, 0, "close() closes what was opened here");
});

test("a connection of mongoose that was open already is used and left alone", async (t) => {
  await mongoose.connect(own.mongo.urlOf("of-the-project"));
  const lib = loadFor(t, here());
  t.is((await lib.getMongo()).connection.name, "of-the-project");
  await lib.close();
  t.is(mongoose.connection.readyState, 1);
});

test("a connection of mongoose that is being opened is waited for and left alone", async (t) => {
  const connecting = mongoose.connect(own.mongo.urlOf("of-the-project"));
  const lib = loadFor(t, here());
  const { connection } = await lib.getMongo();
  t.deepEqual([connection.readyState, connection.name], [1, "of-the-project"]);
  await connecting;
  await lib.close();
  t.is(mongoose.connection.readyState, 1);
});

test("what the project opens after it has closed ours is left alone", async (t) => {
  const lib = loadFor(t, here());
  await lib.getMongo();
  await mongoose.disconnect();
  await mongoose.connect(own.mongo.urlOf("of-the-project"));
  await lib.close();
  t.is(mongoose.connection.readyState, 1);
});

test("without a MongoDB getMongo() rejects with a code, and a later call tries again", async (t) => {
  const server = new MongoServer({ port: await freePort(), database: "late" });
  t.teardown(() => server.stop());
  const lib = loadFor(t, { CC_MONGO_CONNECTION_STRING: server.url, CC_MONGO_TIMEOUT_MS: 300 });
  const { error } = await outcome(lib.getMongo());
  t.is(error?.code, "MONGO_UNAVAILABLE");
  t.truthy(error.cause);
  t.false(lib.getMongo.hasValue());
  await server.start();
  t.is((await lib.getMongo()).connection.name, "late");
});

test("a connection string that mongoose refuses is named, and shows no password", async (t) => {
  const lib = loadFor(t, { CC_MONGO_CONNECTION_STRING: "mongodb://user:s3cret@127.0.0.1/peers?loadBalanced=true&directConnection=true" });
  const { error } = await outcome(lib.getMongo());
  t.is(error?.code, "INVALID_CONFIG");
  t.regex(error.message, /^CC_MONGO_CONNECTION_STRING: /);
  t.false(`${error.message}${error.cause?.message}`.includes("s3cret"));
});

test("in a project without ioredis and mongoose the errors name the package to install", async (t) => {
  const { run } = makeProject(t, {
    files: {
      "main.cjs": `const { getMongo, getRedis } = require("backtest-kit-native");
        const told = []; const tell = ({ code, message }) => told.push([code, message]);
        try { getRedis(); } catch (error) { tell(error); }
        getMongo().catch(tell).then(() => console.log(JSON.stringify([told, getRedis.hasValue(), getMongo.hasValue()])));`,
    },
  });
  const [told, ...values] = await run("main.cjs");
  t.deepEqual(told, [
    ["PEER_NOT_FOUND", "getRedis() needs the package ioredis: npm install ioredis"],
    ["PEER_NOT_FOUND", "getMongo() needs the package mongoose: npm install mongoose"],
  ]);
  t.deepEqual(values, [false, false]);
});

test("where this package is linked, the packages are those of the project", async (t) => {
  const { run } = makeProject(t, {
    linked: true,
    files: {
      "node_modules/ioredis/package.json": JSON.stringify({ name: "ioredis", version: "5.0.0", main: "index.js" }),
      "node_modules/ioredis/index.js": `module.exports = class Redis { constructor(options) { this.options = options; } on() {} disconnect() {} };`,
      "main.cjs": `const lib = require("backtest-kit-native"); console.log(JSON.stringify(lib.getRedis().options));`,
    },
  });
  t.deepEqual(await run("main.cjs"), { host: "127.0.0.1", port: 6379, db: 0, username: "default", password: "mysecurepassword" });
});

"use strict";

// docker-compose.yml: what it promises about addresses, passwords, versions and data, and that Redis starts and is found
// healthy by the very words that stand there. Docker itself is not needed.

const fs = require("node:fs");
const path = require("node:path");
const { execFile } = require("node:child_process");
const { serial: test } = require("ava");
const YAML = require("yaml");
const { loadFresh, root } = require("./support/addon.js");
const { interpolate } = require("./support/compose.js");
const { startRedis } = require("./support/redis.js");

const source = fs.readFileSync(path.join(root, "docker-compose.yml"), "utf8");
const compose = (env = {}) => interpolate(YAML.parse(source, { strict: true, uniqueKeys: true }), env);
const { services, volumes } = compose();

/** The volume of `services[name]` that is mounted at a path. */
const volumeAt = (name, target) => services[name].volumes.map((one) => one.split(":")).find((one) => one[1] === target);

test("the compose file has Redis and MongoDB, and only words that compose knows", (t) => {
  t.deepEqual(Object.keys(compose()), ["services", "volumes"]);
  t.deepEqual(Object.keys(services), ["redis", "mongodb"]);
  const known = ["image", "restart", "command", "environment", "ports", "volumes", "healthcheck"];
  for (const service of Object.values(services)) {
    t.deepEqual(Object.keys(service).filter((word) => !known.includes(word)), []);
  }
});

test("the compose file names the versions: Redis 7.4 and MongoDB 8.0", (t) => {
  t.is(services.redis.image, "redis:7.4");
  t.is(services.mongodb.image, "mongo:8.0");
});

test("every port of the compose file is bound to the loopback address", (t) => {
  t.deepEqual(services.redis.ports, ["127.0.0.1:6379:6379"]);
  t.deepEqual(services.mongodb.ports, ["127.0.0.1:27017:27017"]);
  for (const service of Object.values(compose({ CC_REDIS_PORT: "7777" }).services)) {
    for (const port of service.ports) t.regex(port, /^127\.0\.0\.1:\d+:\d+$/);
  }
  t.deepEqual(compose({ CC_REDIS_PORT: "7777" }).services.redis.ports, ["127.0.0.1:7777:6379"]);
});

test("Redis takes its password from the environment, and both services keep their data in named volumes", (t) => {
  const password = (env) => compose(env).services.redis.command.at(-1);
  t.is(services.redis.command.at(-2), "--requirepass");
  t.is(password({}), "mysecurepassword");
  t.is(password({ CC_REDIS_PASSWORD: "" }), "mysecurepassword");
  t.is(password({ CC_REDIS_PASSWORD: "o'ther \"one\" $HOME" }), "o'ther \"one\" $HOME");
  t.is(compose({ CC_REDIS_PASSWORD: "other" }).services.redis.environment.REDISCLI_AUTH, "other");
  t.deepEqual(
    [volumeAt("redis", "/data"), volumeAt("mongodb", "/data/db")].map(([name]) => name in volumes),
    [true, true],
  );
  // No login of MongoDB: the connection string of the original has none.
  t.false(/MONGO_INITDB/.test(source));
});

test("every service of the compose file has a health check with limits", (t) => {
  for (const { healthcheck } of Object.values(services)) {
    t.true(["CMD", "CMD-SHELL"].includes(healthcheck.test[0]));
    for (const limit of ["interval", "timeout"]) t.regex(healthcheck[limit], /^\d+s$/);
    t.true(healthcheck.retries > 0);
  }
  t.is(services.mongodb.healthcheck.test[1], "mongosh");
});

/** Runs the health check of Redis against a server; the container's port 6379 becomes that of the server. */
function checkHealth(port, env) {
  const [kind, command] = compose(env).services.redis.healthcheck.test;
  if (kind !== "CMD-SHELL") throw new Error("the test runs shell commands");
  const words = command.replace(/^redis-cli /, `redis-cli -p ${port} `);
  const environment = { PATH: process.env.PATH, ...compose(env).services.redis.environment };
  return new Promise((resolve) => {
    execFile("/bin/sh", ["-c", words], { env: environment }, (error) => resolve(error ? error.code : 0));
  });
}

for (const password of ["", "o'ther \"one\" $HOME `ls`; # \\"]) {
  const env = { CC_REDIS_PASSWORD: password };
  test(`Redis starts with the compose file's words and is healthy, with the password ${password || "left out"}`, async (t) => {
    const [program, ...args] = compose(env).services.redis.command;
    t.is(program, "redis-server");
    const given = args.at(-1);
    const server = await startRedis({ password: given, args });
    t.teardown(() => server.stop());
    t.is(await checkHealth(server.port, env), 0);
    t.not(await checkHealth(server.port, { CC_REDIS_PASSWORD: "wrong" }), 0);

    const lib = loadFresh({ CC_REDIS_URL: "", CC_REDIS_PORT: server.port, CC_REDIS_PASSWORD: password });
    t.teardown(() => lib.close());
    t.is(await lib.ioc.redisService.waitForInit(), undefined);
  });
}

test("the health check fails while no Redis listens", async (t) => {
  const server = await startRedis();
  const { port } = server;
  await server.stop();
  t.not(await checkHealth(port, {}), 0);
});

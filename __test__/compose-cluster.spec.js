"use strict";

// docker-compose.cluster.yml: what it promises, and that six servers that are started with its words, and made a cluster by its health
// check, are one that the package uses. Docker itself is not needed.

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { serial: test } = require("ava");
const YAML = require("yaml");
const { loadFor, root } = require("./support/addon.js");
const { interpolate } = require("./support/compose.js");
const { startRedis, freePort } = require("./support/redis.js");
const { until } = require("./support/sentinels.js");

const read = (file) => fs.readFileSync(path.join(root, file), "utf8");
const source = read("docker-compose.cluster.yml");
const parse = (text, env = {}) => interpolate(YAML.parse(text, { strict: true, uniqueKeys: true }), env);
const { services, volumes } = parse(source);
const NODES = [1, 2, 3, 4, 5, 6].map((number) => `redis-${number}`);
const after = (words, name) => words[words.indexOf(name) + 1];
const scriptOf = (name) => services[name].healthcheck.test.at(-1);

test("the compose file of a cluster has MongoDB as the other has it, and six nodes, and only words that compose knows", (t) => {
  t.deepEqual(Object.keys(parse(source)), ["services", "volumes"]);
  t.deepEqual(Object.keys(services), [...NODES, "mongodb"]);
  const other = parse(read("docker-compose.yml"));
  t.deepEqual(services.mongodb, other.services.mongodb);
  const known = ["image", "restart", "command", "environment", "ports", "volumes", "healthcheck", "network_mode"];
  for (const service of Object.values(services)) t.deepEqual(Object.keys(service).filter((word) => !known.includes(word)), []);
  for (const name of NODES) {
    t.is(services[name].image, other.services.redis.image);
    t.deepEqual(services[name].environment, other.services.redis.environment);
  }
});

test("nodes of the compose file listen on loopback alone, on the ports that they are known by, and keep their data", (t) => {
  const ports = NODES.map((name) => after(services[name].command, "--port"));
  t.deepEqual(services["redis-1"].ports, ports.map((port) => `127.0.0.1:${port}:${port}`));
  for (const name of NODES.slice(1)) t.deepEqual([services[name].network_mode, services[name].ports], ["service:redis-1", undefined]);
  const mounted = NODES.flatMap((name) => services[name].volumes.map((one) => one.split(":")));
  t.deepEqual(mounted.map(([, target]) => target), NODES.map(() => "/data"));
  t.deepEqual(mounted.map(([name]) => name).concat("mongodb-data", "mongodb-config").sort(), Object.keys(volumes).sort());
  for (const port of ports) t.true(scriptOf("redis-1").includes(` 127.0.0.1:${port} `));
  NODES.forEach((name, i) => t.true(scriptOf(name).includes(`-p ${ports[i]} `)));
  t.true(source.includes(`redis+cluster://:mysecurepassword@${ports.slice(0, 3).map((port) => `127.0.0.1:${port}`).join(",")}`));
});

test("the password of the compose file's nodes is that of the environment, and an empty one counts as unset", (t) => {
  for (const [env, password] of [[{}, "mysecurepassword"], [{ CC_REDIS_PASSWORD: "" }, "mysecurepassword"], [{ CC_REDIS_PASSWORD: "other" }, "other"]]) {
    for (const name of NODES) {
      const { command, environment } = parse(source, env).services[name];
      t.deepEqual([after(command, "--requirepass"), after(command, "--masterauth"), environment.REDISCLI_AUTH], [password, password, password]);
    }
  }
});

test("servers with the compose file's words are made a cluster by its health check, once, and the package uses it", async (t) => {
  t.timeout(60_000);
  // The harness chooses port, address and folder; what is left are the words of the cluster.
  const start = async (name) => {
    const { command } = services[name];
    t.is(command[0], "redis-server");
    const words = command.slice(command.indexOf("--masterauth"));
    return startRedis({ password: after(command, "--requirepass"), args: [...words, "--cluster-port", String(await freePort())] });
  };
  const servers = await Promise.all(NODES.map(start));
  t.teardown(() => Promise.all(servers.map((server) => server.stop())));
  const healthy = (name) => {
    const script = NODES.reduce((text, one, i) => text.replaceAll(after(services[one].command, "--port"), String(servers[i].port)), scriptOf(name));
    return spawnSync("sh", ["-c", script], { env: { ...process.env, ...services[name].environment }, encoding: "utf8" });
  };
  t.not(healthy("redis-2").status, 0);
  healthy("redis-1");
  await until("all are healthy", () => NODES.every((name) => healthy(name).status === 0));
  const epoch = async () => String(await servers[0].command("CLUSTER", "INFO")).match(/cluster_current_epoch:(\d+)/)[1];
  const before = await epoch();
  t.is(healthy("redis-1").status, 0);
  t.is(await epoch(), before, "it is not made anew");
  const hosts = servers.slice(0, 3).map(({ port }) => `127.0.0.1:${port}`).join(",");
  const lib = loadFor(t, { CC_REDIS_URL: `redis+cluster://:${after(services["redis-1"].command, "--requirepass")}@${hosts}` });
  const map = new lib.BaseMap("compose");
  await Promise.all(Array.from({ length: 30 }, (_, i) => map.set(`k${i}`, String(i))));
  t.is(await map.size(), 30);
});

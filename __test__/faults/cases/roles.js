"use strict";

// Servers that answer, but cannot serve now: replicas after a failover (READONLY), replicas without a master
// (MASTERDOWN), servers that are loading (LOADING). These replies are not a call's fate: it is made again until its
// deadline.

const { assert, range, sleep, until } = require("../scene.js");
const { bulk, hello } = require("../../support/fake-redis.js");
const { connect } = require("../../support/resp.js");

/** A master, its replica in step with it, and a proxy before the master: a name that can be moved. */
async function pair(scene, config) {
  // Without the delay the first synchronization waits five seconds for other replicas.
  const args = ["--repl-diskless-sync-delay", "0"];
  const first = await scene.server({ args });
  const second = await scene.server({ args: [...args, "--replicaof", first.host, String(first.port)] });
  await inStep(second);
  const proxy = await scene.proxy(first);
  return { first, second, proxy, lib: scene.client(proxy, config) };
}

/** Waits until a replica follows its master. */
function inStep(replica) {
  return until(async () => /master_link_status:up/.test(await replica.command("INFO", "replication")), "the replica follows", 20_000);
}

/** Makes the replica the master and the master its replica, as a failover does; the name moves `gapMs` later. */
async function failover({ first, second, proxy }, gapMs) {
  await second.command("REPLICAOF", "NO", "ONE");
  await first.command("REPLICAOF", second.host, second.port);
  await sleep(gapMs);
  proxy.point(second);
}

/** The reply that a server gives while it cannot serve. */
const WORDS = {
  READONLY: "-READONLY You can't write against a read only replica.\r\n",
  LOADING: "-LOADING Redis is loading the dataset in memory\r\n",
  MASTERDOWN: "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
};

const forAWhile = Object.entries(WORDS).map(([name, words]) => ({
  title: `a server that answers ${name} for a second costs no call`,
  injected: `fake server, ${name} in place of every answer for 1 s`,
  quick: name === "READONLY",
  async run(scene) {
    let healed = Infinity;
    const values = new Map();
    const fake = await scene.fake(([command, key, value]) => {
      if (performance.now() < healed) return words;
      if (command === "GET") return values.has(key) ? bulk(values.get(key)) : "$-1\r\n";
      values.set(key, value);
      return "+OK\r\n";
    });
    const map = new (scene.client(fake).BaseMap)("ns", -1);
    healed = performance.now() + 1000;
    const sets = range(50).map((i) => scene.timed(map.set(`k${i}`, `v${i}`)));
    // Written twice: the later value must win, however often both are sent.
    const twice = [map.set("twice", "first"), map.set("twice", "second")].map((call) => scene.timed(call));
    for (const result of await Promise.all(sets)) scene.answered(result);
    scene.healed(performance.now() - healed);
    for (const result of await Promise.all(twice)) scene.answered(result);
    assert.deepEqual(await Promise.all(range(50).map((i) => map.get(`k${i}`))), range(50).map((i) => `v${i}`));
    assert.equal(await map.get("twice"), "second");
    scene.see(`${fake.commands.length} commands for 103 calls over ${fake.connections} connections`);
    // Each call is sent at most every few milliseconds: retries need a pause.
    assert.ok(fake.commands.length < 103 * 60, `${fake.commands.length} commands`);
  },
}));

const forEver = Object.entries(WORDS).map(([name, words]) => ({
  title: `a server that answers ${name} for ever rejects at the deadline with its words, and is not hammered`,
  injected: `fake server, ${name} in place of every answer; deadline 1 s`,
  quick: name === "READONLY",
  async run(scene) {
    const fake = await scene.fake(() => words, ([command], socket, id) => (command === "HELLO" ? hello(id) : "+OK\r\n"));
    const map = new (scene.client(fake, { CC_REDIS_TIMEOUT_MS: 1000 }).BaseMap)("ns", -1);
    const results = await Promise.all(range(20).map((i) => scene.timed(map.set(`k${i}`, "v"))));
    for (const { error, ms } of results) {
      assert.ok(error?.message.startsWith(name), String(error));
      assert.equal(error.code, "REDIS_UNAVAILABLE");
      scene.inTime(ms);
    }
    scene.see(`${fake.commands.length} commands for 20 calls over ${fake.connections} connections, then ${name}`);
    assert.ok(fake.commands.length > 20, "calls were made again");
    assert.ok(fake.connections <= 60 && fake.commands.length < 20 * 60, "with pauses");
  },
}));

module.exports = [
  ...forAWhile,
  ...forEver,
  {
    title: "a failover under load costs no call, whether the name moves at once or later",
    injected: "REPLICAOF: the master becomes the replica; the name moves after 0 s, then back after 1 s",
    quick: true,
    async run(scene) {
      const { first, second, proxy, lib } = await pair(scene);
      const load = scene.load(lib);
      await load.recovered();
      for (const [from, to, gapMs] of [[first, second, 0], [second, first, 1000]]) {
        // Replication is asynchronous: what the old master took last may be gone.
        load.rewound();
        await failover({ first: from, second: to, proxy }, gapMs);
        load.rewound();
        scene.healed(await load.recovered());
        await inStep(from);
      }
      await scene.judge(load);
      assert.match(String(await first.command("INFO", "replication")), /role:master/);
    },
  },
  {
    title: "writes of one tick keep their order through a failover",
    injected: "REPLICAOF, the name moved after 0.5 s; 200 writes to one key meanwhile",
    async run(scene) {
      const servers = await pair(scene);
      const map = new servers.lib.BaseMap("ns", -1);
      await map.set("k", "before");
      const moving = failover(servers, 500);
      await sleep(100);
      const sets = range(200).map((i) => scene.timed(map.set("k", `v${i}`)));
      const others = range(200).map((i) => scene.timed(map.set(`k${i}`, `v${i}`)));
      await moving;
      for (const result of await Promise.all([...sets, ...others])) scene.answered(result);
      assert.equal(String(await servers.second.command("GET", "ns:k")), "v199");
      for (const i of range(200)) assert.equal(await map.get(`k${i}`), `v${i}`);
      scene.see("400 writes, all there, the last of one key last");
    },
  },
  {
    title: "a replica without its master costs no call when the master returns",
    injected: "replica-serve-stale-data no, master killed, back after 1 s",
    async run(scene) {
      const { first, second } = await pair(scene);
      await second.command("CONFIG", "SET", "replica-serve-stale-data", "no");
      await first.command("SET", "ns:k", "v");
      const map = new (scene.client(second).BaseMap)("ns", -1);
      await until(async () => (await map.get("k")) === "v", "the replica has the value");
      await first.kill("SIGKILL");
      const direct = () => second.command("GET", "ns:k");
      await until(async () => String(await direct()).includes("MASTERDOWN"), "the replica notices");
      const calls = range(50).map(() => scene.timed(map.get("k")));
      await sleep(1000);
      await first.start();
      await until(async () => !((await direct()) instanceof Error), "the replica serves again", 20_000);
      const back = performance.now();
      // The master came back empty.
      for (const result of await Promise.all(calls)) assert.equal(scene.answered(result), null);
      scene.healed(performance.now() - back);
      scene.see("50 calls, none rejected");
    },
  },
  {
    title: "a server that loads its data for seconds costs no call",
    injected: "restart with 3,000 keys that take a millisecond each to load",
    async run(scene) {
      const server = await scene.server();
      const map = new (scene.client(server).BaseMap)("ns", -1);
      await Promise.all(range(3000).map((i) => map.set(`k${i}`, `v${i}`)));
      await server.command("SAVE");
      server.options.args = ["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"];
      await server.restart();
      const direct = () => server.command("GET", "ns:k1");
      assert.match(String(await direct()), /LOADING/, "the server is loading");
      const calls = range(100).map((i) => scene.timed(map.get(`k${i}`)));
      await until(async () => !((await direct()) instanceof Error), "the server has loaded", 20_000);
      const back = performance.now();
      for (const [i, result] of (await Promise.all(calls)).entries()) assert.equal(scene.answered(result), `v${i}`);
      scene.healed(performance.now() - back);
      scene.see("100 calls, none rejected");
    },
  },
  {
    title: "a server that is busy with a script costs no call",
    injected: "a script that runs for 2 s, BUSY after 50 ms",
    async run(scene) {
      const server = await scene.server({ args: ["--lua-time-limit", "50"] });
      const load = scene.load(scene.client(server));
      await load.recovered();
      const other = await connect(server);
      scene.endings.push(async () => other.close());
      const script = other.command("EVAL", "while true do end", "0");
      await sleep(2000);
      await server.command("SCRIPT", "KILL");
      assert.ok((await script) instanceof Error, "the script was ended");
      scene.healed(await load.recovered());
      await scene.judge(load);
    },
  },
  {
    title: "a server that pauses its clients costs no call, nor does a connection that is lost meanwhile",
    injected: "CLIENT PAUSE 2 s, then once more with the connection killed before",
    async run(scene) {
      const server = await scene.server();
      const load = scene.load(scene.client(server));
      for (const kill of [false, true]) {
        await load.recovered();
        if (kill) await server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
        await server.command("CLIENT", "PAUSE", "2000", "ALL");
        await sleep(2000);
        scene.healed(await load.recovered());
      }
      await scene.judge(load);
    },
  },
];

"use strict";

// Faults of the server: away, killed, restarted empty, paused, full, and connections that it ends.

const { assert, range, sleep, freePort, outcome } = require("../scene.js");
const { startRedis } = require("../../support/redis.js");
const { connectionsOf, killConnections } = require("../../support/addon.js");

const WAITING = ["REDIS_UNAVAILABLE", "REDIS_TIMEOUT"];

module.exports = [
  {
    title: "calls to a server that is absent at the start reject at their deadline, and succeed within a second of its coming",
    injected: "nobody listens for 1.2 s",
    quick: true,
    async run(scene) {
      const port = await freePort();
      const load = scene.load(scene.client({ port }, { CC_REDIS_TIMEOUT_MS: 500 }));
      await sleep(1200);
      assert.ok(load.rejections >= 20, "calls were rejected meanwhile");
      await scene.own(startRedis({ port }), (server) => server.stop());
      scene.healed(await load.recovered());
      await scene.judge(load, ["REDIS_UNAVAILABLE"]);
    },
  },
  {
    title: "calls under way when the server is killed are answered by its successor, and never wrongly",
    injected: "SIGKILL under load, three times, back after 0.5 s and empty",
    quick: true,
    async run(scene) {
      const server = await scene.server();
      const load = scene.load(scene.client(server));
      await load.recovered();
      for (let round = 0; round < 3; round++) {
        load.wiped();
        await server.kill("SIGKILL");
        await sleep(500);
        await server.start();
        load.wiped();
        scene.healed(await load.recovered());
      }
      await scene.judge(load);
    },
  },
  {
    title: "a server that stays away rejects every call at its deadline, and memory stays flat",
    injected: "SIGKILL under load, away for 20 s",
    async run(scene) {
      const server = await scene.server();
      const load = scene.load(scene.client(server, { CC_REDIS_TIMEOUT_MS: 300 }), { workers: 200 });
      await load.recovered();
      load.wiped();
      await server.kill("SIGKILL");
      await sleep(4000);
      const before = scene.memory();
      await sleep(16_000);
      const growth = scene.memory() - before;
      scene.see(`memory ${growth >= 0 ? "+" : ""}${growth.toFixed(1)} MiB`);
      await server.start();
      load.wiped();
      scene.healed(await load.recovered());
      await scene.judge(load, WAITING);
      assert.ok(growth < 16, `memory grew by ${growth.toFixed(1)} MiB in 16 s without a server`);
    },
  },
  {
    title: "a server that is paused for five seconds costs no call that has ten",
    injected: "SIGSTOP, 5 s, SIGCONT",
    async run(scene) {
      const server = await scene.server();
      const load = scene.load(scene.client(server));
      await load.recovered();
      await server.kill("SIGSTOP");
      await sleep(5000);
      await server.kill("SIGCONT");
      scene.healed(await load.recovered());
      await scene.judge(load);
    },
  },
  {
    title: "calls to a paused server reject at their deadline, and the next are right",
    injected: "SIGSTOP, 1 s, SIGCONT; deadline 300 ms",
    quick: true,
    async run(scene) {
      const server = await scene.server();
      const load = scene.load(scene.client(server, { CC_REDIS_TIMEOUT_MS: 300 }));
      await load.recovered();
      await server.kill("SIGSTOP");
      await sleep(1000);
      assert.ok(load.rejections > 0, "calls were rejected meanwhile");
      await server.kill("SIGCONT");
      scene.healed(await load.recovered());
      await scene.judge(load, WAITING);
    },
  },
  {
    title: "a full server rejects writes with OOM at once, and reads go on",
    injected: "maxmemory 1 for 1 s, under load",
    quick: true,
    async run(scene) {
      const server = await scene.server();
      const load = scene.load(scene.client(server));
      await load.recovered();
      await server.command("CONFIG", "SET", "maxmemory", "1");
      await sleep(1000);
      await server.command("CONFIG", "SET", "maxmemory", "0");
      scene.healed(await load.recovered());
      await scene.judge(load, ["REDIS_REPLY"]);
      assert.match(load.messages.REDIS_REPLY, /^set: OOM command not allowed/);
    },
  },
  {
    title: "a storm of CLIENT KILL rejects nothing",
    injected: "all our connections killed every 10 ms, for 2 s",
    quick: true,
    async run(scene) {
      const server = await scene.server();
      const lib = scene.client(server);
      const load = scene.load(lib);
      await load.recovered();
      const end = performance.now() + 2000;
      while (performance.now() < end) {
        await killConnections(server);
        await sleep(10);
      }
      scene.healed(await load.recovered());
      await scene.judge(load);
      scene.see(`${lib.stats().redis.losses} connections lost`);
      assert.ok(lib.stats().redis.losses >= 20, "connections were lost");
      assert.equal((await connectionsOf(server)).length, 1);
    },
  },
  {
    title: "a wrong password rejects at once and without a flood of attempts, and heals when the server takes it",
    injected: "password changed on the server and connections killed; changed back after 1.5 s",
    quick: true,
    async run(scene) {
      const server = await scene.server({ password: "first" });
      const lib = scene.client(server, { CC_REDIS_TIMEOUT_MS: 5000 });
      const load = scene.load(lib);
      await load.recovered();
      await server.command("CONFIG", "SET", "requirepass", "second");
      await killConnections(server);
      await sleep(300);
      const refused = await server.command("INFO", "stats");
      await sleep(1200);
      const since = (text) => Number(/total_connections_received:(\d+)/.exec(String(text))[1]);
      const attempts = since(await server.command("INFO", "stats")) - since(refused);
      scene.see(`${(attempts / 1.2).toFixed(1)} attempts a second while refused`);
      await server.command("CONFIG", "SET", "requirepass", "first");
      scene.healed(await load.recovered());
      await scene.judge(load, ["REDIS_AUTH"]);
      assert.ok(load.errors.REDIS_AUTH > 0, "calls were rejected meanwhile");
      assert.ok(attempts <= 25, `${attempts} attempts in 1.2 s`);
      assert.ok(load.worstMs < 5000, `a rejection took ${Math.round(load.worstMs)} ms`);
    },
  },
  {
    title: "calls that the server never read are not run by it after their successors",
    injected: "SIGSTOP, calls expire, newer ones are made, SIGCONT; twenty times",
    async run(scene) {
      const server = await scene.server();
      const lib = scene.client(server, { CC_REDIS_TIMEOUT_MS: 200 });
      const map = new lib.BaseMap("ns", -1);
      for (let round = 0; round < 20; round++) {
        await map.set("k", `first ${round}`);
        await server.kill("SIGSTOP");
        const late = await Promise.all(range(500).map((i) => scene.timed(map.set("k", `late ${round} ${i}`))));
        for (const { error, ms } of late) {
          assert.ok(WAITING.includes(error?.code), String(error));
          scene.inTime(ms);
        }
        const last = outcome(map.set("k", `last ${round}`));
        await server.kill("SIGCONT");
        const { error } = await last;
        await sleep(50);
        const found = String(await server.command("GET", "ns:k"));
        // Where the last one was rejected too, it is open which of them ran.
        if (error) assert.ok(WAITING.includes(error.code), String(error));
        else assert.equal(found, `last ${round}`);
      }
      scene.see("the last write won each time");
    },
  },
  {
    title: "a server that takes no more clients is asked again until it does",
    injected: "maxclients reached, connection killed, raised again after 1 s",
    async run(scene) {
      const server = await scene.server();
      const load = scene.load(scene.client(server));
      await load.recovered();
      await server.command("CONFIG", "SET", "maxclients", "1");
      await killConnections(server);
      await sleep(1000);
      await server.command("CONFIG", "SET", "maxclients", "1000");
      scene.healed(await load.recovered());
      await scene.judge(load);
    },
  },
  {
    title: "a server that is paused in the middle of a large request gets it whole",
    injected: "SIGSTOP when some of 30 MB were sent, 5 s, SIGCONT; small calls behind it",
    async run(scene) {
      const server = await scene.server();
      const lib = scene.client(server, { CC_REDIS_TIMEOUT_MS: 20_000 });
      const map = new lib.BaseMap("ns", -1);
      await map.set("k", "v");
      const text = "0123456789".repeat(3_000_000);
      await server.kill("SIGSTOP");
      const large = scene.timed(map.set("large", text));
      const small = range(50).map((i) => scene.timed(map.set(`k${i}`, `v${i}`)));
      await sleep(5000);
      await server.kill("SIGCONT");
      const back = performance.now();
      for (const result of await Promise.all([large, ...small])) scene.answered(result);
      scene.healed(performance.now() - back);
      scene.see(`${lib.stats().redis.losses} connections lost`);
      assert.equal(await server.command("STRLEN", "ns:large"), text.length);
      for (const i of range(50)) assert.equal(await map.get(`k${i}`), `v${i}`);
    },
  },
];

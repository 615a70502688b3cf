"use strict";

// Faults of the network, through a proxy: mute, slow, lossy, cut.

const { assert, range, sleep } = require("../scene.js");

const WAITING = ["REDIS_UNAVAILABLE", "REDIS_TIMEOUT"];

/** A server, a proxy in front of it and a client behind that. */
async function chain(scene, config) {
  const server = await scene.server();
  const proxy = await scene.proxy(server);
  return { server, proxy, lib: scene.client(proxy, config) };
}

/** One case for each direction in which a live connection falls mute under load. */
const halfOpen = ["up", "down", "both"].map((direction) => ({
  title: `a connection that loses all bytes (${direction}) is noticed within three seconds, and no call is rejected`,
  injected: `half-open: ${{ up: "requests", down: "replies", both: "both" }[direction]} swallowed while ready, sockets open`,
  quick: direction === "down",
  async run(scene) {
    const { proxy, lib } = await chain(scene);
    const load = scene.load(lib);
    await load.recovered();
    proxy.strand(direction);
    const ms = await load.recovered(performance.now(), 15_000);
    scene.see(`noticed after ${Math.round(ms)} ms`);
    await scene.judge(load);
    scene.noticed(ms);
    assert.equal(lib.stats().redis.losses, 1, "one connection was given up, and no other");
  },
}));

module.exports = [
  ...halfOpen,
  {
    title: "a connection that fell mute while nobody asked is noticed within three seconds of the next call",
    injected: "half-open, both directions, 5 s idle before and after",
    async run(scene) {
      const { proxy, lib } = await chain(scene, { CC_NEAR_CACHE: "off" });
      const map = new lib.BaseMap("ns", -1);
      await map.set("k", "v");
      await sleep(5000);
      proxy.strand();
      await sleep(5000);
      const { ms, ...result } = await scene.timed(map.get("k"));
      scene.see(`${result.error?.code ?? "answered"} after ${Math.round(ms)} ms`);
      assert.equal(scene.answered({ ms, ...result }), "v");
      scene.noticed(ms);
    },
  },
  {
    title: "a server that accepts and never answers rejects calls at their deadline, and memory stays flat",
    injected: "black hole from the start, for 12 s; deadline 500 ms",
    async run(scene) {
      const server = await scene.server();
      const proxy = await scene.proxy(server);
      proxy.blackHole();
      const load = scene.load(scene.client(proxy, { CC_REDIS_TIMEOUT_MS: 500 }), { workers: 100 });
      await sleep(3000);
      const before = scene.memory();
      await sleep(9000);
      const growth = scene.memory() - before;
      scene.see(`${proxy.accepted} connections in 12 s, memory ${growth.toFixed(1)} MiB`);
      await proxy.heal();
      scene.healed(await load.recovered());
      await scene.judge(load, WAITING);
      assert.ok(growth < 16, `memory grew by ${growth.toFixed(1)} MiB`);
    },
  },
  {
    title: "a first connection that is never answered costs a call a second and not its deadline",
    injected: "black hole for the first connection only",
    async run(scene) {
      const server = await scene.server();
      const proxy = await scene.proxy(server);
      proxy.blackHole();
      const lib = scene.client(proxy);
      const call = scene.timed(new lib.BaseMap("ns", -1).get("k"));
      while (proxy.accepted === 0) await sleep(5);
      await proxy.heal();
      const result = await call;
      const { ms } = result;
      assert.equal(scene.answered(result), null);
      scene.see(`answered after ${Math.round(ms)} ms`);
      scene.healed(ms);
    },
  },
  {
    title: "a slow link is no fault: every call is answered over one connection",
    injected: "100 ms each way, for 2 s",
    quick: true,
    async run(scene) {
      const { proxy, lib } = await chain(scene);
      proxy.delay(100);
      const load = scene.load(lib);
      await sleep(2000);
      await scene.judge(load);
      assert.equal(lib.stats().redis.losses, 0, "the connection was kept");
    },
  },
  {
    title: "a link by which each round trip takes a second is no fault, neither for the handshake",
    injected: "500 ms each way, from the start",
    async run(scene) {
      const { proxy, lib } = await chain(scene, { CC_REDIS_TIMEOUT_MS: 20_000 });
      proxy.delay(500);
      const load = scene.load(lib);
      await load.recovered();
      await sleep(5000);
      await scene.judge(load);
      assert.equal(lib.stats().redis.losses, 0, "the connection was kept");
    },
  },
  {
    title: "blocked JavaScript is no mute connection",
    injected: "a loop of 5 s while calls are under way, twice",
    async run(scene) {
      const { lib } = await chain(scene);
      const map = new lib.BaseMap("ns", -1);
      await map.set("k", "v");
      for (let round = 0; round < 2; round++) {
        const calls = range(100).map(() => scene.timed(map.get("k")));
        await new Promise(setImmediate);
        const end = performance.now() + 5000;
        while (performance.now() < end);
        for (const result of await Promise.all(calls)) assert.equal(scene.answered(result), "v");
      }
      scene.see("200 calls, none rejected");
      assert.equal(lib.stats().redis.losses, 0, "the connection was kept");
    },
  },
  {
    title: "a link so slow that a reply takes longer than three seconds is no fault while bytes come",
    injected: "100 kB a second, a value of 600 kB",
    async run(scene) {
      const { proxy, lib } = await chain(scene, { CC_REDIS_TIMEOUT_MS: 30_000 });
      const map = new lib.BaseMap("ns", -1);
      const text = "0123456789".repeat(60_000);
      await map.set("k", text);
      proxy.throttle(100_000);
      const result = await scene.timed(map.get("k"));
      const { ms } = result;
      assert.ok(scene.answered(result) === text, "the value is whole");
      scene.see(`it took ${Math.round(ms)} ms`);
      assert.ok(ms > 3500, "it took longer than the watchdog waits");
      assert.equal(lib.stats().redis.losses, 0, "the connection was kept");
    },
  },
  {
    title: "a link so slow that a request takes longer than three seconds is no fault while bytes go",
    injected: "4 MB a second upwards, a value of 30 MB",
    async run(scene) {
      const { server, proxy, lib } = await chain(scene, { CC_REDIS_TIMEOUT_MS: 60_000 });
      const map = new lib.BaseMap("ns", -1);
      await map.set("first", "v");
      proxy.throttle(4_000_000, "up");
      const text = "0123456789".repeat(3_000_000);
      const result = await scene.timed(map.set("k", text));
      scene.answered(result);
      scene.see(`it took ${Math.round(result.ms)} ms, ${lib.stats().redis.losses} connections lost`);
      assert.equal(String(await server.command("STRLEN", "ns:k")), String(text.length));
      assert.ok(result.ms > 3500, "it took longer than the watchdog waits");
      assert.equal(lib.stats().redis.losses, 0, "the connection was kept");
    },
  },
  {
    title: "connections that are reset at any byte of the replies cost no call and no right answer",
    injected: "reset after 1 to 3,000 bytes of replies, 2 s long",
    quick: true,
    async run(scene) {
      const { proxy, lib } = await chain(scene);
      const load = scene.load(lib);
      await load.recovered();
      // Drawn once for each connection; the first hundreds of bytes are the handshake's.
      const bounds = new WeakMap();
      proxy.resetAfter((flow) => {
        if (!bounds.has(flow)) bounds.set(flow, 1 + Math.floor(Math.random() * 3000));
        return bounds.get(flow);
      });
      await sleep(2000);
      await proxy.heal();
      scene.healed(await load.recovered());
      scene.see(`${lib.stats().redis.losses} connections lost`);
      await scene.judge(load);
      assert.ok(lib.stats().redis.losses >= 5, "connections were lost");
    },
  },
  {
    title: "a large reply that is cut in its middle comes whole over the next connection",
    injected: "reset after 1 MB, 2 MB … of a reply of 5 MB",
    quick: true,
    async run(scene) {
      const { proxy, lib } = await chain(scene);
      const map = new lib.BaseMap("ns", -1);
      const text = "0123456789".repeat(500_000);
      await map.set("k", text);
      let cuts = 0;
      proxy.resetAfter(() => (cuts < 4 ? 1_000_000 * (cuts + 1) : Infinity));
      const accepted = proxy.accepted;
      const timer = setInterval(() => (cuts = proxy.accepted - accepted), 1);
      const result = await scene.timed(map.get("k"));
      clearInterval(timer);
      assert.ok(scene.answered(result) === text, "the value is whole");
      scene.see(`${lib.stats().redis.losses} connections lost`);
      assert.ok(lib.stats().redis.losses >= 3, "connections were lost");
    },
  },
  {
    title: "garbage in place of replies is never taken for an answer",
    injected: "one reply packet in twenty replaced by random bytes, for 2 s",
    quick: true,
    async run(scene) {
      const { proxy, lib } = await chain(scene, { CC_REDIS_TIMEOUT_MS: 2000 });
      const load = scene.load(lib);
      await load.recovered();
      // Bytes above 0x7f begin no reply and stand in none of ours.
      const noise = (chunk) => Buffer.from(chunk.map(() => 0x80 + Math.floor(Math.random() * 0x80)));
      proxy.corrupt((chunk) => (Math.random() < 0.05 ? noise(chunk) : chunk));
      await sleep(2000);
      await proxy.heal();
      scene.healed(await load.recovered());
      scene.see(`${lib.stats().redis.losses} connections lost`);
      await scene.judge(load, WAITING);
      assert.ok(lib.stats().redis.losses >= 5, "connections were lost");
    },
  },
  {
    title: "a port that refuses for a second costs no call",
    injected: "connections cut and refused, 1 s",
    quick: true,
    async run(scene) {
      const { proxy, lib } = await chain(scene);
      const load = scene.load(lib);
      await load.recovered();
      await proxy.refuse();
      await sleep(1000);
      await proxy.heal();
      scene.healed(await load.recovered());
      await scene.judge(load);
    },
  },
  {
    title: "a network that is gone for four seconds and comes back costs no call",
    injected: "all bytes swallowed, old and new connections, 4 s",
    async run(scene) {
      const { proxy, lib } = await chain(scene);
      const load = scene.load(lib);
      await load.recovered();
      proxy.swallow();
      await sleep(4000);
      // What was swallowed is lost; what is sent from now on arrives in the middle of nothing.
      proxy.strand();
      await proxy.heal();
      scene.healed(await load.recovered(performance.now(), 15_000));
      await scene.judge(load);
    },
  },
  {
    title: "a write that the network held back does not come after a later one, also where addresses are translated",
    injected: "requests held on their way, the client's side cut, delivered after newer writes; through a proxy",
    quick: true,
    async run(scene) {
      const { server, proxy, lib } = await chain(scene);
      const map = new lib.BaseMap("ns", -1);
      for (let round = 0; round < 5; round++) {
        await map.set("k", `first ${round}`);
        const release = proxy.hold("up");
        const held = scene.timed(map.set("k", `old ${round}`));
        await sleep(50);
        proxy.cutClients();
        scene.answered(await held);
        await map.set("k", `new ${round}`);
        release();
        await sleep(100);
        assert.equal(String(await server.command("GET", "ns:k")), `new ${round}`);
      }
      scene.see("the last write won each time");
    },
  },
  {
    title: "the near cache serves nothing older than its lease while announcements are lost",
    injected: "half-open, replies swallowed while ready; a foreign write; reads every 20 ms",
    async run(scene) {
      const { server, proxy, lib } = await chain(scene, { CC_NEAR_CACHE: "on" });
      const service = lib.ioc.signalCacheService;
      await service.setSignalId({ symbol: "S", strategyName: "s", exchangeName: "x", id: "old" });
      assert.equal(await service.getSignalId("S", "s", "x"), "old");
      proxy.strand("down");
      await server.command("SET", "signal_cache:x:s:S", "new");
      const changed = performance.now();
      let [oldest, hits] = [0, 0];
      for (;;) {
        const began = performance.now();
        const result = await scene.timed(service.getSignalId("S", "s", "x"));
        if (scene.answered(result) === "new") break;
        hits++;
        oldest = Math.max(oldest, began - changed);
        await sleep(20);
      }
      scene.see(`${hits} reads of the old value, the last ${Math.round(oldest)} ms after it was replaced`);
      assert.ok(hits > 0, "memory answered");
      // The lease is counted from a write that came before ours, and the clock is looked at in the call itself.
      assert.ok(oldest <= 2100, `the old value was served ${Math.round(oldest)} ms after it was replaced`);
    },
  },
];

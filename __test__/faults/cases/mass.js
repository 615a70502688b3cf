"use strict";

// Much of something: connections lost, calls that wait, calls in flight at the end, nesting.

const fs = require("node:fs");
const { assert, range, sleep, outcome, until } = require("../scene.js");
const { bulk } = require("../../support/fake-redis.js");

const WAITING = ["REDIS_UNAVAILABLE", "REDIS_TIMEOUT"];
const MANY = 100_000;
/** What a slow machine may need to reject that many. */
const MANY_SLACK_MS = 20_000;

const descriptors = () => (process.platform === "linux" ? fs.readdirSync("/proc/self/fd").length : 0);

const counted = (results) => {
  const counts = {};
  for (const { error } of results) {
    const code = error ? error.code ?? String(error) : "answered";
    counts[code] = (counts[code] ?? 0) + 1;
  }
  return counts;
};

const told = (counts) => Object.entries(counts).map(([code, count]) => `${count} × ${code}`).join(", ");

const restarts = [
  [100, true],
  [1000, false],
].map(([count, quick]) => ({
  title: `${count} connections that are lost under load cost no call, no memory and no descriptor`,
  injected: `all connections reset, ${count} times`,
  quick,
  async run(scene) {
    const server = await scene.server();
    const proxy = await scene.proxy(server);
    const lib = scene.client(proxy);
    const load = scene.load(lib, { workers: 10, pauseMs: 0 });
    const lose = async (times) => {
      for (let i = 0; i < times; i++) {
        await load.recovered();
        proxy.cut();
      }
      await load.recovered();
    };
    // The first ones fill what is kept for ever: buffers, compiled code.
    await lose(count / 2);
    const [memory, open] = [scene.memory(), descriptors()];
    await lose(count / 2);
    const growth = scene.memory() - memory;
    await until(() => descriptors() <= open, `descriptors return to ${open}`, 5000);
    await scene.judge(load);
    scene.see(`${lib.stats().redis.losses} connections lost, memory ${growth >= 0 ? "+" : ""}${growth.toFixed(1)} MiB`);
    assert.ok(lib.stats().redis.losses >= count * 0.9, `${lib.stats().redis.losses} connections were lost`);
    assert.ok(growth < 24, `memory grew by ${growth.toFixed(1)} MiB`);
  },
}));

module.exports = [
  ...restarts,
  {
    title: "a full queue refuses at once, also for calls that have expired, until the server has answered them",
    injected: "SIGSTOP; bound of 1,000 calls, deadline 500 ms",
    quick: true,
    async run(scene) {
      const server = await scene.server();
      const lib = scene.client(server, { CC_REDIS_QUEUE_MAX: 1000, CC_REDIS_TIMEOUT_MS: 500 });
      const map = new lib.BaseMap("ns", -1);
      await map.set("k", "v");
      await server.kill("SIGSTOP");
      const accepted = range(1000).map(() => scene.timed(map.get("k")));
      for (let round = 1; round <= 4; round++) {
        const refused = await Promise.all(range(100).map(() => scene.timed(map.get("k"))));
        assert.deepEqual(counted(refused), { QUEUE_FULL: 100 }, `round ${round}`);
        scene.see(`round ${round}: refused after ${Math.round(Math.max(...refused.map(({ ms }) => ms)))} ms at the most`);
        // At once, and not with those that wait for their deadline.
        for (const { error, ms } of refused) assert.ok(ms < 450, `${error.code} after ${ms} ms`);
        if (round > 1) continue;
        const results = await Promise.all(accepted);
        for (const { error, ms } of results) {
          assert.ok(WAITING.includes(error?.code), `round ${round}: ${error}`);
          scene.inTime(ms);
        }
      }
      await server.kill("SIGCONT");
      const back = performance.now();
      await until(async () => !(await outcome(map.get("k"))).error, "a call succeeds");
      scene.healed(performance.now() - back);
      const results = await Promise.all(range(1000).map(() => map.get("k")));
      assert.deepEqual(new Set(results), new Set(["v"]));
    },
  },
  {
    title: "of expired calls, bytes that were sent count against the bound, and those that were not are free again",
    injected: "SIGSTOP; bound of 20 MB, deadline 500 ms",
    quick: true,
    async run(scene) {
      const server = await scene.server();
      const lib = scene.client(server, { CC_REDIS_QUEUE_MAX_BYTES: 20_000_000, CC_REDIS_TIMEOUT_MS: 500 });
      const map = new lib.BaseMap("ns", -1);
      await map.set("k", "v");
      await server.kill("SIGSTOP");
      const text = "x".repeat(1_000_000);
      const free = [];
      for (let round = 1; round <= 3; round++) {
        const results = await Promise.all(range(24).map((i) => scene.timed(map.set(`k${i}`, text))));
        const counts = counted(results);
        const waited = (counts.REDIS_TIMEOUT ?? 0) + (counts.REDIS_UNAVAILABLE ?? 0);
        scene.see(`round ${round}: ${told(counts)}`);
        assert.equal(waited + counts.QUEUE_FULL, 24, `round ${round}`);
        free.push(waited);
      }
      // The socket takes some at first, and is full after that.
      assert.equal(free[0], 19);
      assert.ok(free[1] > 0 && free[1] < 19, `${free[1]} found room after ${free[0]}`);
      assert.equal(free[2], free[1]);
      await server.kill("SIGCONT");
      const back = performance.now();
      await until(async () => !(await outcome(map.set("k", "last"))).error, "a call succeeds");
      scene.healed(performance.now() - back);
      assert.equal(await map.get("k"), "last");
      const results = await Promise.all(range(19).map((i) => outcome(map.set(`k${i}`, text))));
      assert.deepEqual(counted(results), { answered: 19 });
    },
  },
  {
    title: "a queue that is full without a server refuses at once, and frees its places",
    injected: "nobody listens; bound of 1,000 calls, deadline 500 ms",
    async run(scene) {
      const server = await scene.server();
      const proxy = await scene.proxy(server);
      await proxy.refuse();
      const lib = scene.client(proxy, { CC_REDIS_QUEUE_MAX: 1000, CC_REDIS_TIMEOUT_MS: 500 });
      const map = new lib.BaseMap("ns", -1);
      for (let round = 1; round <= 4; round++) {
        const results = await Promise.all(range(1100).map(() => scene.timed(map.get("k"))));
        assert.deepEqual(counted(results), { REDIS_UNAVAILABLE: 1000, QUEUE_FULL: 100 }, `round ${round}`);
        for (const { ms } of results) scene.inTime(ms);
      }
      await proxy.heal();
      const back = performance.now();
      await until(async () => !(await outcome(map.get("k"))).error, "a call succeeds");
      scene.healed(performance.now() - back);
      scene.see("four rounds of 1,000 waiting and 100 refused");
    },
  },
  {
    title: "close with a hundred thousand calls in flight waits for their answers",
    injected: "close() right after 100,000 calls",
    quick: true,
    async run(scene) {
      const server = await scene.server();
      const lib = scene.client(server);
      const map = new lib.BaseMap("ns", -1);
      await map.set("k", "v");
      const calls = range(MANY).map(() => scene.timed(map.get("k")));
      await scene.timed(lib.close());
      const results = await Promise.all(calls);
      scene.see(told(counted(results)));
      assert.deepEqual(new Set(results.map(({ value }) => value)), new Set(["v"]));
    },
  },
  {
    title: "close with a hundred thousand calls at a server that hangs rejects them all by the deadline",
    injected: "SIGSTOP, 100,000 calls, close(); deadline 1 s",
    quick: true,
    async run(scene) {
      const server = await scene.server();
      const lib = scene.client(server, { CC_REDIS_TIMEOUT_MS: 1000 });
      const map = new lib.BaseMap("ns", -1);
      await map.set("k", "v");
      await server.kill("SIGSTOP");
      const calls = range(MANY).map(() => scene.timed(map.get("k")));
      await new Promise(setImmediate);
      const { ms } = await scene.timed(lib.close());
      scene.inTime(ms, MANY_SLACK_MS);
      const results = await Promise.all(calls);
      const counts = counted(results);
      scene.see(`${told(counts)}; close took ${Math.round(ms)} ms`);
      assert.equal((counts.CLOSED ?? 0) + (counts.REDIS_TIMEOUT ?? 0), MANY);
      await server.kill("SIGCONT");
      const back = performance.now();
      assert.equal(await map.get("k"), "v");
      scene.healed(performance.now() - back);
    },
  },
  {
    title: "close with a hundred thousand calls on a connection that has fallen mute rejects them all by the deadline",
    injected: "half-open, 100,000 calls, close(); deadline 2 s",
    async run(scene) {
      const server = await scene.server();
      const proxy = await scene.proxy(server);
      const lib = scene.client(proxy, { CC_REDIS_TIMEOUT_MS: 2000 });
      const map = new lib.BaseMap("ns", -1);
      await map.set("k", "v");
      proxy.strand();
      const calls = range(MANY).map(() => scene.timed(map.get("k")));
      await new Promise(setImmediate);
      const { ms } = await scene.timed(lib.close());
      scene.inTime(ms, MANY_SLACK_MS);
      const counts = counted(await Promise.all(calls));
      scene.see(`${told(counts)}; close took ${Math.round(ms)} ms`);
      // The watchdog may replace the connection in time; then they are answered.
      assert.equal((counts.CLOSED ?? 0) + (counts.REDIS_TIMEOUT ?? 0) + (counts.REDIS_UNAVAILABLE ?? 0) + (counts.answered ?? 0), MANY);
      assert.equal(await map.get("k"), "v");
    },
  },
  {
    title: "a reply nested a hundred thousand deep is survived, whole or unfinished",
    injected: "fake server: *1 a hundred thousand times, with and without an end",
    quick: true,
    async run(scene) {
      const deep = "*1\r\n".repeat(MANY);
      let answer = () => `${deep}:1\r\n`;
      const fake = await scene.fake((args) => answer(args));
      const lib = scene.client(fake, { CC_REDIS_TIMEOUT_MS: 1000 });
      const map = new lib.BaseMap("ns", -1);
      const before = scene.memory();
      const every = () => [map.get("k"), map.has("k"), map.set("k", "v"), map.delete("k"), map.size(), map.toArray()];
      for (const end of [":1\r\n", ""]) {
        answer = () => deep + end;
        const results = await Promise.all(every().map((call) => scene.timed(call)));
        for (const { error, ms } of results) {
          if (error) assert.ok(["REDIS_REPLY", ...WAITING].includes(error.code), String(error));
          scene.inTime(ms);
        }
        scene.see(`${end === "" ? "unfinished" : "whole"}: ${told(counted(results))}`);
      }
      answer = () => bulk("healed");
      fake.drop();
      const back = performance.now();
      await until(async () => (await outcome(map.get("k"))).value === "healed", "a call succeeds");
      scene.healed(performance.now() - back);
      await sleep(50);
      const growth = scene.memory() - before;
      assert.ok(growth < 64, `memory grew by ${growth.toFixed(1)} MiB`);
    },
  },
];

"use strict";

// Host names: addresses that lead nowhere, names that move, resolvers that fail. There is no DNS here: the resolver is
// replaced. Linux has 127.0.0.2 as a second address of the machine; elsewhere those cases are left out.

const { spawn } = require("node:child_process");
const dns = require("node:dns");
const net = require("node:net");
const { assert, sleep, until, outcome } = require("../scene.js");
const { killConnections } = require("../../support/addon.js");

/** Listens at an address, and lets no more connections through once its queue is full: SYNs are lost. */
async function startDeaf(scene, host, port) {
  const script = `require("node:net").createServer().listen({ host: "${host}", port: ${port}, backlog: 1 }, () => console.log("up"))`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  scene.endings.push(async () => child.kill("SIGKILL"));
  await new Promise((resolve, reject) => {
    child.stdout.once("data", resolve);
    child.once("exit", () => reject(new Error(`nobody could listen at ${host}:${port}`)));
  });
  child.kill("SIGSTOP");
  for (let i = 0; i < 20; i++) {
    const socket = net.connect({ host, port });
    socket.on("error", () => {});
    scene.endings.push(async () => socket.destroy());
    const through = await Promise.race([new Promise((resolve) => socket.once("connect", () => resolve(true))), sleep(300)]);
    if (!through) return;
  }
  throw new Error("the queue of the listener did not fill");
}

/**
 * Makes a name resolve to what a function says, for copies of the package that are loaded from now on: addresses, an
 * error's code, null for no answer at all, or a promise of these.
 */
function resolveBy(scene, name, resolver) {
  const { lookup } = dns;
  dns.lookup = async (host, options, callback) => {
    if (host !== name) return void lookup(host, options, callback);
    const found = await resolver();
    if (found === null) return;
    if (Array.isArray(found)) process.nextTick(callback, null, found.map((address) => ({ address, family: 4 })));
    else process.nextTick(callback, Object.assign(new Error(`getaddrinfo ${found} ${host}`), { code: found }));
  };
  scene.endings.push(async () => void (dns.lookup = lookup));
}

module.exports = [
  {
    title: "a name whose first address swallows SYNs is reached by its second within the deadline",
    injected: "127.0.0.2 with a full listen queue, then 127.0.0.1",
    linux: true,
    async run(scene) {
      const server = await scene.server();
      await startDeaf(scene, "127.0.0.2", server.port);
      resolveBy(scene, "two.test", () => ["127.0.0.2", "127.0.0.1"]);
      const lib = scene.client({ url: `redis://two.test:${server.port}` });
      const map = new lib.BaseMap("ns", -1);
      // Twice: a connection that is lost must find the way again.
      for (const round of ["at first", "again"]) {
        const result = await scene.timed(map.get("k"));
        scene.see(`${round}: ${result.error?.code ?? "answered"} after ${Math.round(result.ms)} ms`);
        assert.equal(scene.answered(result), null);
        await killConnections(server);
      }
    },
  },
  {
    title: "a name that resolves only later is asked for again within the deadline",
    injected: "EAI_AGAIN for 1 s; then one question that is never answered",
    async run(scene) {
      const server = await scene.server();
      let answer = () => "EAI_AGAIN";
      resolveBy(scene, "late.test", () => answer());
      const lib = scene.client({ url: `redis://late.test:${server.port}` });
      const map = new lib.BaseMap("ns", -1);
      const first = scene.timed(map.get("k"));
      await sleep(1000);
      answer = () => ["127.0.0.1"];
      const back = performance.now();
      assert.equal(scene.answered(await first), null);
      scene.healed(performance.now() - back);
      let asked = 0;
      answer = () => (asked++ === 0 ? null : ["127.0.0.1"]);
      await killConnections(server);
      const second = await scene.timed(map.get("k"));
      scene.see(`answered ${Math.round(second.ms)} ms after a question that was not`);
      assert.equal(scene.answered(second), null);
      assert.ok(asked > 1, "it was asked again");
    },
  },
  {
    title: "a resolver that needs ten seconds is waited for, and asked twice meanwhile at the most",
    injected: "every answer after 10 s; calls with 20 s, and calls with 1 s",
    quick: true,
    async run(scene) {
      const server = await scene.server();
      // A name for each client, so that each one's questions are counted.
      const asked = { "patient.test": 0, "brief.test": 0 };
      const clientOf = (name, timeoutMs) => {
        resolveBy(scene, name, () => {
          asked[name]++;
          return sleep(10_000).then(() => ["127.0.0.1"]);
        });
        return scene.client({ url: `redis://${name}:${server.port}` }, { CC_REDIS_TIMEOUT_MS: timeoutMs });
      };
      const brief = new (clientOf("brief.test", 1000).BaseMap)("ns", -1);
      const impatient = (async () => {
        for (let round = 0; round < 8; round++) {
          const { error, ms } = await scene.timed(brief.get("k"));
          assert.equal(error?.code, "REDIS_UNAVAILABLE");
          assert.ok(ms >= 900, "it was given its time");
          scene.inTime(ms);
        }
        // The first question is answered two seconds later, whoever asked it.
        await until(async () => !(await outcome(brief.get("k"))).error, "a call is answered", 5000);
      })();
      const patient = new (clientOf("patient.test", 20_000).BaseMap)("ns", -1);
      const [result] = await Promise.all([scene.timed(patient.get("k")), impatient]);
      assert.equal(scene.answered(result), null);
      scene.see(`answered after ${Math.round(result.ms)} ms, questions: ${JSON.stringify(asked)}`);
      assert.ok(result.ms < 11_500, "by the first question's answer");
      for (const [name, count] of Object.entries(asked)) assert.ok(count <= 2, `${name} was asked for ${count} times`);
    },
  },
  {
    title: "a name that moves is resolved again when its connection is lost",
    injected: "two servers at 127.0.0.1 and 127.0.0.2; the name moves, the first one's port is closed",
    linux: true,
    async run(scene) {
      const [one, two] = [await scene.server(), await scene.server()];
      const first = await scene.proxy(one);
      await scene.proxy(two, { host: "127.0.0.2", port: first.port });
      let address = "127.0.0.1";
      resolveBy(scene, "moving.test", () => [address]);
      const load = scene.load(scene.client({ url: `redis://moving.test:${first.port}` }));
      await load.recovered();
      load.rewound();
      address = "127.0.0.2";
      await first.refuse();
      load.rewound();
      scene.healed(await load.recovered());
      await until(async () => (await two.command("DBSIZE")) > 0, "the second server is written to");
      await scene.judge(load);
    },
  },
];

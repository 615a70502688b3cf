"use strict";

// Redis Clusters of three masters and three replicas, under a load whose keys are on all of them: slots that move, masters that are
// replaced, killed, stopped, added and removed.

const { loadFresh } = require("../../support/addon.js");
const { sleep, startCluster, until } = require("../../support/redis-cluster.js");
const { Judged, KEYS, keyOf } = require("../judged.js");

const KEY_NUMBERS = Array.from({ length: KEYS }, (_, key) => key);
/**
 * A load on a cluster of its own, disturbed by `disturb(scene)`, and judged. What `disturb` gives: since when
 * writes of which keys are to go on: `since` and `keys`.
 */
async function judged(title, disturb, { config = {}, options, pace, isProxied = false } = {}) {
  const cluster = await startCluster(options);
  const clients = [];
  let proxies = [];
  try {
    if (isProxied) proxies = await cluster.behindProxies();
    const client = () => {
      const lib = loadFresh({ CC_REDIS_URL: cluster.urlOf({ of: cluster.nodes.slice(0, 2) }), CC_REDIS_TIMEOUT_MS: 30_000, CC_NEAR_CACHE: "on", ...config });
      clients.push(lib);
      return lib;
    };
    const [writer, reader] = [client(), client()];
    await Promise.all([writer, reader].map((lib) => lib.ioc.redisService.waitForInit()));
    const slots = await Promise.all(KEY_NUMBERS.map((key) => cluster.slotOf(keyOf(key))));
    // Writes that a master acknowledged are not all there in a replica that takes its place unasked.
    const terms = new Array(KEYS).fill(0);
    const load = new Judged(writer, reader, (_, key) => terms[key], { pace }).start();
    await sleep(1_500);
    const started = performance.now();
    const { since = started, keys = KEY_NUMBERS } = await disturb({ cluster, slots, terms, proxies });
    await until("writes of each key go on", () => KEY_NUMBERS.every((key) => load.wroteKeyAfter(key, Math.max(since, started)) > 0));
    await sleep(1_500);
    const ended = performance.now();
    const others = KEY_NUMBERS.filter((key) => !keys.includes(key));
    const [calm, stormy] = [load.p99(others, 0, started), load.p99(others, started, ended)];
    const longest = Math.max(...keys.map((key) => load.acknowledged[key].reduce((most, { at }, i, all) => Math.max(most, at - (all[i - 1]?.at ?? at)), 0)));
    const seconds = Math.max(...keys.map((key) => load.wroteKeyAfter(key, since) - since)) / 1_000;
    await cluster.settle();
    const report = await load.stop((key) => cluster.value(key), Infinity);
    const { problems, failures } = load;
    if (problems.length > 0) throw new Error(`${title}: ${problems.slice(0, 5).join("; ")}`);
    if (failures.length > 0) throw new Error(`${title}: ${failures.length} calls failed: ${failures[0].message}`);
    const { moved, asked, putOff, switched } = writer.stats().redis.cluster;
    const p99 = others.length > 0 ? { p99: [calm, stormy] } : {};
    return { ...report, seconds, pause: longest / 1_000, ...p99, redirects: { moved, asked, putOff, switched } };
  } finally {
    await Promise.all(clients.map((lib) => lib.close()));
    await Promise.all(proxies.map((proxy) => proxy.stop()));
    await cluster.stop();
  }
}

/** A master is replaced; when most of the nodes know its replica as the owner of its slots, and which keys of ours it owned. */
async function replaced({ cluster, slots, terms }, node, act) {
  const owners = await Promise.all(slots.map((slot) => cluster.ownerOf(slot)));
  const keys = KEY_NUMBERS.filter((key) => owners[key] === node);
  const replica = await cluster.replicaOf(node);
  await act(node, replica);
  // Where others build beside it, an election may be held twice.
  await until("the replica is promoted", async () => (await cluster.ownerOf(slots[keys[0]])) === replica, 90_000);
  const since = performance.now();
  for (const key of keys) terms[key]++;
  return { since, keys };
}

/** The network between the clients and one master is disturbed by `act(proxy)`, for three seconds, while the nodes have each other. */
async function cut({ cluster, slots, proxies }, act) {
  const node = await cluster.ownerOf(slots[0]);
  const owners = await Promise.all(slots.map((slot) => cluster.ownerOf(slot)));
  const proxy = proxies[cluster.nodes.indexOf(node)];
  await act(proxy);
  await sleep(3_000);
  const since = performance.now();
  proxy.cut();
  await proxy.heal();
  return { since, keys: KEY_NUMBERS.filter((key) => owners[key] === node) };
}

module.exports = [
  {
    title: "slots move under load: no call is rejected, none is lost, and each keeps its order",
    quick: true,
    run: () =>
      judged("moving slots", async ({ cluster, slots }) => {
        const masters = await cluster.masters();
        for (const slot of new Set(slots)) {
          const owner = await cluster.ownerOf(slot);
          const to = masters[(masters.indexOf(owner) + 1) % masters.length];
          await cluster.migrate(slot, to, { each: () => sleep(20) });
        }
        return {};
      }),
  },
  {
    title: "slots move while ids of theirs are known, and others change them: nothing is older than the lease",
    run: () =>
      judged(
        "known ids of moving slots",
        async ({ cluster, slots }) => {
          const masters = await cluster.masters();
          for (let round = 0; round < 4; round++) {
            for (const slot of new Set(slots)) {
              const owner = await cluster.ownerOf(slot);
              const to = masters[(masters.indexOf(owner) + 1) % masters.length];
              // Some are on their way for longer than the lease.
              await cluster.migrate(slot, to, { each: () => sleep(slot % 7 === 0 ? 1_500 : 10) });
            }
          }
          return {};
        },
        // So that what a reader knows of a key lives for long enough to be wrong.
        { pace: 200 },
      ),
  },
  {
    title: "kill -9 of a master: calls on its slots wait for its replica and none is rejected; those on others go on",
    quick: true,
    run: () => judged("a killed master", (scene) => replaced(scene, scene.cluster.nodes[0], (node) => node.kill("SIGKILL"))),
  },
  {
    title: "a master that is stopped, whose connection lives on, is left for the replica that takes its place",
    run: () =>
      judged("a stopped master", async (scene) => {
        const [node] = scene.cluster.nodes;
        const result = await replaced(scene, node, async () => {
          node.isStopped = true;
          await node.kill("SIGSTOP");
        });
        await sleep(2_000);
        await node.kill("SIGCONT");
        node.isStopped = false;
        return result;
      }),
  },
  {
    title: "CLUSTER FAILOVER: all slots of a master move at once",
    run: () =>
      judged("a failover on demand", (scene) =>
        replaced(scene, scene.cluster.nodes[0], async (_, replica) => {
          const reply = String(await replica.command("CLUSTER", "FAILOVER"));
          if (reply !== "OK") throw new Error(reply);
        }),
      ),
  },
  {
    title: "a node is added and given slots, emptied again and removed",
    run: () =>
      judged("a node that comes and goes", async ({ cluster, slots }) => {
        const node = await cluster.add();
        const before = new Map();
        for (const slot of new Set(slots.slice(0, 10))) {
          before.set(slot, await cluster.ownerOf(slot));
          await cluster.migrate(slot, node, { each: () => sleep(5) });
        }
        await sleep(1_000);
        for (const [slot, owner] of before) await cluster.migrate(slot, owner, { each: () => sleep(5) });
        await cluster.remove(node);
        return {};
      }),
  },
  {
    title: "the network between clients and one master loses everything for a while: calls on its slots wait for it and none is rejected; those on others go on",
    run: () => judged("a master that is not heard of", (scene) => cut(scene, (proxy) => proxy.swallow()), { options: { replicas: 0 }, isProxied: true }),
  },
  {
    title: "one master refuses the clients' connections for a while, and the others still know it as well: its calls wait and none is rejected",
    run: () => judged("a master that refuses clients", (scene) => cut(scene, (proxy) => proxy.refuse()), { options: { replicas: 0 }, isProxied: true }),
  },
  {
    title: "what one master answers is lost for a while, although it carries it out: writes are sent again and undo none",
    run: () => judged("answers of a master that are lost", (scene) => cut(scene, (proxy) => proxy.swallow("down")), { options: { replicas: 0 }, isProxied: true }),
  },
  {
    title: "one master after another is killed and comes back as a replica, six times",
    run: () =>
      judged("many failovers", async (scene) => {
        const { cluster, slots } = scene;
        let result;
        for (let round = 0; round < 6; round++) {
          const node = await cluster.ownerOf(slots[round]);
          result = await replaced(scene, node, () => node.kill("SIGKILL"));
          await node.start();
          await cluster.settle();
          await cluster.inStep();
        }
        return { ...result, keys: KEY_NUMBERS };
      }),
  },
];

"use strict";

// Redis Cluster: real clusters. `npm run test:cluster` plays the failures that take longer.

const { execFile, execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { serial: test } = require("ava");
const cases = require("./cluster/cases/redis-cluster.js");
const { loadFor, collect } = require("./support/addon.js");
const { Authority } = require("./support/certificates.js");
const { runChild } = require("./support/child.js");
const { LEASE_MS, becomes } = require("./support/near.js");
const { NODE_TIMEOUT_MS, sleep, startCluster, until } = require("./support/redis-cluster.js");

const PASSWORD = "s3cret-of-the-cluster";
const own = { cluster: null };

test.before(async (t) => {
  t.timeout(60_000);
  own.cluster = await startCluster({ password: PASSWORD });
});
test.after.always(() => own.cluster && own.cluster.stop());
test.beforeEach(async () => {
  for (const master of await own.cluster.masters()) await master.command("FLUSHALL");
});

const config = (more) => ({ CC_REDIS_URL: own.cluster.urlOf(), CC_REDIS_TIMEOUT_MS: 10_000, CC_NEAR_CACHE: "on", ...more });
const outcome = (promise) => promise.then((value) => ({ value }), (error) => ({ error }));
const numbers = (count) => Array.from({ length: count }, (_, i) => i);

/** Ids of the rows of one strategy, each under a key of its own. */
const signalsOf = (lib) => {
  const service = lib.ioc.signalCacheService;
  // Before the first call nothing is there.
  const hits = () => lib.stats().nearCache?.hits ?? 0;
  const get = (i) => service.getSignalId(`S${i}`, "x", "e");
  return {
    get,
    set: (i, id) => service.setSignalId({ id, symbol: `S${i}`, strategyName: "x", exchangeName: "e" }),
    hits,
    /** Asks until the answer comes from memory. */
    async known(i) {
      for (let before = hits(); ; before = hits()) {
        const id = await get(i);
        if (hits() > before) return id;
      }
    },
  };
};
/** The words by which deployment.md has a user be made. */
const leastRights = () => {
  const [, chapter] = fs.readFileSync(path.join(__dirname, "../docs/deployment.md"), "utf8").split("## Redis Cluster\n");
  return /^ACL SETUSER \S+ (.*)$/m.exec(chapter)[1].split(" ");
};
const signalKey = (i) => `signal_cache:e:x:S${i}`;
const slotOfSignal = (i) => own.cluster.slotOf(signalKey(i));
/** Another client changes a key at the node that has it. */
const changed = async (node, i, id, ...before) => {
  for (const words of before) await node.command(...words);
  const reply = await node.command("SET", signalKey(i), id);
  if (reply instanceof Error) throw reply;
};
/** Many keys of a map, which are on all masters. */
const filled = async (lib, count, connectionKey = "ns") => {
  const map = new lib.BaseMap(connectionKey);
  await Promise.all(numbers(count).map((i) => map.set(`k${i}`, `v${i}`)));
  return map;
};

/** A slot of a master, and keys of a map that are all in it, without the map's name. */
async function slotAt(master, connectionKey, count) {
  const { ranges } = (await master.nodes()).find(({ flags }) => flags.includes("myself"));
  for (let tag = 0; ; tag++) {
    const slot = await own.cluster.slotOf(`${connectionKey}:{t${tag}}`);
    if (ranges.some(([first, last = first]) => slot >= first && slot <= last)) return { slot, names: numbers(count).map((i) => `{t${tag}}${i}`) };
  }
}

test("calls of a map go to the masters that own their keys; health() and stats() name the nodes", async (t) => {
  // One node is enough: it names the others.
  const lib = loadFor(t, config({ CC_REDIS_URL: own.cluster.urlOf({ of: own.cluster.nodes.slice(4, 5) }) }));
  const map = await filled(lib, 100);
  t.deepEqual(await Promise.all(numbers(100).map((i) => map.get(`k${i}`))), numbers(100).map((i) => `v${i}`));
  for (const i of [0, 33, 77]) t.is(await own.cluster.value(`ns:k${i}`), `v${i}`);
  await map.delete("k3");
  t.deepEqual([await map.has("k3"), await map.has("k4"), await map.get("k3")], [false, true, null]);
  const masters = await own.cluster.masters();
  const { nodes, unowned } = lib.health().redis.cluster;
  t.is(unowned, 0);
  t.deepEqual(nodes.filter(({ slots }) => slots > 0).map(({ server }) => server).sort(), masters.map(({ address }) => address).sort());
  t.is(nodes.reduce((sum, { slots }) => sum + slots, 0), 16_384);
  t.true(nodes.every(({ state, lastError }) => state === "ready" && lastError === null));
  t.true(lib.stats().redis.cluster.maps >= 1);
});

test("calls that masters answer in turns are settled together, each with its own answer", async (t) => {
  const lib = loadFor(t, config());
  const map = await filled(lib, 600);
  const { hooks } = require("../js/engine.js").native.engine;
  let asked = 0;
  hooks.forEach((hook, at) => (hooks[at] = (...args) => (asked++, hook(...args))));
  const names = numbers(600).map((i) => `k${i}`);
  t.deepEqual(await Promise.all(names.map((name) => map.get(name))), numbers(600).map((i) => `v${i}`));
  // Of neighbours two thirds are at different masters: a call of a hook for each run of numbers would be some 400.
  t.true(asked < 100, `${asked} calls of hooks`);
  // A rejection among them is its own call's alone.
  await (await own.cluster.ownerOf(await own.cluster.slotOf("ns:list"))).command("RPUSH", "ns:list", "one");
  const outcomes = await Promise.all([...names.slice(0, 20), "list", ...names.slice(20, 40)].map((name) => outcome(map.get(name))));
  t.regex(outcomes[20].error.message, /^WRONGTYPE/);
  outcomes.splice(20, 1);
  t.deepEqual(outcomes, numbers(40).map((i) => ({ value: `v${i}` })));
});

test("in the middle of a tick the 128th command has one master written to, the 256th another one, and no other command any", async (t) => {
  const lib = loadFor(t, config());
  // Each master is connected.
  const map = await filled(lib, 100);
  const nodes = () => lib.health().redis.cluster.nodes.filter(({ slots }) => slots > 0);
  t.true(nodes().every(({ state, queued, inFlight }) => state === "ready" && queued + inFlight === 0));
  const calls = [];
  const write = () => calls.push(map.set(`k${calls.length}`, "w"));
  const unwritten = () => nodes().reduce((sum, { queued }) => sum + queued, 0);
  const begun = () => nodes().filter(({ inFlight }) => inFlight > 0);
  for (let n = 1; n < 128; n++) write();
  t.deepEqual([unwritten(), begun().length], [127, 0]);
  write();
  const [first, ...others] = begun();
  t.deepEqual([others.length, first.queued, unwritten()], [0, 0, 128 - first.inFlight]);
  for (let n = 129; n < 256; n++) write();
  t.deepEqual([unwritten(), begun().length], [255 - first.inFlight, 1]);
  write();
  const second = begun().find(({ server }) => server !== first.server);
  t.deepEqual([begun().length, second.queued, unwritten()], [2, 0, 256 - first.inFlight - second.inFlight]);
  await Promise.all(calls);
  // Each tick begins anew.
  calls.length = 0;
  for (let n = 1; n < 128; n++) write();
  t.is(begun().length, 0);
  write();
  t.is(begun().length, 1);
  await Promise.all(calls);
});

test("services find their ids, and calls that look at two keys are two commands to two masters", async (t) => {
  const lib = loadFor(t, config());
  const { signalCacheService: signals } = lib.ioc;
  const row = (i) => ({ id: `id${i}`, symbol: `S${i}`, strategyName: "x", exchangeName: "e" });
  await Promise.all(numbers(50).map((i) => signals.setSignalId(row(i))));
  const key = (i) => [`S${i}`, "x", "e"];
  t.deepEqual(await Promise.all(numbers(50).map((i) => signals.getSignalId(...key(i)))), numbers(50).map((i) => `id${i}`));
  t.true(await signals.hasSignalId(...key(7)));
  t.false(await signals.hasSignalId("none", "x", "e"));
});

test("ids of all masters are answered from memory, absence too, and another client's changes are seen", async (t) => {
  const lib = loadFor(t, config());
  const { get, set, known, hits } = signalsOf(lib);
  for (const i of numbers(30)) await set(i, `id${i}`);
  for (const i of numbers(40)) t.is(await known(i), i < 30 ? `id${i}` : null);
  const commands = () => lib.stats().redis.commands;
  const before = [hits(), commands()];
  for (const i of numbers(40)) t.is(await get(i), i < 30 ? `id${i}` : null);
  t.is(hits() - before[0], 40);
  // Two commands for each master whose lease was half over.
  t.true(commands() - before[1] <= 6);
  t.is(lib.health().nearCache.state, "alive");
  for (const i of [0, 10, 20, 30, 39]) {
    await changed(await own.cluster.ownerOf(await slotOfSignal(i)), i, "other");
    await becomes(t, () => get(i), "other");
  }
  // The others are known still.
  const others = hits();
  for (const i of [1, 11, 21]) t.is(await get(i), `id${i}`);
  t.is(hits() - others, 3);
});

/** Another client changes a key, while nothing else can happen in this process. */
function changedMeanwhile(node, key, id) {
  const client = `
    const socket = require("node:net").connect(${node.named}, "127.0.0.1");
    let heard = "";
    socket.on("data", (data) => {
      heard += data;
      // What came of the change is sent by then.
      if (heard === "+OK\\r\\n+OK\\r\\n") socket.write("PING\\r\\n");
      if (heard.endsWith("+PONG\\r\\n")) socket.end();
    });
    socket.write("AUTH ${PASSWORD}\\r\\nSET ${key} ${id}\\r\\n");
  `;
  execFileSync(process.execPath, ["-e", client]);
}

test("an answer from memory that is made of keys of two masters heeds what either has announced and nobody has read yet", async (t) => {
  t.timeout(60_000);
  const lib = loadFor(t, config());
  const sessions = lib.ioc.sessionCacheService;
  const placeOf = async (name) => {
    const keys = [`session_cache:${name}:s:f:B:backtest`, `session_cache:f:B:backtest:${name}:s`];
    return { name, keys, owners: await Promise.all(keys.map(async (key) => own.cluster.ownerOf(await own.cluster.slotOf(key)))) };
  };
  const places = await Promise.all(numbers(20).map((i) => placeOf(`e${i}`)));
  const { name, keys, owners } = places.find(({ owners: [one, other] }) => one !== other);
  // The key of five strings is the first of the two that these three ask for.
  const get = () => sessions.getSessionId("s", name, "f:B:backtest");
  const hits = () => lib.stats().nearCache.hits;
  for (let round = 0, isSure = false; !isSure; round++) {
    await sessions.setSessionId({ symbol: "s", strategyName: name, exchangeName: "f:B:backtest", id: `ours${round}` });
    const asked = performance.now();
    t.is(await sessions.getSessionId("s", name, "f", "B", true), null);
    const before = hits();
    t.is(await get(), `ours${round}`);
    const isKnown = hits() > before;
    changedMeanwhile(owners[1], keys[1], `theirs${round}`);
    const reading = get();
    // Had absence ended meanwhile, the second key would not have been looked at.
    isSure = isKnown && performance.now() - asked < LEASE_MS;
    t.is(await reading, `theirs${round}`);
  }
});

test("what is known of a slot that is on its way, has moved or comes back is never older than the lease", async (t) => {
  t.timeout(60_000);
  const { cluster } = own;
  const { get, set, known } = signalsOf(loadFor(t, config()));
  const masters = await cluster.masters();
  for (const round of numbers(3)) {
    const slot = await slotOfSignal(1);
    const from = await cluster.ownerOf(slot);
    const to = masters[(masters.indexOf(from) + 1) % 3];
    await set(1, `a${round}`);
    t.is(await known(1), `a${round}`);
    // The key goes first, and is changed while its slot is still the other node's.
    await to.command("CLUSTER", "SETSLOT", slot, "IMPORTING", from.id);
    await from.command("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id);
    await from.command("MIGRATE", "127.0.0.1", to.named, signalKey(1), 0, 5_000, "AUTH", PASSWORD);
    await changed(to, 1, `b${round}`, ["ASKING"]);
    await becomes(t, () => get(1), `b${round}`);
    await cluster.migrate(slot, to);
    t.is(await known(1), `b${round}`);
    await changed(to, 1, `c${round}`);
    await becomes(t, () => get(1), `c${round}`);
  }
});

test("a key that is born where its slot is on its way to is not taken for absent for longer than the lease", async (t) => {
  const { cluster } = own;
  const { get, known } = signalsOf(loadFor(t, config()));
  const slot = await slotOfSignal(2);
  const from = await cluster.ownerOf(slot);
  const to = (await cluster.masters()).find((node) => node !== from);
  t.is(await known(2), null);
  await to.command("CLUSTER", "SETSLOT", slot, "IMPORTING", from.id);
  await from.command("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id);
  await changed(to, 2, "born", ["ASKING"]);
  await becomes(t, () => get(2), "born");
  await cluster.migrate(slot, to);
});

test("a master that has no majority around it keeps answering, and is not believed for longer than its patience and the lease", async (t) => {
  t.timeout(60_000);
  const { cluster } = own;
  const lib = loadFor(t, config({ CC_REDIS_TIMEOUT_MS: 30_000 }));
  const { get, set, known, hits } = signalsOf(lib);
  await set(3, "id");
  t.is(await known(3), "id");
  const owner = await cluster.ownerOf(await slotOfSignal(3));
  const others = cluster.alive.filter((node) => node !== owner);
  t.teardown(() => Promise.all(others.map((node) => node.kill("SIGCONT"))));
  for (const node of others) await node.kill("SIGSTOP");
  const stopped = performance.now();
  // Until it asks, and is not answered.
  let waiting = null;
  while (waiting === null) {
    const before = hits();
    const call = get(3);
    if (hits() === before) waiting = call;
    else t.is(await call, "id");
    await sleep(5);
    if (performance.now() - stopped > 4 * (NODE_TIMEOUT_MS + LEASE_MS)) break;
  }
  const took = performance.now() - stopped;
  t.log(`it was believed for ${took.toFixed(0)} ms`);
  t.is(String(await owner.command("PING")), "PONG");
  t.regex(String(await owner.command("CLUSTER", "INFO")), /cluster_state:fail/);
  // Twice its patience: a node suspects another one after up to half of it, and looks at its own state after that.
  t.true(took < 2 * NODE_TIMEOUT_MS + LEASE_MS, `${took} ms`);
  for (const node of others) await node.kill("SIGCONT");
  t.is(await waiting, "id");
  await cluster.settle();
});

test("CLUSTER FAILOVER: what the master before was known to hold is asked of the next one", async (t) => {
  t.timeout(60_000);
  const { cluster } = own;
  const { get, set, known } = signalsOf(loadFor(t, config()));
  const slot = await slotOfSignal(4);
  for (const round of numbers(2)) {
    await set(4, `a${round}`);
    t.is(await known(4), `a${round}`);
    await cluster.inStep();
    const replica = await cluster.replicaOf(await cluster.ownerOf(slot));
    let asked = 0;
    await until("the replica is promoted", async () => {
      if ((await cluster.ownerOf(slot)) === replica) return true;
      // Masters vote for a master's replicas once in twice their patience, and nobody asks again.
      if (performance.now() - asked > 3 * NODE_TIMEOUT_MS) await replica.command("CLUSTER", "FAILOVER").then(() => (asked = performance.now()));
      return false;
    }, 60_000);
    await changed(replica, 4, `b${round}`);
    await becomes(t, () => get(4), `b${round}`);
    t.is(await known(4), `b${round}`);
    await cluster.settle();
  }
});

test("a user by whom no node proves what it holds, because EXISTS is forbidden, has ids and none from memory", async (t) => {
  const rights = "~signal_cache:* -@all +get +set +info +pttl +ping +asking +cluster|slots +cluster|nodes +client|tracking +client|info +client|kill";
  for (const node of own.cluster.nodes) await node.command("ACL", "SETUSER", "meek", "reset", "on", ">meek-pw", ...rights.split(" "));
  const lib = loadFor(t, config({ CC_REDIS_URL: own.cluster.urlOf({ credentials: "meek:meek-pw" }) }));
  const { get, set, hits } = signalsOf(lib);
  await set(5, "id");
  for (const i of numbers(20)) t.is(await get(5), "id", String(i));
  t.is(hits(), 0);
  const { state, reason } = lib.health().nearCache;
  t.is(state, "expired");
  const owner = await own.cluster.ownerOf(await slotOfSignal(5));
  t.regex(reason, /^NOPERM .*'exists'.* \(EXISTS on 127\.0\.0\.1:\d+(, |\))/);
  t.true(reason.includes(owner.address), reason);
});

for (const [without, command, isEverywhere, state] of [
  // Where no node tells it, nothing works.
  ["cluster|nodes", "CLUSTER NODES", false, "expired"],
  ["client|tracking", "CLIENT TRACKING", true, "refused"],
]) {
  test(`where ${command} is forbidden, ids are asked for, and health() names it with the server's words`, async (t) => {
    const owner = await own.cluster.ownerOf(await slotOfSignal(6));
    for (const node of own.cluster.nodes) {
      const words = leastRights().filter((word) => word !== `+${without}` || !(isEverywhere || node === owner));
      await node.command("ACL", "SETUSER", "shy", "reset", ...words);
    }
    const lib = loadFor(t, config({ CC_REDIS_URL: own.cluster.urlOf({ credentials: "shy:password" }) }));
    const { get, set, hits } = signalsOf(lib);
    await set(6, "id");
    for (const i of numbers(5)) t.is(await get(6), "id", String(i));
    t.is(hits(), 0);
    const near = lib.health().nearCache;
    t.is(near.state, state);
    t.regex(near.reason, new RegExp(`^NOPERM .*${without.replace("|", "\\|")}.* \\(${command} on .*${owner.address.replaceAll(".", "\\.")}`));
  });
}

test("keys, values, pairs and sizes are those of all masters, each once, and clear() leaves other maps alone", async (t) => {
  const lib = loadFor(t, config());
  const [map, other] = [await filled(lib, 500), await filled(lib, 50, "other")];
  t.is(await map.size(), 500);
  t.deepEqual((await collect(map.keys())).sort(), numbers(500).map((i) => `k${i}`).sort());
  t.deepEqual((await collect(map.values())).sort(), numbers(500).map((i) => `v${i}`).sort());
  t.deepEqual((await map.toArray()).sort(), numbers(500).map((i) => [`k${i}`, `v${i}`]).sort());
  await map.clear();
  t.deepEqual([await map.size(), await other.size()], [0, 50]);
  t.is((await own.cluster.keys()).length, 50);
});

test("a scan sees each key of the slots that stay once, although others move while it runs, and those that moved before", async (t) => {
  t.timeout(60_000);
  const lib = loadFor(t, config({ CC_REDIS_SCAN_COUNT: 10, CC_REDIS_SCAN_COUNT_MAX: 10 }));
  const [still, moving] = [await filled(lib, 300, "still"), await filled(lib, 200, "{moving}")];
  const masters = await own.cluster.masters();
  const slot = await own.cluster.slotOf("{moving}:k1");
  const moves = async () => {
    const owner = await own.cluster.ownerOf(slot);
    await own.cluster.migrate(slot, masters[(masters.indexOf(owner) + 1) % 3], { keys: 25 });
  };
  for (let round = 0; round < 3; round++) {
    const [keys] = await Promise.all([collect(still.keys()), moves()]);
    t.deepEqual(keys.sort(), numbers(300).map((i) => `k${i}`).sort(), `round ${round}`);
    t.is(await moving.size(), 200);
  }
  await moving.clear();
  t.deepEqual(await own.cluster.keys("{moving}*"), []);
  t.is((await own.cluster.keys("still*")).length, 300);
});

for (const [moves, title] of [
  ["part", "a scan names the keys of a slot that was on its way before it and is so behind it, also those that go from one master to another between two parts"],
  ["whole", "a scan names the keys of a slot that goes from one master to another within it"],
]) {
  test(title, async (t) => {
    t.timeout(60_000);
    const lib = loadFor(t, config({ CC_REDIS_SCAN_COUNT: 10, CC_REDIS_SCAN_COUNT_MAX: 10 }));
    // The order in which masters are scanned is that in which they became known: whichever it is, one of these goes against it.
    const masters = await own.cluster.masters();
    for (const [from, to] of masters.flatMap((one) => masters.filter((other) => other !== one).map((other) => [one, other]))) {
      await Promise.all(masters.map((master) => master.command("FLUSHALL")));
      const still = await filled(lib, 300, "both");
      const { slot, names } = await slotAt(from, "both", 6);
      await Promise.all(names.map((name) => still.set(name, "v")));
      const move = own.cluster.mover(slot, to);
      if (moves === "part") await move.begin();
      const found = [];
      for await (const key of still.keys()) {
        found.push(key);
        if (found.length !== 150) continue;
        if (moves === "whole") await move.begin();
        await move.carry(moves === "part" ? 3 : 100);
        if (moves === "whole") await move.end();
      }
      await move.carry(100);
      if (moves === "part") await move.end();
      t.deepEqual(found.sort(), [...numbers(300).map((i) => `k${i}`), ...names].sort(), `from ${from.address} to ${to.address}`);
    }
  });
}

test("a scan names keys that are at a master which owns no slot yet", async (t) => {
  t.timeout(60_000);
  const lib = loadFor(t, config({ CC_REDIS_SCAN_COUNT: 10, CC_REDIS_SCAN_COUNT_MAX: 10 }));
  const map = await filled(lib, 100, "both");
  const fresh = await own.cluster.add();
  try {
    const [from] = await own.cluster.masters();
    const { slot, names } = await slotAt(from, "both", 4);
    await Promise.all(names.map((name) => map.set(name, "v")));
    const move = own.cluster.mover(slot, fresh);
    await move.begin();
    await move.carry(2);
    t.deepEqual((await collect(map.keys())).sort(), [...numbers(100).map((i) => `k${i}`), ...names].sort());
    t.is(await map.size(), 104);
    await map.clear();
    t.is((await fresh.command("KEYS", "*")).length, 0);
    await move.end();
    await own.cluster.migrate(slot, from);
  } finally {
    await own.cluster.remove(fresh);
  }
});

test("calls of one key keep their order while its slot moves to and fro", async (t) => {
  t.timeout(60_000);
  const lib = loadFor(t, config());
  const map = new lib.BaseMap("{order}");
  const masters = await own.cluster.masters();
  const slot = await own.cluster.slotOf("{order}:k");
  let running = true;
  const wrong = [];
  let calls = 0;
  const load = (async () => {
    for (let n = 1; running; n += 10) {
      const results = await Promise.all(
        numbers(10).map(async (i) => {
          calls += 2;
          const key = `k${i % 3}`;
          const value = String(n + i);
          const set = map.set(key, value);
          const got = await map.get(key);
          await set;
          return [got, value];
        }),
      );
      for (const [got, value] of results) if (got !== value) wrong.push(`${got} for ${value}`);
    }
  })();
  try {
    for (let round = 0; round < 12; round++) {
      const owner = await own.cluster.agreedOwnerOf(slot);
      await own.cluster.migrate(slot, masters[(masters.indexOf(owner) + 1) % 3], { keys: 1 });
    }
  } finally {
    running = false;
    await load;
  }
  t.deepEqual(wrong, []);
  t.true(calls > 100);
  const { moved, asked } = lib.stats().redis.cluster;
  t.true(moved + asked > 0, "it was redirected at all");
});

test("a password that the nodes refuse is said at once, as REDIS_AUTH, and is in no message", async (t) => {
  const lib = loadFor(t, config({ CC_REDIS_URL: own.cluster.urlOf({ credentials: ":not-it-at-all" }), CC_REDIS_TIMEOUT_MS: 600_000 }));
  const { error } = await outcome(new lib.BaseMap("ns").get("k"));
  t.is(error?.code, "REDIS_AUTH");
  t.regex(error.message, /^WRONGPASS /);
  t.false(`${error.message}${JSON.stringify(lib.health())}`.includes("not-it-at-all"));
});

test("a user with no more rights than deployment.md names", async (t) => {
  for (const node of own.cluster.nodes) await node.command("ACL", "SETUSER", "bot", "reset", ...leastRights());
  const lib = loadFor(t, config({ CC_REDIS_URL: own.cluster.urlOf({ credentials: "bot:password" }) }));
  const map = await filled(lib, 50, "last_price:bot");
  t.is(await map.size(), 50);
  await map.clear();
  t.is(await map.size(), 0);
  const { set, known } = signalsOf(lib);
  await set(7, "1");
  t.is(await known(7), "1");
  t.is(lib.health().nearCache.reason, null);
});

test("nodes that cannot be reached are passed over; where none can be, the error says so", async (t) => {
  const gone = [{ named: 1 }, { named: 2 }];
  const lib = loadFor(t, config({ CC_REDIS_URL: own.cluster.urlOf({ of: [...gone, own.cluster.nodes[2]] }) }));
  await new lib.BaseMap("ns").set("k", "v");
  const alone = loadFor(t, config({ CC_REDIS_URL: own.cluster.urlOf({ of: gone }), CC_REDIS_TIMEOUT_MS: 300 }));
  const { error } = await outcome(new alone.BaseMap("ns").get("k"));
  t.is(error?.code, "REDIS_UNAVAILABLE");
  t.regex(error.message, /GET ns:k.*ECONNREFUSED/);
});

test("a server that is in no cluster is said to be none", async (t) => {
  const { startRedis } = require("./support/redis.js");
  const server = await startRedis();
  t.teardown(() => server.stop());
  const lib = loadFor(t, config({ CC_REDIS_URL: `redis+cluster://127.0.0.1:${server.port}`, CC_REDIS_TIMEOUT_MS: 500 }));
  const { error } = await outcome(new lib.BaseMap("ns").get("k"));
  t.is(error?.code, "REDIS_UNAVAILABLE");
  t.regex(error.message, /cluster support disabled/);
});

test("nodes may be named by hosts, and redirects to addresses are followed", async (t) => {
  const lib = loadFor(t, config({ CC_REDIS_URL: own.cluster.urlOf({ host: "localhost" }) }));
  const map = await filled(lib, 30);
  t.is(await map.size(), 30);
});

test("rediss+cluster:// speaks TLS to every node, and verifies each", async (t) => {
  t.timeout(60_000);
  const [authority, other] = [new Authority(), new Authority("another authority")];
  t.teardown(() => [authority, other].forEach((one) => one.remove()));
  const cluster = await startCluster({ replicas: 0, tls: { authority, identity: authority.issue("server") } });
  t.teardown(() => cluster.stop());
  const lib = loadFor(t, { CC_REDIS_URL: cluster.urlOf(), CC_REDIS_TLS_CA: authority.cert });
  const map = await filled(lib, 60);
  t.is(await map.size(), 60);
  const { nodes } = lib.health().redis.cluster;
  t.deepEqual(nodes.filter(({ slots }) => slots > 0).map(({ server }) => server).sort(), cluster.nodes.map(({ address }) => address).sort());
  const wary = loadFor(t, { CC_REDIS_URL: cluster.urlOf(), CC_REDIS_TLS_CA: other.cert, CC_REDIS_TIMEOUT_MS: 500 });
  const { error } = await outcome(new wary.BaseMap("ns").get("k"));
  t.is(error?.code, "REDIS_UNAVAILABLE");
  t.regex(error.message, /TLS with 127.*certificate/);
});

test("close() ends the connections to all nodes, and the next call makes them anew", async (t) => {
  const lib = loadFor(t, config());
  const map = await filled(lib, 30);
  const waits = numbers(30).map((i) => map.get(`k${i}`));
  await lib.close();
  t.deepEqual(await Promise.all(waits), numbers(30).map((i) => `v${i}`));
  const connected = async () => {
    const lists = await Promise.all(own.cluster.nodes.map((node) => node.command("CLIENT", "LIST")));
    return lists.join("").split("name=backtest-kit-native").length - 1;
  };
  await until("nobody is connected", async () => (await connected()) === 0);
  t.is(await map.get("k1"), "v1");
});

test("a process with a cluster ends by itself when it has nothing to do", async (t) => {
  const env = Object.fromEntries(Object.entries(config()).map(([name, value]) => [name, String(value)]));
  const { code, stderr } = await runChild("idle", { env, args: ["many calls"] });
  t.is(code, 0, stderr);
});

const doctor = (url = own.cluster.urlOf()) => {
  const main = path.join(__dirname, "../cli/main.js");
  const env = { ...process.env, CC_REDIS_URL: url, CC_MONGO_CONNECTION_STRING: "mongodb://127.0.0.1:1/x", CC_MONGO_TIMEOUT_MS: "200" };
  return new Promise((resolve) => execFile(process.execPath, [main, "doctor"], { env }, (_, text) => resolve(text)));
};

test("doctor says at which masters this user may not do what is asked of each, and in the server's words", async (t) => {
  t.timeout(60_000);
  const addresses = (await own.cluster.masters()).map(({ address }) => address);
  const allow = async (nodes, without) => {
    for (const node of nodes) await node.command("ACL", "SETUSER", "seen", "reset", ...leastRights().filter((word) => word !== `+${without}`));
  };
  const url = own.cluster.urlOf({ credentials: "seen:password" });
  await allow(own.cluster.nodes);
  t.regex(await doctor(url), /each master announces changes and tells its slots/);
  for (const [without, command] of [["exists", "EXISTS"], ["cluster|nodes", "CLUSTER NODES"], ["cluster|getkeysinslot", "CLUSTER GETKEYSINSLOT"], ["client|tracking", "CLIENT TRACKING"]]) {
    const last = own.cluster.nodeAt(Number(addresses.at(-1).split(":")[1]));
    await allow([last], without);
    const told = await doctor(url);
    await allow([last]);
    const line = told.split("\n").find((one) => one.includes(command) && one.includes("NOPERM"));
    t.true(line?.includes(last.address), told);
    for (const address of addresses.slice(0, -1)) t.false(line?.includes(address), line);
    t.true(told.includes(`+${without}`), told);
    t.notRegex(told, /each master announces changes/);
  }
});

test("doctor names the masters of a cluster, and what they should not be set to", async (t) => {
  const set = async (value) => {
    for (const name of ["cluster-require-full-coverage", "cluster-allow-reads-when-down"]) {
      for (const node of own.cluster.alive) await node.command("CONFIG", "SET", name, value);
    }
  };
  const well = await doctor();
  for (const { address } of await own.cluster.masters()) t.true(well.includes(address), well);
  t.regex(well, /a cluster of 3 masters/);
  t.notRegex(well, /full-coverage|reads-when-down|cannot be reached/);
  await set("yes");
  const warned = await doctor();
  await set("no");
  const addresses = (await own.cluster.masters()).map(({ address }) => address);
  for (const name of ["cluster-require-full-coverage", "cluster-allow-reads-when-down"]) {
    const named = new RegExp(`${name} is on at (.*): `).exec(warned)?.[1].split(", ");
    t.deepEqual(named?.sort(), [...addresses].sort(), warned);
  }
  const last = own.cluster.nodeAt(Number(addresses.at(-1).split(":")[1]));
  await last.command("CONFIG", "SET", "cluster-require-full-coverage", "yes");
  const one = await doctor();
  await last.command("CONFIG", "SET", "cluster-require-full-coverage", "no");
  t.regex(one, new RegExp(`cluster-require-full-coverage is on at ${last.address}: `), "whichever it is");
});

test("a URL of a cluster with a database is refused, and its password is shown to nobody", (t) => {
  const lib = loadFor(t, {});
  t.throws(() => lib.setConfig({ CC_REDIS_URL: "redis+cluster://127.0.0.1:7000/1" }), { code: "INVALID_CONFIG", message: /^CC_REDIS_URL: .*database/ });
  t.throws(() => lib.setConfig({ CC_REDIS_URL: "redis+cluster://" }), { code: "INVALID_CONFIG", message: /^CC_REDIS_URL: / });
  lib.setConfig({ CC_REDIS_URL: "rediss+cluster://bot:hunter2@one:7000,two:5000" });
  t.is(lib.getConfig().CC_REDIS_URL, "rediss+cluster://bot:********@one:7000,two:5000");
});

for (const one of cases.filter(({ quick }) => quick)) {
  test(one.title, async (t) => {
    t.timeout(90_000);
    const { seconds, pause, ...report } = await one.run();
    t.log(`${JSON.stringify(report)}; writes paused for ${pause.toFixed(2)} s, and went on ${seconds.toFixed(2)} s after`);
    t.true(report.calls > 1_000);
    t.deepEqual([report.lost, report.wrong, report.stale], [0, 0, 0]);
    t.true(report.hits > 100, "there was something that could be stale");
  });
}

"use strict";

// The embedded store: what of it is not what servers do. That everything else is the same is shown by the same test files on it
// (`npm test -- ava-store`).

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { serial: test } = require("ava");
const { judge } = require("../scripts/store-kills/run.js");
const { root, collect, loadFor, loadFresh, outcome, until } = require("./support/addon.js");
const { folderFor } = require("./support/folder.js");

const NO_SERVERS = { CC_REDIS_URL: "redis://127.0.0.1:1", CC_MONGO_CONNECTION_STRING: "mongodb://127.0.0.1:1/none" };

const storeFor = (t, folder = folderFor(t), more = {}) => loadFor(t, { ...NO_SERVERS, CC_STORE_PATH: folder, ...more });

/** A program on the package, as a process of its own; resolves with what it printed. */
function run(program, env) {
  const child = spawn(process.execPath, ["-e", `const lib = require(${JSON.stringify(root)});\n${program}`], { env: { ...process.env, ...NO_SERVERS, ...env } });
  let out = "";
  child.stdout.on("data", (data) => (out += data));
  child.stderr.on("data", (data) => (out += data));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, out: out.trim() })));
}

test("with CC_STORE_PATH maps, ids and rows work without any server, and one file holds them", async (t) => {
  const folder = folderFor(t);
  const lib = storeFor(t, path.join(folder, "a", "b"));
  await lib.ioc.redisService.waitForInit();
  await lib.ioc.mongoService.waitForInit();
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  t.is(await map.get("k"), "v");
  await lib.ioc.signalDbService.upsert("S", "s", "e", { a: 1 });
  const row = await lib.ioc.signalDbService.findByContext("S", "s", "e");
  t.deepEqual(row.payload, { a: 1 });
  t.is(await lib.ioc.signalCacheService.getSignalId("S", "s", "e"), row.id);
  t.true(fs.existsSync(path.join(folder, "a", "b", "store.sqlite")));
});

test("what was acknowledged is there for the next process, and for one that runs beside", async (t) => {
  const folder = folderFor(t);
  const lib = storeFor(t, folder);
  await new lib.BaseMap("ns", -1).set("k", "from the first");
  const program = `(async () => {
    const map = new lib.BaseMap("ns", -1);
    console.log(await map.get("k"));
    await map.set("k", "from the second");
    await lib.ioc.riskDbService.upsert("r", "e", [1], new Date(5));
    process.exit(0);
  })()`;
  t.deepEqual(await run(program, { CC_STORE_PATH: folder }), { code: 0, out: "from the first" });
  t.is(await new lib.BaseMap("ns", -1).get("k"), "from the second");
  t.deepEqual((await lib.ioc.riskDbService.findByContext("r", "e")).positions, [1]);
});

test("many writes and reads of one tick come in their order", async (t) => {
  const lib = storeFor(t);
  const map = new lib.BaseMap("ns", -1);
  const answers = [];
  const calls = [];
  for (let i = 0; i < 500; i++) {
    calls.push(map.set("k", `${i}`), map.get("k").then((value) => answers.push(value)));
  }
  await Promise.all(calls);
  t.deepEqual(answers, Array.from({ length: 500 }, (_, i) => `${i}`));
});

test("a row that is asked for in the tick of its write is the written one", async (t) => {
  const lib = storeFor(t);
  const written = lib.ioc.stateDbService.upsert("sig", "bucket", { n: 1 }, new Date(1));
  const found = lib.ioc.stateDbService.findByContext("sig", "bucket");
  await written;
  t.deepEqual((await found).payload, { n: 1 });
});

test("a loop over reads does not starve timers", async (t) => {
  const lib = storeFor(t);
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  await lib.ioc.stateDbService.upsert("sig", "bucket", {}, new Date(1));
  for (const read of [() => map.get("k"), () => lib.ioc.stateDbService.findByContext("sig", "bucket")]) {
    let fired = false;
    setTimeout(() => (fired = true), 5);
    let count = 0;
    while (!fired && count < 1_000_000) {
      await read();
      count++;
    }
    t.true(fired, `${count} reads went by`);
  }
});

test("calls are carried out where process.nextTick is a test's own that has called back once, as jest's runAllTicks() does, and then no more", async (t) => {
  const { nextTick } = process;
  const ticks = [];
  process.nextTick = (call, ...args) => void ticks.push(() => call(...args));
  let lib;
  try {
    lib = storeFor(t);
  } finally {
    process.nextTick = nextTick;
  }
  const map = new lib.BaseMap("ns", -1);
  await Promise.all([map.set("k", "v"), lib.ioc.stateDbService.upsert("sig", "bucket", {}, new Date(1))]);
  for (const call of ticks.splice(0)) call();
  // Whoever has such ticks has something that goes on, and runs them later.
  const goesOn = setInterval(() => {}, 1_000);
  t.teardown(() => clearInterval(goesOn));
  for (let i = 0; i < 3; i++) {
    await map.set("k", i);
    t.is(await map.get("k"), String(i));
    await lib.ioc.stateDbService.upsert("sig", "bucket", { i }, new Date(1));
    t.is((await lib.ioc.stateDbService.findByContext("sig", "bucket")).payload.i, i);
  }
  t.true(ticks.length > 0, "the end of a tick is arranged by it");
});

test("scans come in pages, and size and clear know every key", async (t) => {
  const lib = storeFor(t);
  const [map, beside] = [new lib.BaseMap("ns", -1), new lib.BaseMap("ns2", -1)];
  await Promise.all(Array.from({ length: 2_345 }, (_, i) => map.set(`k${i}`, `v${i}`)));
  await beside.set("k", "v");
  t.is(await map.size(), 2_345);
  t.is(new Set(await collect(map.keys())).size, 2_345);
  t.is((await map.toArray()).length, 2_345);
  await map.clear();
  t.is(await map.size(), 0);
  t.is(await beside.size(), 1);
});

test("close() ends it, later calls open it anew, and setConfig may lead elsewhere in between", async (t) => {
  const [one, other] = [folderFor(t), folderFor(t)];
  const lib = storeFor(t, one);
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "one");
  t.throws(() => lib.setConfig({ CC_STORE_PATH: other }), { code: "INVALID_CONFIG" });
  await lib.close();
  lib.setConfig({ CC_STORE_PATH: other });
  t.is(await map.get("k"), null);
  await lib.close();
  lib.setConfig({ CC_STORE_PATH: one });
  t.is(await map.get("k"), "one");
});

test("after close() the one file holds everything: whoever copies it has what was written", async (t) => {
  const [folder, copied] = [folderFor(t), folderFor(t)];
  const lib = storeFor(t, folder);
  const map = new lib.BaseMap("ns", -1);
  await Promise.all(Array.from({ length: 100 }, (_, i) => map.set(`k${i}`, i)));
  t.is(await map.get("k0"), "0");
  await lib.close();
  t.deepEqual(fs.readdirSync(folder), ["store.sqlite"]);
  fs.copyFileSync(path.join(folder, "store.sqlite"), path.join(copied, "store.sqlite"));
  const copy = storeFor(t, copied);
  t.is(await new copy.BaseMap("ns", -1).size(), 100);
});

test("close() right after the first call leaves one file too, however far the opening has come", async (t) => {
  for (let round = 0; round < 40; round++) {
    const folder = folderFor(t);
    const lib = loadFresh({ ...NO_SERVERS, CC_STORE_PATH: folder });
    const written = new lib.BaseMap("ns", -1).set("k", "v");
    // Sooner or later within what opening takes.
    await new Promise((resolve) => setTimeout(resolve, round % 8));
    await Promise.all([written, lib.close()]);
    t.deepEqual(fs.readdirSync(folder), ["store.sqlite"]);
  }
});

test("stats() and health() tell of the store", async (t) => {
  const folder = folderFor(t);
  const lib = storeFor(t, folder);
  t.is(lib.stats().store, null);
  t.is(lib.health().store, null);
  await new lib.BaseMap("ns", -1).set("k", "v");
  const { store } = lib.health();
  t.like(store, { state: "ready", path: folder, lastError: null, waiting: 0 });
  t.regex(store.sqlite, /^3\.\d+\.\d+$/);
  const stats = lib.stats().store;
  t.true(stats.calls + stats.writes >= 1 && stats.commits >= 1, JSON.stringify(stats));
  await until(() => lib.stats().store.syncs >= 1, "the log was synced");
  await until(() => lib.stats().store.logBytes > 0, "the log's size is known");
});

test("getConfig shows the store's variables, and null is no store", (t) => {
  const lib = loadFor(t);
  t.like(lib.getConfig(), { CC_STORE_PATH: null, CC_STORE_TIMEOUT_MS: 10_000, CC_STORE_SYNC: "batch" });
  lib.setConfig({ CC_STORE_PATH: "./dump/native", CC_STORE_SYNC: "full" });
  t.like(lib.getConfig(), { CC_STORE_PATH: "./dump/native", CC_STORE_SYNC: "full" });
  t.throws(() => lib.setConfig({ CC_STORE_SYNC: "never" }), { code: "INVALID_CONFIG", message: /CC_STORE_SYNC/ });
});

test("with CC_STORE_SYNC=full each promise comes after a sync", async (t) => {
  const lib = storeFor(t, folderFor(t), { CC_STORE_SYNC: "full" });
  const map = new lib.BaseMap("ns", -1);
  for (let i = 1; i <= 5; i++) {
    await map.set("k", "v");
    t.true(lib.stats().store.syncs >= i);
  }
});

/** What every kind of call rejects with. */
async function codes(lib) {
  const map = new lib.BaseMap("ns", -1);
  const calls = [map.get("k"), map.set("k", "v"), map.size(), lib.ioc.riskDbService.findByContext("r", "e"), lib.ioc.riskDbService.upsert("r", "e", [], new Date(1)), lib.ioc.redisService.waitForInit(), lib.ioc.mongoService.waitForInit()];
  const outcomes = await Promise.all(calls.map(outcome));
  return [...new Set(outcomes.map(({ error }) => error?.code))];
}

test("a folder that cannot be made is STORE_UNAVAILABLE", async (t) => {
  const folder = folderFor(t);
  fs.writeFileSync(path.join(folder, "taken"), "a file");
  const lib = storeFor(t, path.join(folder, "taken", "within"));
  t.deepEqual(await codes(lib), ["STORE_UNAVAILABLE"]);
  t.is(lib.health().store.state, "failing");
  await lib.close();
});

test("a file that is no store is STORE_CORRUPT and stays as it is", async (t) => {
  const folder = folderFor(t);
  const words = "no store, but long enough to be one. ".repeat(100);
  fs.writeFileSync(path.join(folder, "store.sqlite"), words);
  t.deepEqual(await codes(storeFor(t, folder)), ["STORE_CORRUPT"]);
  t.is(fs.readFileSync(path.join(folder, "store.sqlite"), "utf8"), words);
});

// Windows lets nobody remove it.
(process.platform === "win32" ? test.skip : test)("a file that is removed while it is open is never made anew", async (t) => {
  const folder = folderFor(t);
  const lib = storeFor(t, folder);
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  fs.rmSync(path.join(folder, "store.sqlite"));
  await until(async () => (await outcome(map.set("k", "w"))).error?.code === "STORE_UNAVAILABLE", "writes are refused");
  t.is((await outcome(map.get("k"))).error?.code, "STORE_UNAVAILABLE");
  t.is((await outcome(lib.close())).error?.code, "STORE_UNAVAILABLE");
  t.false(fs.existsSync(path.join(folder, "store.sqlite")));
});

for (const [what, instead] of [
  ["removed", null],
  ["replaced", "another one"],
]) {
  (process.platform === "win32" ? test.skip : test)(`close() says that the file of what was acknowledged was ${what}, and the store is closed all the same`, async (t) => {
    const folder = folderFor(t);
    const file = path.join(folder, "store.sqlite");
    const lib = storeFor(t, folder);
    const map = new lib.BaseMap("ns", -1);
    await map.set("k", "v");
    fs.rmSync(file);
    if (instead !== null) fs.writeFileSync(file, instead);
    // Acknowledged or not: what was is gone.
    await outcome(lib.ioc.riskDbService.upsert("r", "e", [1], new Date(5)));
    const { error } = await outcome(lib.close());
    t.is(error?.code, "STORE_UNAVAILABLE");
    t.regex(error.message, /replaced or removed/);
    t.is(lib.health().store, null);
    t.is(fs.existsSync(file) ? fs.readFileSync(file, "utf8") : null, instead, "it is not touched");
    fs.rmSync(file, { force: true });
    t.is(await map.get("k"), null);
    await map.set("k", "w");
    t.is(await lib.close(), undefined);
  });
}

test("a process that is idle with an open store ends by itself", async (t) => {
  const program = `new lib.BaseMap("ns", -1).set("k", "v").then(() => console.log("written"))`;
  t.deepEqual(await run(program, { CC_STORE_PATH: folderFor(t) }), { code: 0, out: "written" });
});

test("a copy of the package that is evaluated anew uses the same store", async (t) => {
  const folder = folderFor(t);
  const one = storeFor(t, folder);
  const two = loadFresh({ ...NO_SERVERS, CC_STORE_PATH: folder });
  await one.ioc.riskDbService.upsert("r", "e", [1], new Date(5));
  t.deepEqual((await two.ioc.riskDbService.findByContext("r", "e")).positions, [1]);
  await two.close();
  await one.ioc.riskDbService.upsert("r", "e", [2], new Date(5));
  t.deepEqual((await one.ioc.riskDbService.findByContext("r", "e")).positions, [2]);
});

test("a second copy of the addon in one process is refused, because locks on files belong to the process", async (t) => {
  const folder = folderFor(t);
  const copy = path.join(folder, "copy");
  for (const name of ["js", "index.js", "package.json", ...fs.readdirSync(root).filter((file) => file.endsWith(".node"))]) {
    fs.cpSync(path.join(root, name), path.join(copy, name), { recursive: true });
  }
  const program = `(async () => {
    const other = require(${JSON.stringify(copy)});
    const [mine, theirs] = [lib, other].map(({ BaseMap }) => new BaseMap("ns", -1));
    await mine.set("k", "v");
    console.log(await theirs.get("k").catch((error) => error.code + ": " + error.message));
    await lib.close();
    console.log(await theirs.get("k"));
    process.exit(0);
  })()`;
  const { out } = await run(program, { CC_STORE_PATH: path.join(folder, "store") });
  const [refused, afterwards] = out.split("\n");
  t.regex(refused, /^STORE_UNAVAILABLE: another copy of backtest-kit-native/);
  t.is(afterwards, "v");
});

test("worker threads may end in the middle of their calls, and others go on", async (t) => {
  const program = `
    const { Worker } = require("node:worker_threads");
    const body = "const lib = require(" + JSON.stringify(${JSON.stringify(root)}) + "); const map = new lib.BaseMap('ns', -1); (async () => { for (let i = 0; ; i++) { await map.set('w' + i, 'v'); if (i === 0) require('node:worker_threads').parentPort.postMessage('written'); } })()";
    (async () => {
      const map = new lib.BaseMap("ns", -1);
      for (let round = 0; round < 5; round++) {
        const workers = [1, 2].map(() => new Worker(body, { eval: true }));
        await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once("message", resolve))));
        await map.set("k" + round, "v" + round);
        await Promise.all(workers.map((worker) => worker.terminate()));
      }
      for (let round = 0; round < 5; round++) console.log(await map.get("k" + round));
      process.exit((await map.size()) > 5 ? 0 : 1);
    })()`;
  t.deepEqual(await run(program, { CC_STORE_PATH: folderFor(t) }), { code: 0, out: "v0\nv1\nv2\nv3\nv4" });
});

test("filters and updates that need a server are refused as INVALID_VALUE, and change nothing", async (t) => {
  const lib = storeFor(t);
  const { logDbService } = lib.ioc;
  await logDbService.upsert("a", { list: [1, 2] });
  for (const filter of [{ $where: "true" }, { $expr: { $eq: [1, 1] } }, { "payload.list": { $mod: [2, 0] } }, { $text: { $search: "a" } }]) {
    t.is((await outcome(logDbService.findAll(filter))).error?.code, "INVALID_VALUE", JSON.stringify(filter));
  }
  const before = await logDbService.findByEntryId("a");
  t.is((await outcome(logDbService.update(before.id, { $set: { "payload.list.$[]": 5 } }))).error?.code, "INVALID_VALUE");
  t.deepEqual(await logDbService.findByEntryId("a"), before);
});

test("keys end by their time to live", async (t) => {
  const lib = storeFor(t);
  const map = new lib.BaseMap("ns", 1);
  await map.set("k", "v");
  t.is(await map.get("k"), "v");
  await until(async () => (await map.get("k")) === null, "the key is gone");
  t.deepEqual([await map.has("k"), await map.size()], [false, 0]);
});

test("a hundred processes that are killed leave nothing missing of what they had acknowledged", async (t) => {
  t.timeout(170_000);
  const { acknowledged, missing } = await judge({ kills: 100, seed: 20_261_126, lib: loadFresh() });
  t.deepEqual(missing, []);
  t.true(acknowledged > 1_000, `${acknowledged}`);
});

test("getRedis, getMongo and models that nobody has connected say what to use instead of servers", async (t) => {
  const folder = folderFor(t);
  const lib = storeFor(t, folder);
  const refused = { code: "INVALID_CONFIG", message: /CC_STORE_PATH is set \(.*\), so no server is used; .*, or unset CC_STORE_PATH to use servers$/ };
  t.throws(() => lib.getRedis(), { ...refused, message: /^getRedis: .*BaseMap/ });
  const { message } = await t.throwsAsync(() => lib.getMongo(), refused);
  t.regex(message, /^getMongo: .*services of ioc/);
  const mongoose = new (require("mongoose").Mongoose)();
  const Order = mongoose.model("order", new mongoose.Schema({ n: Number }));
  await t.throwsAsync(() => new (lib.BaseCRUD(Order))().create({ n: 1 }), { ...refused, message: /^BaseCRUD of a mongoose model: .*collection's name/ });
  // What it says works.
  await new (lib.BaseCRUD("risk-items"))().create({ riskName: "r", exchangeName: "e", positions: [], when: 1 });
  await lib.close();
  lib.setConfig({ CC_STORE_PATH: "" });
  t.notThrows(() => lib.getRedis().disconnect());
});

test("the judge of killed processes finds what was acknowledged and not written", async (t) => {
  t.timeout(170_000);
  const { missing } = await judge({ kills: 12, seed: 20_261_127, lies: true, lib: loadFresh() });
  t.true(missing.length > 0);
});

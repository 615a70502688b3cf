"use strict";

// The command line's copy, verify, backup, warm and doctor, as a user runs them: processes of their own, on stores, on servers, and
// on the files of the real backtest-kit. A million candles and 100,000 rows each way: `npm run test:copy`.

const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { serial: test } = require("ava");
const { ObjectId } = require("bson");
const { root, loadFor } = require("./support/addon.js");
const { SINCE, MINUTE, candle, cli, fill } = require("./support/copy.js");
const { folderFor } = require("./support/folder.js");
const { startMongo } = require("./support/mongo.js");
const { startRedis } = require("./support/redis.js");

const kit = path.join(root, "__test__", "kit", "node_modules", "backtest-kit");
const NO_SERVERS = { CC_REDIS_URL: "redis://127.0.0.1:1", CC_MONGO_CONNECTION_STRING: "mongodb://127.0.0.1:1/none" };

const storeFor = (t, folder) => loadFor(t, { ...NO_SERVERS, CC_STORE_PATH: folder, CC_CANDLE_IDS: "on" });

/** Both servers of one test, and their variables. */
async function serversFor(t) {
  const [redis, mongo] = await Promise.all([startRedis(), startMongo()]);
  t.teardown(() => Promise.all([redis.stop(), mongo.stop()]));
  return { redis, mongo, env: { ...redis.env, ...mongo.env, CC_CANDLE_IDS: "on" } };
}

const journals = (folder) => fs.readdirSync(folder).filter((name) => /^backtest-kit-native-copy-.*\.json$/.test(name));

test("everything goes from a store into servers and back, ids too, and verify finds it the same", async (t) => {
  const [one, other, work] = [folderFor(t), folderFor(t), folderFor(t)];
  const { redis, env } = await serversFor(t);
  const lib = storeFor(t, one);
  await fill(lib, { candles: 21_000, rows: 3_200 });
  await new lib.BaseMap("short", 1_000).set("k", Buffer.from([0xff, 0x00, 0xfe]));
  await lib.ioc.measureDbService.softRemove("bucket", "key-3");
  await lib.close();

  const there = await cli(["copy", "--from", one, "--to", "servers", "--json"], { env, cwd: work });
  t.is(there.code, 0, there.stderr);
  t.is(there.told.state, "done");
  t.deepEqual(there.told.collections["candle-items"], { read: 21_000, new: 21_000, newer: 0, kept: 0, before: 0 });
  t.is(Object.values(there.told.collections).reduce((sum, found) => sum + found.new, 0), 24_200);
  t.deepEqual(there.told.keys, { read: 21, added: 21, kept: 0, skipped: 0 });
  t.deepEqual(await redis.command("GET", "short:k"), Buffer.from([0xff, 0x00, 0xfe]));
  const rest = await redis.command("PTTL", "short:k");
  t.true(rest > 900_000 && rest <= 1_000_000, `${rest}`);
  t.deepEqual(journals(work), []);

  const same = await cli(["verify", "--from", one, "--to", "servers", "--ids", "--json"], { env, cwd: work });
  t.is(same.code, 0, same.stderr + same.stdout);
  const back = await cli(["copy", "--from", "servers", "--to", other], { env, cwd: work });
  t.is(back.code, 0, back.stderr);
  t.regex(back.stdout, /^done in \S+ \S+: 24,200 rows read, 24,200 new, 0 newer, 0 that were there; 21 of 21 keys of maps written$/m);
  t.is((await cli(["verify", "--from", one, "--to", other, "--ids"], { cwd: work })).code, 0);

  // Ids are those of the target, and rows are what they were.
  const read = storeFor(t, other);
  const row = await read.ioc.signalDbService.findByContext("S1", "strategy_one", "binance");
  t.is(await read.ioc.signalCacheService.getSignalId("S1", "strategy_one", "binance"), row.id);
  t.is(String(await redis.command("GET", "signal_cache:binance:strategy_one:S1")), row.id);
  t.is(row.payload.far, Infinity);
  t.true((await read.ioc.measureDbService.findByKey("bucket", "key-3")).removed);
  t.is((await read.ioc.candleDbService.findRange("BTCUSDT", "1m", "binance", SINCE, 21_000)).length, 21_000);
});

test("a second copy changes nothing, and verify names what differs and ends with 1", async (t) => {
  const [one, other] = [folderFor(t), folderFor(t)];
  const lib = storeFor(t, one);
  await fill(lib, { candles: 100, rows: 160 });
  await cli(["copy", "--from", one, "--to", other]);
  const again = await cli(["copy", "--from", one, "--to", other, "--json"]);
  t.is(again.code, 0);
  for (const [name, found] of Object.entries(again.told.collections)) t.deepEqual([found.new, found.newer, found.kept], [0, 0, found.read], name);
  t.deepEqual(again.told.keys, { read: 20, added: 0, kept: 20, skipped: 0 });
  await lib.ioc.riskDbService.upsert("risk 1", "binance", ["otherwise"], new Date(5));
  await lib.ioc.logDbService.upsert("only here", {});
  await new lib.BaseMap("prices", -1).set("key 1", "another");
  const differ = await cli(["verify", "--from", one, "--to", other, "--json"]);
  t.is(differ.code, 1);
  t.deepEqual(differ.told.collections["risk-items"].different, { count: 1, rows: [{ riskName: "risk 1", exchangeName: "binance" }] });
  t.deepEqual(differ.told.collections["log-items"].missing, { count: 1, rows: [{ entryId: "only here" }] });
  t.true(differ.told.collections["candle-items"].same);
  t.deepEqual(differ.told.keys.different, { count: 1, keys: ["prices:key 1"] });
  t.regex((await cli(["verify", "--from", one, "--to", other])).stdout, /^risk-items: 1 not the same, such as \{"riskName":"risk 1"/m);
  const backwards = await cli(["verify", "--from", other, "--to", one, "--json"]);
  t.is(backwards.told.collections["log-items"].extra.count, 1);
});

for (const kind of ["store", "servers"]) {
  test(`rows that meet in a target of ${kind}: the newer one wins under the first one's id, of candles the first stays, keys only where absent`, async (t) => {
    const [one, other] = [folderFor(t), folderFor(t)];
    const servers = kind === "servers" ? await serversFor(t) : null;
    const target = servers ? "servers" : other;
    const theirs = servers ? loadFor(t, { ...servers.env, CC_STORE_PATH: "" }) : storeFor(t, other);
    await theirs.ioc.signalDbService.upsert("S", "s", "e", { from: "target" });
    await theirs.ioc.measureDbService.upsert("b", "removed here", { from: "target" });
    await theirs.ioc.candleDbService.createMany([{ ...candle(0), close: 7 }]);
    await new theirs.BaseMap("m", -1).set("k", "target");
    const before = await theirs.ioc.signalDbService.findByContext("S", "s", "e");
    const lib = storeFor(t, one);
    await lib.ioc.logDbService.upsert("l", { from: "source" });
    await new Promise((resolve) => setTimeout(resolve, 5));
    await lib.ioc.signalDbService.upsert("S", "s", "e", { from: "source" });
    await lib.ioc.measureDbService.upsert("b", "removed here", { from: "source" });
    await lib.ioc.measureDbService.softRemove("b", "removed here");
    await lib.ioc.candleDbService.createMany([candle(0), candle(1)]);
    await new lib.BaseMap("m", -1).set("k", "source");
    await new lib.BaseMap("m", -1).set("new", "source");
    await theirs.ioc.logDbService.upsert("l", { from: "target, later" });
    const copied = await cli(["copy", "--from", one, "--to", target, "--json"], { env: servers?.env, cwd: other });
    t.is(copied.code, 0, copied.stderr);
    t.like(copied.told.collections["signal-items"], { new: 0, newer: 1, kept: 0 });
    t.like(copied.told.collections["log-items"], { new: 0, newer: 0, kept: 1 });
    t.like(copied.told.collections["candle-items"], { new: 1, newer: 0, kept: 1 });
    t.deepEqual(copied.told.keys, { read: 2, added: 1, kept: 1, skipped: 0 });

    const { ioc, BaseMap } = servers ? loadFor(t, { ...servers.env, CC_STORE_PATH: "" }) : storeFor(t, other);
    const after = await ioc.signalDbService.findByContext("S", "s", "e");
    const source = await lib.ioc.signalDbService.findByContext("S", "s", "e");
    t.deepEqual([after.payload, after.id, after.createDate, after.updatedDate], [{ from: "source" }, before.id, before.createDate, source.updatedDate]);
    t.is(await ioc.signalCacheService.getSignalId("S", "s", "e"), before.id);
    t.true((await ioc.measureDbService.findByKey("b", "removed here")).removed);
    t.deepEqual((await ioc.logDbService.findByEntryId("l")).payload, { from: "target, later" });
    const candles = await ioc.candleDbService.findRange("BTCUSDT", "1m", "binance", SINCE, 2);
    t.deepEqual(candles.map(({ close }) => close), [7, 1]);
    t.deepEqual([await new BaseMap("m", -1).get("k"), await new BaseMap("m", -1).get("new")], ["target", "source"]);
  });
}

test("a row whose _id another row of the servers has gets one of its own, and both stay", async (t) => {
  const one = folderFor(t);
  const { mongo, env } = await serversFor(t);
  const lib = storeFor(t, one);
  await lib.ioc.riskDbService.upsert("ours", "e", [], new Date(1));
  await lib.ioc.candleDbService.createMany([candle(0), candle(1)]);
  const row = await lib.ioc.riskDbService.findByContext("ours", "e");
  const [first] = await lib.ioc.candleDbService.findRange("BTCUSDT", "1m", "binance", SINCE, 1);
  await lib.close();
  await mongo.insert("risk-items", [{ _id: new ObjectId(row.id), riskName: "theirs", exchangeName: "e", positions: ["theirs"] }]);
  await mongo.insert("candle-items", [{ ...candle(5), _id: new ObjectId(first.id) }]);
  const copied = await cli(["copy", "--from", one, "--to", "servers", "--json"], { env, cwd: one });
  t.is(copied.code, 0, copied.stderr);
  t.deepEqual([copied.told.collections["risk-items"].new, copied.told.collections["candle-items"].new], [1, 2]);
  const { ioc } = loadFor(t, { ...env, CC_STORE_PATH: "" });
  const [theirs, ours] = await Promise.all(["theirs", "ours"].map((name) => ioc.riskDbService.findByContext(name, "e")));
  t.is(theirs.id, row.id);
  t.deepEqual(theirs.positions, ["theirs"]);
  t.not(ours.id, row.id);
  t.is(await ioc.riskCacheService.getRiskId("ours", "e"), ours.id);
  const candles = await Promise.all([0, 1, 5].map((i) => ioc.candleDbService.findBySymbolIntervalTimestamp("BTCUSDT", "1m", "binance", SINCE + i * MINUTE)));
  t.deepEqual(candles.map(({ close }) => close), [0, 1, 5]);
  t.is(candles[2].id, first.id);
});

test("Ctrl-C ends a copy after its batch and says how to go on; started again it goes on there", async (t) => {
  const one = folderFor(t);
  const lib = storeFor(t, one);
  await fill(lib, { candles: 45_000, rows: 8_000 });
  await lib.close();
  const interrupted = await firstInterrupted(t, one, "SIGINT");
  t.is(interrupted.code, 1);
  t.regex(interrupted.stderr, /stopping after this batch/);
  t.regex(interrupted.stdout, /^interrupted in .*\nto go on: npx backtest-kit-native copy --from \S+ --to \S+$/m);
  t.is(journals(interrupted.target).length, 1);
  const rest = await cli(["copy", "--from", one, "--to", interrupted.target, "--json"]);
  t.is(rest.code, 0, rest.stderr);
  t.regex(rest.stderr, /an earlier run was interrupted: it goes on there/);
  const { before, read } = rest.told.collections["candle-items"];
  t.true(before > 0, "what was done is not done again");
  t.is(before + read, 45_000);
  t.deepEqual(journals(interrupted.target), []);
  t.is((await cli(["verify", "--from", one, "--to", interrupted.target, "--ids"])).code, 0);
});

test("a copy that was killed goes on where its journal says, and nothing is missing", async (t) => {
  const one = folderFor(t);
  const lib = storeFor(t, one);
  await fill(lib, { candles: 45_000, rows: 1_600 });
  await lib.close();
  const killed = await firstInterrupted(t, one, "SIGKILL");
  t.is(killed.code, null);
  const rest = await cli(["copy", "--from", one, "--to", killed.target, "--json"]);
  t.is(rest.code, 0, rest.stderr);
  t.true(rest.told.collections["candle-items"].before > 0);
  t.is((await cli(["verify", "--from", one, "--to", killed.target, "--ids"])).code, 0);
});

test("a target that was emptied after an interrupted copy is filled from the beginning", async (t) => {
  const one = folderFor(t);
  const lib = storeFor(t, one);
  await fill(lib, { candles: 45_000, rows: 1_600 });
  await lib.close();
  const { target } = await firstInterrupted(t, one, "SIGKILL");
  for (const name of fs.readdirSync(target)) if (name.startsWith("store.sqlite")) fs.rmSync(path.join(target, name));
  t.is(journals(target).length, 1);
  const rest = await cli(["copy", "--from", one, "--to", target, "--json"]);
  t.is(rest.code, 0, rest.stderr);
  t.is(rest.told.collections["candle-items"].read, 45_000);
  t.is((await cli(["verify", "--from", one, "--to", target, "--ids"])).code, 0);
});

for (const kind of ["store", "servers"]) {
  test(`a target of ${kind} that was emptied after an interrupted copy, and that others have filled since, is filled from the beginning`, async (t) => {
    const one = folderFor(t);
    const servers = kind === "servers" ? await serversFor(t) : null;
    const lib = storeFor(t, one);
    await fill(lib, { candles: 45_000, rows: 160 });
    await lib.close();
    const { target, given } = await firstInterrupted(t, one, "SIGKILL", servers?.env);
    if (servers) await servers.mongo.drop();
    else for (const name of fs.readdirSync(target)) if (name.startsWith("store.sqlite")) fs.rmSync(path.join(target, name));
    const theirs = servers ? loadFor(t, { ...servers.env, CC_STORE_PATH: "" }) : storeFor(t, target);
    for (let from = 0; from < 45_000; from += 5_000) {
      await theirs.ioc.candleDbService.createMany(Array.from({ length: 5_000 }, (_, i) => candle(from + i, "ETHUSDT")));
    }
    await theirs.close();
    t.is(journals(target).length, 1);
    const rest = await cli([...given, "--json"], { env: servers?.env, cwd: target });
    t.is(rest.code, 0, rest.stderr);
    t.like(rest.told.collections["candle-items"], { read: 45_000, new: 45_000, before: 0 });
  });
}

/** Whether a copy has written some rows of a collection, and not all. */
function isUnderWay(target) {
  const parts = journals(target).flatMap((name) => Object.values(JSON.parse(fs.readFileSync(path.join(target, name), "utf8")).parts));
  return parts.some(({ rows, over }) => rows > 0 && !over);
}

/**
 * A copy that got a signal once it was under way, into a store of its own, or into servers with these variables. It may be through
 * before that arrives; then it is done again.
 */
async function firstInterrupted(t, from, signal, servers) {
  for (let attempt = 0; attempt < 10; attempt++) {
    const target = folderFor(t);
    const given = ["copy", "--from", from, "--to", servers ? "servers" : target];
    let sent = false;
    const onText = (text, child) => {
      if (!sent && isUnderWay(target)) sent = child.kill(signal);
    };
    const watch = setInterval(() => running && onText("", running), 1);
    let running = null;
    const told = await cli(given, { env: servers, cwd: target, onText: (text, child) => ((running = child), onText(text, child)) });
    clearInterval(watch);
    if (sent && told.code !== 0) return { ...told, target, given };
    if (told.code !== 0) throw new Error(`a copy failed before it was interrupted: ${told.stderr}`);
  }
  throw new Error("ten copies were through before they could be interrupted");
}

for (const signal of ["SIGINT", "SIGKILL"]) {
  test(`a copy of the kit's files that ${signal} has ended goes on where it was, and still names the files that it has left out`, async (t) => {
    const files = folderFor(t);
    const folder = path.join(files, "data", "log", "log");
    fs.mkdirSync(folder, { recursive: true });
    for (let i = 0; i < 9_000; i++) fs.writeFileSync(path.join(folder, `entry-${i}.json`), JSON.stringify({ id: `entry-${i}`, i }));
    // The first of all: the run that is interrupted has seen it.
    const broken = path.join(folder, "broken.json");
    fs.writeFileSync(broken, "{");
    const interrupted = await firstInterrupted(t, path.join(files, "data"), signal);
    t.is(journals(interrupted.target).length, 1);
    const rest = await cli([...interrupted.given, "--json"]);
    t.is(rest.code, 3, rest.stderr);
    const { before, read } = rest.told.collections["log-items"];
    t.true(before > 0, "what was done is not done again");
    t.is(before + read, 9_000);
    t.is(rest.told.unread.count, 1);
    t.regex(rest.told.unread.files[0], /broken\.json: .*JSON/);
    t.deepEqual(journals(interrupted.target), []);
    fs.rmSync(broken);
    t.is((await cli(["verify", "--from", path.join(files, "data"), "--to", interrupted.target])).code, 0);
  });
}

/** A program with the real kit in a folder, whose file adapters write there. */
const kitIn = (folder, program) => execFileSync(process.execPath, ["-e", `const kit = require(${JSON.stringify(kit)}); (async () => { ${program} })()`], { cwd: folder, encoding: "utf8" });

for (const symbol of ["BTCUSDT", "SOL/USDT:USDT"]) test(`what the real kit has written of ${symbol} to its files is read from the store as the kit itself reads it`, async (t) => {
  const [work, to] = [folderFor(t), folderFor(t)];
  const calls = `
    const symbol = "${symbol}";
    const when = new Date(${SINCE});
    const signal = { id: "sig-1", symbol, strategyName: "jan_2026_strategy", exchangeName: "ccxt_binance", frameName: "jan_2026", minuteEstimatedTime: Infinity, multiplier: 1, isolated: false, priceOpen: 5 };
    const context = [symbol, "jan_2026_strategy", "ccxt_binance"];
    const of = {
      Signal: [context, [], signal], Schedule: [context, [], signal], Strategy: [context, [], { closedSignal: signal, cancelledSignal: null }],
      Risk: [["my_risk", "ccxt_binance"], [], [["key", { ...signal, multiplier: undefined }]]], Partial: [context, ["sig-1", when], { a: { b: 1 } }], Breakeven: [context, ["sig-1", when], {}],
      Storage: [[true], [], [signal, { ...signal, id: "sig-2" }]], Notification: [[false], [], [{ id: "note-1", type: "x" }]], Log: [[], [], [{ id: "log-1", topic: "t" }]],
      Measure: [["cache_1m_0"], ["key:1"], { data: 1, removed: false }], Interval: [["fired_1m_0"], ["key:1", when], { data: 2, removed: false }],
      Memory: [["sig-1", "bucket"], ["memory 1", when], { data: 3, removed: false }], Recent: [[...context, "jan_2026", true], [when], signal],
      State: [["sig-1", "bucket"], [when], { n: 1 }], Session: [["jan_2026_strategy", "ccxt_binance", "jan_2026", symbol, true], [when], { s: 1 }],
    };
    // The kit makes no folder for what comes after the slash in a file's name.
    if (symbol.includes("/")) for (const name of ["Signal", "Schedule", "Recent", "Session"]) delete of[name];`;
  kitIn(work, `${calls}
    for (const [name, [context, more, data]] of Object.entries(of)) {
      const one = new kit["Persist" + name + "Instance"](...context);
      await one.waitForInit(true);
      await one["write" + (name === "Risk" ? "Position" : name) + "Data"](data, ...more);
    }
    const memory = new kit.PersistMemoryInstance("sig-1", "bucket");
    await memory.writeMemoryData({ data: 4, removed: false }, "gone", when);
    await memory.removeMemoryData("gone");
    const candles = new kit.PersistCandleInstance(symbol, "1m", "ccxt_binance");
    await candles.waitForInit(true);
    await candles.writeCandlesData(Array.from({ length: 200 }, (_, i) => ({ timestamp: ${SINCE - 200 * MINUTE} + i * ${MINUTE}, open: i, high: i + 0.5, low: 0, close: i, volume: 1 })));
  `);
  const read = (Persist, name) => `
    const told = {};
    for (const [name, [context, more]] of Object.entries(of)) {
      const one = new ${Persist}(...context);
      told[name] = await one["read" + (name === "Risk" ? "Position" : name) + "Data"](...more);
    }
    const memory = new ${Persist.replace("+ name +", '+ "Memory" +')}("sig-1", "bucket");
    told.list = [];
    for await (const entry of memory.listMemoryData()) told.list.push(entry);
    const candles = new ${Persist.replace("+ name +", '+ "Candle" +')}(symbol, "1m", "ccxt_binance");
    told.candles = await candles.readCandlesData(200, ${SINCE - 200 * MINUTE}, ${SINCE});
    console.log(require("node:util").inspect(told, { depth: 9, maxArrayLength: null, breakLength: Infinity, sorted: true }));
    ${name}
  `;
  fs.writeFileSync(path.join(work, "dump", "data", "log", "log", ".tmp-abc-log-2.json"), "{");
  fs.mkdirSync(path.join(work, "dump", "data", "partial", "broken_one"), { recursive: true });
  fs.writeFileSync(path.join(work, "dump", "data", "partial", "broken_one", "x.json"), "{");
  const copied = await cli(["copy", "--from", "./dump/data", "--to", to, "--json"], { cwd: work });
  t.deepEqual([copied.code, copied.told.state], [3, "incomplete"], copied.stderr);
  t.is(copied.told.unread.count, 1);
  t.regex(copied.told.unread.files[0], /^dump\/data\/partial\/broken_one\/x\.json: .*JSON/);
  const files = kitIn(work, calls + read('kit["Persist" + name + "Instance"]', ""));
  const lib = `const lib = require(${JSON.stringify(root)}); lib.setConfig({ CC_STORE_PATH: ${JSON.stringify(to)} });`;
  const store = kitIn(work, lib + calls + read('lib["Persist" + name + "Instance"]', "await lib.close();"));
  t.is(store, files);
  fs.rmSync(path.join(work, "dump", "data", "partial", "broken_one"), { recursive: true });
  t.is((await cli(["verify", "--from", "./dump/data", "--to", to], { cwd: work })).code, 0);
  t.is((await cli(["copy", "--from", to, "--to", "./dump/data"], { cwd: work })).code, 2);
});

test("a file whose row cannot be told from its path is named and the copy is incomplete, with an exit code of its own; --exchange tells it", async (t) => {
  const [work, to] = [folderFor(t), folderFor(t)];
  const folder = path.join(work, "data", "strategy", "BTCUSDT_a_b_c_d");
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, "strategy.json"), "null");
  const unknown = await cli(["copy", "--from", work, "--to", to, "--json"]);
  t.deepEqual([unknown.code, unknown.told.state, unknown.told.unread.count], [3, "incomplete", 1]);
  t.regex(unknown.told.unread.files[0], /--exchange <name> may help/);
  const forPeople = await cli(["copy", "--from", work, "--to", to]);
  t.is(forPeople.code, 3);
  t.regex(forPeople.stdout, /^incomplete in [^]*^1 file left out[^]*strategy\.json[^]*^incomplete: all else is in the target/m);
  t.notRegex(forPeople.stdout, /\bdone\b/);
  t.regex((await cli(["copy", "--help"])).stdout, /3 incomplete/);
  const known = await cli(["copy", "--from", work, "--to", to, "--exchange", "c_d", "--json"]);
  t.deepEqual([known.code, known.told.unread.count, known.told.collections["strategy-items"].new], [0, 0, 1]);
  const row = await storeFor(t, to).ioc.strategyDbService.findByContext("BTCUSDT", "a_b", "c_d");
  t.is(row.payload, null);
});

test("warm writes the ids of all rows to Redis again", async (t) => {
  const { redis, env } = await serversFor(t);
  const { ioc, close } = loadFor(t, { ...env, CC_STORE_PATH: "" });
  await ioc.signalDbService.upsert("S", "s", "e", {});
  await ioc.sessionDbService.upsert("s", "e", "f", {}, new Date(1));
  await ioc.candleDbService.createMany([candle(0)]);
  const { id } = await ioc.signalDbService.findByContext("S", "s", "e");
  await close();
  await redis.command("FLUSHALL");
  const told = await cli(["warm", "--json"], { env });
  t.is(told.code, 0, told.stderr);
  t.is(told.told.ids, 2);
  t.is(String(await redis.command("GET", "signal_cache:e:s:S")), id);
  t.is(await redis.command("DBSIZE"), 2);
  t.is((await cli(["warm", "--candles", "--json"], { env })).told.ids, 3);
  t.is(await redis.command("DBSIZE"), 3);
});

test("backup makes a store of one file while the store is in use, and takes the place of no file", async (t) => {
  const [one, copies] = [folderFor(t), folderFor(t)];
  const lib = storeFor(t, one);
  await fill(lib, { candles: 2_000, rows: 160 });
  const file = path.join(copies, "store.sqlite");
  const told = await cli(["backup", file, "--store", one]);
  t.is(told.code, 0, told.stderr);
  t.regex(told.stdout, /store\.sqlite: \d+\.\d MiB in \S+ s\n$/);
  await lib.ioc.logDbService.upsert("later", {});
  t.is((await cli(["verify", "--from", one, "--to", copies, "--json"])).told.collections["log-items"].missing.count, 1);
  const again = await cli(["backup", file, "--json"], { env: { CC_STORE_PATH: one } });
  t.is(again.code, 1);
  t.like(again.told, { command: "backup", state: "failed", code: "STORE_UNAVAILABLE" });
  t.regex(again.stderr, /it is there already, and a backup takes the place of nothing \(STORE_UNAVAILABLE\)/);
  t.is((await cli(["backup", "x.sqlite"])).code, 2);
});

test("doctor says what is fine and what is not, and what to do about it", async (t) => {
  const [one, text] = [folderFor(t), folderFor(t)];
  const { redis, mongo, env } = await serversFor(t);
  await fill(storeFor(t, one), { candles: 10, rows: 16 });
  const fine = await cli(["doctor"], { env: { CC_STORE_PATH: one, CC_STORE_PAHT: "x" } });
  t.is(fine.code, 0, fine.stdout);
  t.regex(fine.stdout, /✔ its binary is .*\.node$/m);
  t.regex(fine.stdout, /✔ the whole file was read: its pages, documents, keys and candles are sound$/m);
  t.regex(fine.stdout, /· CC_STORE_PAHT is set, and is no variable of this package\n {6}→ is it misspelt\?/);
  t.notRegex(fine.stdout, /MongoDB/);

  fs.writeFileSync(path.join(text, ".env"), `CC_STORE_PATH=${one}\n`);
  const fromFile = await cli(["doctor", "--json"], { cwd: text });
  t.deepEqual([fromFile.code, fromFile.stderr, fromFile.told.store.file], [0, "", path.join(one, "store.sqlite")]);
  fs.writeFileSync(path.join(text, "store.sqlite"), "no database ".repeat(500));
  const damaged = await cli(["doctor", "--store", text, "--json"]);
  t.is(damaged.code, 1);
  t.is(damaged.told.store.problem.code, "STORE_CORRUPT");

  const away = await cli(["doctor", "--json"], { env: { ...NO_SERVERS, CC_REDIS_TIMEOUT_MS: "200", CC_MONGO_TIMEOUT_MS: "200" } });
  t.deepEqual([away.code, away.told.servers], [1, { redis: { error: "REDIS_UNAVAILABLE" }, mongo: { error: "MONGO_UNAVAILABLE" } }]);
  t.true(away.told.findings.filter(({ level }) => level === "problem").every(({ advice }) => advice !== undefined));

  const row = { riskName: "r", exchangeName: "e" };
  await mongo.insert("risk-items", [{ ...row }, { ...row }]);
  await mongo.insert("log-items", [{ entryId: "l" }]);
  const servers = await cli(["doctor", "--json"], { env });
  t.is(servers.code, 1);
  t.is(servers.told.servers.mongo.collections["risk-items"].duplicates, 1);
  t.true(servers.told.servers.mongo.collections["log-items"].missing.includes("entryId_1"));
  t.is(servers.told.servers.redis.nearCache.state, "alive");
  await redis.command("ACL", "SETUSER", "default", "-client");
  const refused = await cli(["doctor"], { env });
  t.regex(refused.stdout, /· ids cannot be kept in memory: the server says NOPERM/);
});

test("what a server refuses in the middle of a command is one sentence with its code, and no stack", async (t) => {
  const one = folderFor(t);
  const { redis, env } = await serversFor(t);
  await fill(storeFor(t, one), { candles: 1, rows: 16 });
  await cli(["copy", "--from", one, "--to", "servers"], { env, cwd: one });
  await redis.command("ACL", "SETUSER", "default", "-set", "-scan");
  for (const args of [["warm"], ["verify", "--from", one, "--to", "servers"], ["copy", "--from", "servers", "--to", folderFor(t)]]) {
    const { code, told, stderr } = await cli([...args, "--json"], { env });
    t.is(code, 1, args[0]);
    t.like(told, { command: args[0], state: "failed", code: "REDIS_REPLY" });
    t.regex(stderr, args[0] === "copy" ? /NOPERM .*\(REDIS_REPLY\); started again, it goes on where it was\n$/ : /NOPERM .*\(REDIS_REPLY\)\n$/);
    t.notRegex(stderr, /^ {4}at /m);
  }
});

test("variables of the store that cannot be used are named by doctor, and backup does not begin with them", async (t) => {
  const one = folderFor(t);
  await fill(storeFor(t, one), { candles: 1, rows: 1 });
  for (const [name, value, words] of [
    ["CC_STORE_TIMEOUT_MS", "soon", /CC_STORE_TIMEOUT_MS: "soon" is not a whole number/],
    ["CC_STORE_SYNC", "never", /CC_STORE_SYNC: "never" is none of batch, full/],
  ]) {
    const env = { CC_STORE_PATH: one, [name]: value };
    const doctor = await cli(["doctor", "--json"], { env });
    t.is(doctor.code, 1);
    const [problem, ...others] = doctor.told.findings.filter(({ level }) => level === "problem");
    t.regex(problem.what, words);
    t.deepEqual(others, []);
    // The store itself is looked at all the same.
    t.is(doctor.told.store.check, "ok");
    const backup = await cli(["backup", path.join(one, "copy.sqlite"), "--json"], { env });
    t.is(backup.code, 2);
    t.is(backup.told.code, "INVALID_CONFIG");
    t.regex(backup.stderr, words);
    t.false(fs.existsSync(path.join(one, "copy.sqlite")));
  }
});

test("stores that are none, the same one twice, and options that are missing end with 2", async (t) => {
  const folder = folderFor(t);
  for (const [args, words] of [
    [["copy", "--from", folder], /copy needs --to/],
    [["copy", "--from", folder, "--to", folder], /is no store/],
    [["verify", "--from", folder, "--to", "servers", "--defaults", "mine"], /--defaults is mine/],
    [["verify"], /verify needs --from and --to/],
    [["backup"], /Usage: npx backtest-kit-native backup/],
  ]) {
    const { code, stdout, stderr } = await cli(args);
    t.deepEqual([code, stdout], [2, ""], args.join(" "));
    t.regex(stderr, words);
  }
  await fill(storeFor(t, folder), { candles: 1, rows: 1 });
  const same = await cli(["copy", "--from", folder, "--to", `${folder}/.`]);
  t.is(same.code, 2);
  t.regex(same.stderr, /are the same store/);
});

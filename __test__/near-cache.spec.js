"use strict";

// The near cache on a real server: what it answers, what takes an answer away, and that it lets others live.

const net = require("node:net");
const { serial: test } = require("ava");
const { killConnections, loadFor, serverFor, until, withRedis } = require("./support/addon.js");
const { LEASE_MS, becomes } = require("./support/near.js");
const { startProxy } = require("./support/proxy.js");

const own = withRedis(test, { config: { CC_NEAR_CACHE: "on" } });
const KEY = "signal_cache:x:s:B";
const row = (id) => ({ symbol: "B", strategyName: "s", exchangeName: "x", id });
const signals = () => own.lib.ioc.signalCacheService;
const get = () => signals().getSignalId("B", "s", "x");
const has = () => signals().hasSignalId("B", "s", "x");
const settings = (env) => Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
const config = (server, more) => ({ ...settings(server.env), ...more });

test.beforeEach(async () => {
  await own.server.command("FLUSHALL");
  await get();
});

test("who has the answer to a first read finds it counted", async (t) => {
  const before = own.lib.stats().nearCache;
  await Promise.all(["new 1", "new 2", "new 3"].map((symbol) => signals().getSignalId(symbol, "s", "x")));
  const after = own.lib.stats().nearCache;
  t.is(after.entries - before.entries, 3);
  t.is(after.fills - before.fills, 3);
  t.is(after.misses - before.misses, 3);
});

test("what was written or read once is answered without a command, absence too", async (t) => {
  await signals().setSignalId(row("1"));
  await signals().getSignalId("absent", "s", "x");
  const calls = await own.calls(async () => {
    for (let i = 0; i < 100; i++) {
      t.is(await get(), "1");
      t.true(await has());
      t.is(await signals().getSignalId("absent", "s", "x"), null);
      t.false(await signals().hasSignalId("absent", "s", "x"));
    }
  });
  t.deepEqual(calls, []);
});

for (const [what, change, expected] of [
  ["SET", [["SET", KEY, "2"]], "2"],
  ["DEL", [["DEL", KEY]], null],
  ["MSET", [["MSET", "other", "x", KEY, "2"]], "2"],
  ["RENAME", [["SET", "from", "2"], ["RENAME", "from", KEY]], "2"],
  ["COPY", [["SET", "from", "2"], ["COPY", "from", KEY, "REPLACE"]], "2"],
  ["EVAL", [["EVAL", "return redis.call('SET', KEYS[1], '2')", "1", KEY]], "2"],
  ["a transaction", [["MULTI"], ["SET", KEY, "2"], ["EXEC"]], "2"],
  ["FLUSHALL", [["FLUSHALL"]], null],
  ["an expiry", [["PEXPIRE", KEY, "30"]], null],
]) {
  test(`another client's change is seen: ${what}`, async (t) => {
    await signals().setSignalId(row("1"));
    t.is(await get(), "1");
    for (const words of change) await own.server.command(...words);
    await becomes(t, get, expected);
    await becomes(t, has, expected !== null);
  });
}

for (const [what, write, expected] of [
  ["a BaseMap over the same keys", (lib) => new lib.BaseMap("signal_cache", -1).set("x:s:B", "2"), "2"],
  ["a map with a time to live", (lib) => new lib.BaseMap("signal_cache", 60).set("x:s:B", "2"), "2"],
  ["a map over a part of the keys", (lib) => new lib.BaseMap("signal_cache:x", -1).set("s:B", "2"), "2"],
  ["a second instance", (lib) => new lib.SignalCacheService().setSignalId(row("2")), "2"],
  ["a subclass", (lib) => new (class extends lib.SignalCacheService {})().set("x:s:B", "2"), "2"],
  ["delete", (lib) => lib.ioc.signalCacheService.delete("x:s:B"), null],
  ["clear", (lib) => lib.ioc.signalCacheService.clear(), null],
  ["a clear of somebody else's map", (lib) => new lib.BaseMap("signal_cache").clear(), null],
]) {
  test(`a write of our own is seen at once: ${what}`, async (t) => {
    await signals().setSignalId(row("1"));
    t.is(await get(), "1");
    await write(own.lib);
    t.is(await get(), expected);
    t.is(await has(), expected !== null);
  });
}

test("every write is sent, also that of the id that the key holds already", async (t) => {
  const sent = await own.calls(async () => {
    for (let i = 0; i < 10; i++) t.is(await signals().setSignalId(row("1")), "1");
  });
  t.deepEqual(sent, Array(10).fill(["SET", KEY, "1"]));
  t.is(own.lib.stats().nearCache.skippedWrites, 0);
});

test("a write of the same id counts although somebody else's was done and is not announced yet", async (t) => {
  const proxy = await startProxy(own.server);
  t.teardown(() => proxy.stop());
  const lib = loadFor(t, { CC_NEAR_CACHE: "on", CC_REDIS_URL: proxy.url });
  const { signalCacheService: service } = lib.ioc;
  await service.setSignalId(row("1"));
  t.is(await service.getSignalId("B", "s", "x"), "1");
  const release = proxy.hold("down");
  await own.server.command("SET", KEY, "2");
  const written = service.setSignalId(row("1"));
  await until(async () => String(await own.server.command("GET", KEY)) === "1", "ours is the last write");
  release();
  t.is(await written, "1");
  t.is(String(await own.server.command("GET", KEY)), "1");
  t.is(await service.getSignalId("B", "s", "x"), "1");
});

test("BaseMap's own set always writes", async (t) => {
  const map = new own.lib.BaseMap("signal_cache", -1);
  await map.set("x:s:B", "1");
  t.deepEqual(await own.calls(() => map.set("x:s:B", "1")), [["SET", KEY, "1"]]);
});

test("EXISTS proves presence and no value", async (t) => {
  await own.server.command("HSET", KEY, "f", "v");
  await becomes(t, has, true);
  t.deepEqual(await own.calls(async () => t.true(await has())), []);
  const error = await t.throwsAsync(get);
  t.regex(error.message, /^WRONGTYPE/);
});

test("the log is the same for an answer from memory", async (t) => {
  await signals().setSignalId(row("1"));
  const seen = [];
  own.lib.setLogger({ log: (...args) => seen.push(["log", ...args]), info: (...args) => seen.push(["info", ...args]) });
  t.teardown(() => own.lib.setLogger(null));
  t.deepEqual(await own.calls(async () => t.is(await get(), "1")), []);
  t.deepEqual(seen, [
    ["log", "signalCacheService getSignalId", { symbol: "B", strategyName: "s", exchangeName: "x" }],
    ["info", "BaseMap get key=x:s:B"],
  ]);
});

test("off means that Redis is asked always", async (t) => {
  const server = await serverFor(t);
  const monitor = await server.monitor();
  const lib = loadFor(t, config(server, { CC_NEAR_CACHE: "off" }));
  const service = lib.ioc.signalCacheService;
  await service.setSignalId(row("1"));
  await monitor.settle();
  monitor.clear();
  for (let i = 0; i < 3; i++) await service.getSignalId("B", "s", "x");
  await service.setSignalId(row("1"));
  t.deepEqual((await monitor.calls()).map(([name]) => name.toUpperCase()), ["GET", "GET", "GET", "SET"]);
  t.is(lib.health().nearCache.state, "off");
  await monitor.stop();
});

test("its memory is bounded, and what it forgets is asked again", async (t) => {
  const server = await serverFor(t);
  const lib = loadFor(t, config(server, { CC_NEAR_CACHE: "on", CC_NEAR_CACHE_MAX_BYTES: 65536 }));
  const service = lib.ioc.logCacheService;
  for (let i = 0; i < 5000; i++) await service.setLogId({ entryId: `e${i}`, id: `${i}` });
  const { bytes, entries } = lib.stats().nearCache;
  t.true(bytes <= 65536 && entries > 100, `${entries} entries, ${bytes} bytes`);
  for (let i = 0; i < 5000; i += 97) t.is(await service.getLogId(`e${i}`), `${i}`);
});

test("a server that may not announce changes is used without the cache, and the logger is told once", async (t) => {
  const server = await serverFor(t);
  await server.command("ACL", "SETUSER", "bot", "on", ">pw", "~*", "+@all", "-client|tracking");
  const lib = loadFor(t, { CC_REDIS_URL: `redis://bot:pw@127.0.0.1:${server.port}`, CC_NEAR_CACHE: "on" });
  const warnings = [];
  lib.setLogger({ log() {}, info() {}, warn: (...args) => warnings.push(args) });
  const service = lib.ioc.signalCacheService;
  await service.setSignalId(row("1"));
  await server.command("SET", KEY, "2");
  t.is(await service.getSignalId("B", "s", "x"), "2");
  t.is(lib.health().nearCache.state, "refused");
  t.regex(lib.health().nearCache.reason, /^NOPERM/);
  t.is(warnings.length, 1);
  t.regex(warnings[0][0], /near cache.*NOPERM/);
});

test("that a server may not announce changes is told while it is there; when it comes back, the logger is not told again", async (t) => {
  const server = await serverFor(t, { args: ["--user", "bot", "on", ">pw", "~*", "+@all", "-client|tracking"] });
  const lib = loadFor(t, { CC_REDIS_URL: `redis://bot:pw@127.0.0.1:${server.port}`, CC_NEAR_CACHE: "on" });
  const warnings = [];
  lib.setLogger({ log() {}, info() {}, warn: (...args) => warnings.push(args) });
  const read = () => lib.ioc.signalCacheService.getSignalId("B", "s", "x");
  t.is(await read(), null);
  const { nearCache: refused } = lib.health();
  t.is(refused.state, "refused");
  t.regex(refused.reason, /^NOPERM/);
  await server.kill();
  await until(() => lib.health().redis.state !== "ready", "the connection is lost");
  const { redis, nearCache } = lib.health();
  t.deepEqual(nearCache, { state: "disconnected", reason: null });
  t.is(typeof redis.lastError, "string", "what there is to say of the connection stands there");
  await server.start();
  t.is(await read(), null);
  t.deepEqual(lib.health().nearCache, refused);
  t.is(warnings.length, 1);
});

test("after two silent seconds the next read asks, and memory answers again", async (t) => {
  await signals().setSignalId(row("1"));
  await new Promise((resolve) => setTimeout(resolve, LEASE_MS + 100));
  t.is(own.lib.health().nearCache.state, "expired");
  t.deepEqual((await own.calls(get)).map(([name]) => name), ["GET"]);
  t.is(own.lib.health().nearCache.state, "alive");
  t.deepEqual(await own.calls(get), []);
});

test("a killed connection takes everything away, and nothing old is served", async (t) => {
  await signals().setSignalId(row("1"));
  await killConnections(own.server);
  await own.server.command("SET", KEY, "2");
  await becomes(t, get, "2");
});

/** Milliseconds that this process has computed: those in which others had the core do not count. */
function computed() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** A million hits beside a 5 ms interval and a TCP server: the longest pause of the one, the answers of the other. */
async function millionHits(t) {
  let worst = 0;
  let last = computed();
  const beat = () => {
    const now = computed();
    worst = Math.max(worst, now - last);
    last = now;
  };
  const timer = setInterval(beat, 5);
  const server = net.createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1");
  let answers = 0;
  let client;
  server.once("listening", () => {
    client = net.connect(server.address().port, "127.0.0.1");
    client.on("data", () => ++answers < 50 && client.write("ping")).write("ping");
  });
  let seen = null;
  let written = null;
  for (let i = 0; i < 1_000_000; i++) {
    const id = await get();
    if (i === 500_000) own.server.command("SET", KEY, "2").then(() => (written = performance.now()));
    if (id === "2" && seen === null) seen = performance.now();
  }
  beat();
  clearInterval(timer);
  client.destroy();
  server.close();
  const late = (seen - written).toFixed(2);
  t.log(`longest pause of the interval: ${worst.toFixed(1)} ms of work; foreign write seen ${late} ms after its OK`);
  return { worst, answers, late: seen === null ? Infinity : seen - written };
}

test("a million hits let timers and servers live, and a foreign write is seen in their midst", async (t) => {
  let result;
  // Collections of garbage compute too, and the server may have to wait for a core; starvation lasts to the end.
  for (let attempt = 0; attempt < 3; attempt++) {
    await signals().setSignalId(row("1"));
    result = await millionHits(t);
    t.true(result.answers >= 50, `${result.answers} answers of the TCP server`);
    t.true(result.late < LEASE_MS);
    if (result.worst <= 20 && result.late <= 100) break;
  }
  t.true(result.worst <= 20, `the interval paused for ${result.worst} ms of work`);
  t.true(result.late <= 100, `the foreign write was seen after ${result.late} ms`);
});

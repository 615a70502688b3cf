"use strict";

// Nothing goes on in the background for nobody: a few attempts after an outage, and then it is quiet until the next call.
// And a server that answers on every connection but holds one command back is not met with ever more connections.

const dns = require("node:dns");
const { serial: test } = require("ava");
const { freePort } = require("./support/redis.js");
const { serverFor, loadFor, killConnections, connectionsOf, outcome, until } = require("./support/addon.js");
const { startProxy } = require("./support/proxy.js");
const { fakeFor, hello } = require("./support/fake-redis.js");
const { runChild } = require("./support/child.js");
const { Authority } = require("./support/certificates.js");
const { secureServerFor } = require("./support/tls.js");

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/** Longer than the longest pause between two attempts (PAUSE in src/redis/supervise.rs), several times over. */
const LONG_MS = 2500;

async function proxyFor(t, target) {
  const proxy = await startProxy(target);
  t.teardown(() => proxy.stop());
  return proxy;
}

const state = (lib) => lib.health().redis.state;
const rests = (lib) => until(() => state(lib) === "resting", "it rests");

/** Connections that a server has ever accepted; this connection is one of them, and stays the same. */
async function accepted(redis) {
  return Number(/total_connections_received:(\d+)/.exec(String(await redis.command("INFO", "stats")))[1]);
}

/** The next call does not wait for any schedule: the attempt is under way as soon as the call is flushed. */
async function connectsAtOnce(t, lib) {
  const call = new lib.BaseMap("ns", -1).get("k");
  await new Promise(setImmediate);
  t.true(["connecting", "ready"].includes(state(lib)), state(lib));
  return call;
}

test("a server that stays away is tried a few times after the last call, then left alone, and the next call connects at once", async (t) => {
  const redis = await serverFor(t);
  const proxy = await proxyFor(t, redis);
  const lib = loadFor(t, { CC_REDIS_URL: proxy.url, CC_REDIS_TIMEOUT_MS: 300, CC_NEAR_CACHE: "on" });
  const service = lib.ioc.signalCacheService;
  await service.setSignalId({ symbol: "S", strategyName: "s", exchangeName: "x", id: "1" });
  // Accepted and ended at once, so that every attempt is seen.
  proxy.resetAfter(0);
  proxy.cut();
  t.is((await outcome(service.getSignalId("S", "s", "other"))).error?.code, "REDIS_UNAVAILABLE");
  const before = proxy.accepted;
  await rests(lib);
  const { attempts, lastError } = lib.health().redis;
  // One was under way, and six follow.
  t.true(proxy.accepted - before <= 7, `${proxy.accepted - before} attempts for nobody`);
  t.true(attempts > 3 && lastError !== null);
  t.deepEqual(lib.health().nearCache, { state: "disconnected", reason: null });
  const quiet = proxy.accepted;
  await sleep(LONG_MS);
  t.is(proxy.accepted, quiet);
  t.is(state(lib), "resting");
  await proxy.heal();
  t.is(await connectsAtOnce(t, lib), null);
  t.is(proxy.accepted, quiet + 1);
  t.is(await service.getSignalId("S", "s", "x"), "1");
});

test("a server that is back soon is found without a call", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, { CC_REDIS_URL: redis.url });
  await new lib.BaseMap("ns").get("k");
  await killConnections(redis);
  await until(async () => state(lib) === "ready" && lib.stats().redis.connects === 2, "it is connected again");
  t.is((await connectionsOf(redis)).length, 1);
});

test("a wrong password is tried a few times after the last call, and then no more; set right, the next call succeeds", async (t) => {
  const redis = await serverFor(t, { password: "right" });
  const lib = loadFor(t, { CC_REDIS_PORT: redis.port, CC_REDIS_PASSWORD: "rotated" });
  const map = new lib.BaseMap("ns", -1);
  t.is((await outcome(map.get("k"))).error?.code, "REDIS_AUTH");
  await rests(lib);
  t.regex(lib.health().redis.lastError, /^WRONGPASS/);
  const quiet = await accepted(redis);
  await sleep(LONG_MS);
  t.is(await accepted(redis), quiet);
  t.is((await outcome(connectsAtOnce(t, lib))).error?.code, "REDIS_AUTH");
  await rests(lib);
  await redis.command("CONFIG", "SET", "requirepass", "rotated");
  t.is(await connectsAtOnce(t, lib), null);
});

test("a certificate that is not trusted is looked at a few times after the last call, and then no more", async (t) => {
  const [own, other] = [new Authority(), new Authority("another authority")];
  t.teardown(() => [own, other].forEach((authority) => authority.remove()));
  const redis = await secureServerFor(t, other, other.issue("stranger"));
  const config = { CC_REDIS_URL: redis.secure(), CC_REDIS_TLS_CA: own.cert, CC_REDIS_TIMEOUT_MS: 600_000 };
  const lib = loadFor(t, config);
  t.is((await outcome(new lib.BaseMap("ns").get("k"))).error?.code, "REDIS_UNAVAILABLE");
  await rests(lib);
  t.regex(lib.health().redis.lastError, /certificate is not trusted/);
  const quiet = await accepted(redis);
  await sleep(LONG_MS);
  t.is(await accepted(redis), quiet);
  t.is((await outcome(connectsAtOnce(t, lib))).error?.code, "REDIS_UNAVAILABLE");
});

test("no name is looked up for nobody; the next call looks it up and connects", async (t) => {
  const redis = await serverFor(t);
  const { lookup } = dns;
  t.teardown(() => (dns.lookup = lookup));
  let asked = 0;
  dns.lookup = (host, ...rest) => {
    if (host !== "quiet.test") return lookup(host, ...rest);
    asked++;
    return process.nextTick(rest.at(-1), null, [{ address: "127.0.0.1", family: 4 }]);
  };
  const lib = loadFor(t, { CC_REDIS_URL: `redis://quiet.test:${redis.port}` });
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  t.is(asked, 1);
  await killConnections(redis);
  await rests(lib);
  t.is(asked, 1);
  t.is(await map.get("k"), "v");
  t.is(asked, 2);
});

test("close() ends a rest like everything else, and configuration may change", async (t) => {
  const port = await freePort();
  const lib = loadFor(t, { CC_REDIS_URL: `redis://127.0.0.1:${port}`, CC_REDIS_TIMEOUT_MS: 50 });
  t.is((await outcome(new lib.BaseMap("ns").get("k"))).error?.code, "REDIS_UNAVAILABLE");
  await rests(lib);
  t.throws(() => lib.setConfig({ CC_REDIS_TIMEOUT_MS: 60 }), { code: "INVALID_CONFIG" });
  await lib.close();
  t.is(state(lib), "idle");
  lib.setConfig({ CC_REDIS_TIMEOUT_MS: 60 });
  t.is((await outcome(new lib.BaseMap("ns").get("k"))).error?.code, "REDIS_UNAVAILABLE");
});

test("a process whose resolver is slow ends with the answer to the one question that a call has asked", async (t) => {
  // Longer than an attempt waits (LOOKUP_LIMIT in src/redis/supervise.rs), after which another question could be asked.
  const env = { CC_REDIS_URL: "redis://slow.test:1", CC_REDIS_TIMEOUT_MS: "200" };
  const { code, stderr, lines } = await runChild("resolver", { env, args: ["9500"] });
  t.deepEqual([code, stderr], [0, ""]);
  t.is(lines[0].code, "REDIS_UNAVAILABLE");
  t.is(lines[1].asked, 1);
});

/** How often the watchdog may replace a connection in twelve seconds, when each has twice the time of the one before. */
const REPLACED = 3;

test("a server that pauses writes for twelve seconds costs a handful of connections, and the write is answered at the end", async (t) => {
  const redis = await serverFor(t);
  const proxy = await proxyFor(t, redis);
  const lib = loadFor(t, { CC_REDIS_URL: proxy.url, CC_REDIS_TIMEOUT_MS: 60_000 });
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "before");
  const [connects, began] = [lib.stats().redis.connects, performance.now()];
  await redis.command("CLIENT", "PAUSE", "12000", "WRITE");
  await map.set("k", "after");
  t.true(performance.now() - began > 11_000, "it was paused");
  t.is(String(await redis.command("GET", "ns:k")), "after");
  const replaced = lib.stats().redis.connects - connects;
  t.true(replaced >= 1 && replaced <= REPLACED, `${replaced} replacements`);
  t.is((await connectionsOf(redis)).length, 1);
  // An answer has come, so the next dead connection is noticed as soon as the first.
  proxy.strand();
  const cut = performance.now();
  t.is(await map.get("k"), "after");
  t.true(performance.now() - cut < 5000, "it was noticed with the first patience");
});

test("a proxy that answers PING for a server that does not answer is not met with ever more connections", async (t) => {
  const fake = await fakeFor(t, () => undefined, ([name], _, id) => (name === "HELLO" ? hello(id) : name === "PING" ? "+PONG\r\n" : "+OK\r\n"));
  const lib = loadFor(t, { ...fake.config, CC_REDIS_TIMEOUT_MS: 12_000 });
  t.is((await outcome(new lib.BaseMap("ns").get("k"))).error?.code, "REDIS_TIMEOUT");
  const { connects } = lib.stats().redis;
  t.true(connects >= 2 && connects <= 1 + REPLACED, `${connects} connections`);
  const accepted = fake.connections;
  await sleep(LONG_MS);
  t.is(fake.connections, accepted, "and nobody looks while nobody waits");
});

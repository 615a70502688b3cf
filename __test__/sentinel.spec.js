"use strict";

// Redis Sentinel: real sentinels and real servers. `npm run test:cluster` plays the failures that take longer.

const { serial: test } = require("ava");
const cases = require("./cluster/cases/sentinel.js");
const { loadFor } = require("./support/addon.js");
const { Authority } = require("./support/certificates.js");
const { runChild } = require("./support/child.js");
const { NAME, PASSWORD, startSentinels, until } = require("./support/sentinels.js");

const SECRET = "s3cret-of-sentinels";
const BOT = "user bot on >bot-pw &* -@all +hello +auth +subscribe +sentinel|get-master-addr-by-name +sentinel|sentinels +sentinel|myid";

const own = { set: null };

test.before(async (t) => {
  t.timeout(60_000);
  own.set = await startSentinels({ password: SECRET, lines: [`requirepass ${SECRET}`, BOT] });
});
test.after.always(() => own.set && own.set.stop());

/** The variables of a copy of the package; sentinels are told of `user`. */
const config = (more) => ({
  CC_REDIS_URL: own.set.urlOf(),
  CC_REDIS_SENTINEL_PASSWORD: SECRET,
  CC_REDIS_TIMEOUT_MS: 10_000,
  CC_NEAR_CACHE: "on",
  ...more,
});
const outcome = (promise) => promise.then((value) => ({ value }), (error) => ({ error }));
const ROW = { id: "1", symbol: "S", strategyName: "x", exchangeName: "e" };
const KEY = ["S", "x", "e"];
const sentinelOf = (lib) => lib.health().redis.sentinel;

test("the master that the sentinels name is used, and health() and stats() say which, and what each sentinel says", async (t) => {
  const { set } = own;
  const master = await set.master();
  // One is enough: it names the others.
  const lib = loadFor(t, config({ CC_REDIS_URL: set.urlOf({ of: [set.sentinels[1]] }) }));
  t.is(await lib.ioc.signalCacheService.setSignalId(ROW), "1");
  t.is(String(await master.command("GET", "signal_cache:e:x:S")), "1");
  await until("a majority vouches for it", async () => (await lib.ioc.signalCacheService.getSignalId(...KEY)) === "1" && sentinelOf(lib).majority);
  const address = `127.0.0.1:${master.port}`;
  t.is(lib.health().redis.server, `${NAME}/${address}`);
  const { sentinels, ...rest } = sentinelOf(lib);
  t.deepEqual(rest, { name: NAME, master: address, majority: true });
  t.deepEqual(
    sentinels.map(({ server, state, lastError }) => [server, state, lastError]).sort(),
    set.sentinels.map(({ port }) => [`127.0.0.1:${port}`, "ready", null]).sort(),
  );
  t.true(sentinels.filter((one) => one.master === address).length >= 2);
  const { asked, answered, switches } = lib.stats().redis.sentinel;
  t.true(asked >= 3 && answered >= 2 && switches === 0);
});

test("ids are answered from memory while a majority of the sentinels vouches for the master, and asked for while none does", async (t) => {
  t.timeout(30_000);
  const { set } = own;
  const lib = loadFor(t, config());
  const { signalCacheService: service } = lib.ioc;
  const hit = async () => {
    const { hits } = lib.stats().nearCache;
    await service.getSignalId(...KEY);
    return lib.stats().nearCache.hits > hits;
  };
  await service.setSignalId(ROW);
  await until("an id is answered from memory", hit);
  const stopped = set.sentinels.slice(1);
  t.teardown(() => Promise.all(stopped.map((sentinel) => sentinel.kill("SIGCONT"))));
  await Promise.all(stopped.map((sentinel) => sentinel.kill("SIGSTOP")));
  await until("the lease ends", async () => {
    await service.getSignalId(...KEY);
    return !sentinelOf(lib).majority;
  });
  const { hits } = lib.stats().nearCache;
  for (let i = 0; i < 20; i++) await service.getSignalId(...KEY);
  t.is(lib.stats().nearCache.hits, hits, "nothing is answered from memory, and all is answered");
  t.is(lib.health().nearCache.state, "expired");
  await Promise.all(stopped.map((sentinel) => sentinel.kill("SIGCONT")));
  await until("an id is answered from memory again", hit);
});

test("sentinels with a user of their own, who may do no more than is needed", async (t) => {
  const lib = loadFor(t, config({ CC_REDIS_SENTINEL_USER: "bot", CC_REDIS_SENTINEL_PASSWORD: "bot-pw" }));
  await lib.ioc.signalCacheService.setSignalId(ROW);
  await until("a majority vouches", async () => (await lib.ioc.signalCacheService.getSignalId(...KEY)) === "1" && sentinelOf(lib).majority);
  t.deepEqual(new Set(sentinelOf(lib).sentinels.map(({ lastError }) => lastError)), new Set([null]));
});

test("a password that the sentinels refuse is said at once, as REDIS_AUTH, and is in no message", async (t) => {
  for (const password of ["not-it-at-all", ""]) {
    const lib = loadFor(t, config({ CC_REDIS_SENTINEL_PASSWORD: password, CC_REDIS_TIMEOUT_MS: 600_000 }));
    const { error } = await outcome(lib.ioc.signalCacheService.getSignalId(...KEY));
    t.is(error?.code, "REDIS_AUTH");
    t.regex(error.message, /^(WRONGPASS|NOAUTH) .*CC_REDIS_SENTINEL_PASSWORD/);
    t.false(`${error.message}${JSON.stringify(lib.health())}`.includes("not-it-at-all"));
  }
});

test("a name that no sentinel knows is said at once, and a later call finds the one that is right", async (t) => {
  const lib = loadFor(t, config({ CC_REDIS_URL: own.set.urlOf({ name: "nobody" }), CC_REDIS_TIMEOUT_MS: 600_000 }));
  const { error } = await outcome(lib.ioc.signalCacheService.getSignalId(...KEY));
  t.is(error?.code, "REDIS_UNAVAILABLE");
  t.regex(error.message, /no master named nobody: 127\.0\.0\.1:\d+, .*CC_REDIS_URL/);
  t.is((await outcome(lib.ioc.redisService.waitForInit())).error?.code, "REDIS_UNAVAILABLE");
  await lib.close();
  lib.setConfig({ CC_REDIS_URL: own.set.urlOf() });
  t.deepEqual(await outcome(lib.ioc.redisService.waitForInit()), { value: undefined });
});

test("sentinels that cannot be reached are passed over; where none can be, the error names each and why", async (t) => {
  const gone = [{ port: 1 }, { port: 2 }];
  const lib = loadFor(t, config({ CC_REDIS_URL: own.set.urlOf({ of: [...gone, ...own.set.sentinels] }) }));
  t.is(await lib.ioc.signalCacheService.setSignalId(ROW), "1");
  const alone = loadFor(t, config({ CC_REDIS_URL: own.set.urlOf({ of: gone }), CC_REDIS_TIMEOUT_MS: 300 }));
  const { error } = await outcome(alone.ioc.signalCacheService.getSignalId(...KEY));
  t.is(error?.code, "REDIS_UNAVAILABLE");
  t.regex(error.message, /mymaster .*127\.0\.0\.1:1: connect ECONNREFUSED.*127\.0\.0\.1:2: connect ECONNREFUSED/);
});

test("sentinels may be named by hosts", async (t) => {
  const hosts = own.set.sentinels.map(({ port }) => `localhost:${port}`).join(",");
  const lib = loadFor(t, config({ CC_REDIS_URL: `redis+sentinel://:${PASSWORD}@${hosts}/${NAME}` }));
  t.is(await lib.ioc.signalCacheService.setSignalId(ROW), "1");
  await until("a majority vouches", async () => (await lib.ioc.signalCacheService.getSignalId(...KEY)) === "1" && sentinelOf(lib).majority);
  // The others list each by its address, too, until it has told who it is.
  await until("each counts once", () => sentinelOf(lib).sentinels.length === own.set.sentinels.length);
});

test("rediss+sentinel:// speaks TLS to sentinels and to the master, and verifies both", async (t) => {
  t.timeout(30_000);
  const [authority, other] = [new Authority(), new Authority("another authority")];
  t.teardown(() => [authority, other].forEach((one) => one.remove()));
  const set = await startSentinels({ tls: { authority, identity: authority.issue("server") } });
  t.teardown(() => set.stop());
  const [sentinel] = set.sentinels;
  const url = { CC_REDIS_URL: `rediss+sentinel://localhost:${sentinel.tlsPort}/${NAME}`, CC_NEAR_CACHE: "on" };
  const lib = loadFor(t, { ...url, CC_REDIS_TLS_CA: authority.cert });
  t.is(await lib.ioc.signalCacheService.setSignalId(ROW), "1");
  t.is(lib.health().redis.server, `${NAME}/127.0.0.1:${set.servers[0].named}`);
  await until("it is vouched for", async () => (await lib.ioc.signalCacheService.getSignalId(...KEY)) === "1" && sentinelOf(lib).majority);
  const wary = loadFor(t, { ...url, CC_REDIS_TLS_CA: other.cert, CC_REDIS_TIMEOUT_MS: 500 });
  const { error } = await outcome(wary.ioc.signalCacheService.getSignalId(...KEY));
  t.is(error?.code, "REDIS_UNAVAILABLE");
  t.regex(error.message, /localhost:\d+: TLS: .*certificate/);
});

test("a process with sentinels ends by itself when it has nothing to do", async (t) => {
  const env = Object.fromEntries(Object.entries(config()).map(([name, value]) => [name, String(value)]));
  const { code, stderr } = await runChild("idle", { env, args: ["many calls"] });
  t.is(code, 0, stderr);
});

test("the variables of sentinels need sentinels, and a URL without a master is refused", (t) => {
  const lib = loadFor(t, {});
  for (const url of ["redis+sentinel://127.0.0.1:26379", "redis+sentinel://127.0.0.1/"]) {
    t.throws(() => lib.setConfig({ CC_REDIS_URL: url }), { code: "INVALID_CONFIG", message: /^CC_REDIS_URL: / });
  }
  lib.setConfig({ CC_REDIS_URL: "redis+sentinel://bot:hunter2@one,two:5000/mymaster/2", CC_REDIS_SENTINEL_PASSWORD: "hunter3" });
  t.is(lib.getConfig().CC_REDIS_URL, "redis+sentinel://bot:********@one,two:5000/mymaster/2");
  t.is(lib.getConfig().CC_REDIS_SENTINEL_PASSWORD, "********");
});

for (const one of cases.filter(({ quick }) => quick)) {
  test(one.title, async (t) => {
    t.timeout(60_000);
    const { seconds, pause, ...report } = await one.run();
    t.log(`${JSON.stringify(report)}; writes paused for ${pause.toFixed(2)} s, and went on ${seconds.toFixed(2)} s after the promotion`);
    t.true(report.calls > 1_000);
    t.deepEqual([report.lost, report.wrong, report.stale], [0, 0, 0]);
  });
}

"use strict";

// Credentials, permissions and the errors that the server answers with.

const { serial: test } = require("ava");
const { serverFor, loadFor, killConnections, outcome, until } = require("./support/addon.js");
const { fakeFor, hello } = require("./support/fake-redis.js");
const { connect } = require("./support/resp.js");

async function acl(redis, ...rules) {
  const reply = await redis.command("ACL", "SETUSER", ...rules);
  if (reply instanceof Error) throw reply;
}

test("the default credentials work on a server without a password", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, { CC_REDIS_HOST: "127.0.0.1", CC_REDIS_PORT: redis.port, CC_REDIS_URL: "" });
  await new lib.BaseMap("ns").set("k", "v");
  t.is(await new lib.BaseMap("ns").get("k"), "v");
});

test("a password that the server requires works", async (t) => {
  const redis = await serverFor(t, { password: "right" });
  const lib = loadFor(t, { CC_REDIS_PORT: redis.port, CC_REDIS_PASSWORD: "right" });
  await new lib.BaseMap("ns").set("k", "v");
  t.is(await new lib.BaseMap("ns").get("k"), "v");
});

test("a wrong password rejects with REDIS_AUTH and the server's words, long before the deadline", async (t) => {
  const redis = await serverFor(t, { password: "right" });
  const lib = loadFor(t, { CC_REDIS_PORT: redis.port, CC_REDIS_PASSWORD: "wrong", CC_REDIS_TIMEOUT_MS: 600_000 });
  const map = new lib.BaseMap("ns");
  for (const call of [map.get("k"), map.set("k", "v"), map.size(), map.keys().next()]) {
    const { error } = await outcome(call);
    t.is(error?.code, "REDIS_AUTH");
    t.true(error instanceof Error);
    t.regex(error.message, /^WRONGPASS invalid username-password pair or user is disabled\./);
    t.false(error.message.includes("wrong"), error.message);
  }
});

test("a later call after a wrong password is answered quickly too", async (t) => {
  const redis = await serverFor(t, { password: "right" });
  const lib = loadFor(t, { CC_REDIS_PORT: redis.port, CC_REDIS_PASSWORD: "wrong", CC_REDIS_TIMEOUT_MS: 600_000 });
  const map = new lib.BaseMap("ns");
  for (let i = 0; i < 3; i++) t.is((await outcome(map.get("k"))).error?.code, "REDIS_AUTH");
});

test("a password that is set right on the server heals without a restart", async (t) => {
  const redis = await serverFor(t, { password: "right" });
  const lib = loadFor(t, { CC_REDIS_PORT: redis.port, CC_REDIS_PASSWORD: "rotated" });
  const map = new lib.BaseMap("ns");
  t.is((await outcome(map.get("k"))).error?.code, "REDIS_AUTH");
  await redis.command("CONFIG", "SET", "requirepass", "rotated");
  await until(async () => !(await outcome(map.set("k", "v"))).error, "a call succeeds");
  t.is(await map.get("k"), "v");
});

test("a password that is changed under a live connection shows at the next connection, and heals", async (t) => {
  const redis = await serverFor(t, { password: "first" });
  const lib = loadFor(t, { CC_REDIS_PORT: redis.port, CC_REDIS_PASSWORD: "first" });
  const map = new lib.BaseMap("ns");
  await map.set("k", "v");
  await redis.command("CONFIG", "SET", "requirepass", "second");
  await killConnections(redis);
  await until(async () => (await outcome(map.get("k"))).error?.code === "REDIS_AUTH", "the old password is refused");
  await redis.command("CONFIG", "SET", "requirepass", "first");
  await until(async () => (await outcome(map.get("k"))).value === "v", "a call succeeds");
  t.pass();
});

test("an unknown user and a user that is off are REDIS_AUTH", async (t) => {
  const redis = await serverFor(t);
  await acl(redis, "sleeper", "off", ">pw", "~*", "+@all");
  for (const user of ["nobody", "sleeper"]) {
    const lib = loadFor(t, { CC_REDIS_PORT: redis.port, CC_REDIS_USER: user, CC_REDIS_PASSWORD: "pw" });
    t.is((await outcome(new lib.BaseMap("ns").get("k"))).error?.code, "REDIS_AUTH");
  }
});

test("an ACL user needs no more than the commands of the maps", async (t) => {
  const redis = await serverFor(t);
  const allowed = ["+get", "+set", "+exists", "+del", "+mget", "+scan"];
  await acl(redis, "bot", "on", ">pw", "~ns:*", "-@all", ...allowed);
  const lib = loadFor(t, { CC_REDIS_PORT: redis.port, CC_REDIS_USER: "bot", CC_REDIS_PASSWORD: "pw" });
  const map = new lib.BaseMap("ns", 60);
  for (let round = 0; round < 2; round++) {
    await map.set("k", "v");
    t.is(await map.get("k"), "v");
    t.true(await map.has("k"));
    t.deepEqual(await map.toArray(), [["k", "v"]]);
    t.is(await map.size(), 1);
    t.is((await map.keys().next()).value, "k");
    await map.delete("k");
    await map.clear();
    // The second round goes over a new connection, whose handshake may want more than this user has.
    await killConnections(redis);
  }
});

test("what an ACL forbids rejects with REDIS_REPLY and the server's words, and the rest goes on", async (t) => {
  const redis = await serverFor(t);
  await acl(redis, "reader", "on", ">pw", "~ns:*", "-@all", "+get", "+scan");
  const lib = loadFor(t, { CC_REDIS_PORT: redis.port, CC_REDIS_USER: "reader", CC_REDIS_PASSWORD: "pw" });
  const [own, foreign] = [new lib.BaseMap("ns", -1), new lib.BaseMap("other", -1)];
  for (const call of [own.set("k", "v"), foreign.get("k"), own.delete("k")]) {
    const { error } = await outcome(call);
    t.is(error?.code, "REDIS_REPLY");
    t.regex(error.message, /^NOPERM /);
  }
  t.is(await own.get("k"), null);
  t.is(await own.size(), 0);
});

test("waitForInit takes a forbidden PING for the proof of life that it is", async (t) => {
  const redis = await serverFor(t);
  await acl(redis, "silent", "on", ">pw", "~*", "+@all", "-ping");
  const lib = loadFor(t, { CC_REDIS_PORT: redis.port, CC_REDIS_USER: "silent", CC_REDIS_PASSWORD: "pw" });
  t.deepEqual(await outcome(lib.ioc.redisService.waitForInit()), { value: undefined });
  t.is(lib.stats().redis.errors, 1, "the server did forbid it");
  await new lib.BaseMap("ns").set("k", "v");
  t.is(await new lib.BaseMap("ns").get("k"), "v");
});

for (const words of ["LOADING Redis is loading the dataset in memory", "MASTERDOWN Link with MASTER is down", "BUSY a script"]) {
  test(`waitForInit goes on waiting while the server says ${words}`, async (t) => {
    let pings = 0;
    const fake = await fakeFor(t, () => "+OK\r\n", ([name], _, id) => {
      if (name === "HELLO") return hello(id);
      if (name !== "PING") return "+OK\r\n";
      return ++pings < 4 ? `-${words}\r\n` : "+PONG\r\n";
    });
    const lib = loadFor(t, fake.config);
    t.deepEqual(await outcome(lib.ioc.redisService.waitForInit()), { value: undefined });
    t.is(pings, 4);
  });
}

/** A deadline that no test reaches: what rejects before was rejected for another reason. */
const PATIENT = { CC_REDIS_TIMEOUT_MS: 600_000 };

test("a database that the server does not have is a rejection at once, in the server's words", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, { CC_REDIS_URL: `${redis.url}/99`, ...PATIENT });
  for (let round = 0; round < 3; round++) {
    const { error } = await outcome(new lib.BaseMap("ns").get("the-key"));
    t.is(error?.code, "REDIS_UNAVAILABLE");
    t.regex(error.message, /^ERR DB index is out of range; CC_REDIS_URL asks for database 99 \(GET ns:the-key on /);
    t.regex(lib.health().redis.lastError, /^ERR DB index is out of range/);
  }
});

test("a user who may not choose the database is a rejection at once, and heals when it may", async (t) => {
  const redis = await serverFor(t);
  await acl(redis, "bot", "on", ">pw", "~*", "+@all", "-select");
  const lib = loadFor(t, { CC_REDIS_URL: `redis://bot:pw@127.0.0.1:${redis.port}/2`, ...PATIENT });
  const map = new lib.BaseMap("ns", -1);
  const { error } = await outcome(map.get("k"));
  t.is(error?.code, "REDIS_UNAVAILABLE");
  t.regex(error.message, /^NOPERM .*CC_REDIS_URL asks for database 2/);
  await acl(redis, "bot", "+select");
  await until(async () => !(await outcome(map.set("k", "v"))).error, "a call succeeds");
  t.is(await map.get("k"), "v");
});

test("waitForInit does not wait for what waiting does not mend: a database that cannot be had; and a later one may have it", async (t) => {
  const redis = await serverFor(t);
  const absent = loadFor(t, { CC_REDIS_URL: `${redis.url}/99`, ...PATIENT });
  const { error } = await outcome(absent.ioc.redisService.waitForInit());
  t.is(error?.code, "REDIS_UNAVAILABLE");
  t.regex(error.message, /^ERR DB index is out of range; CC_REDIS_URL asks for database 99/);
  t.is(error.cause, undefined, "nothing was tried again");

  await acl(redis, "bot", "on", ">pw", "~*", "+@all", "-select");
  const lib = loadFor(t, { CC_REDIS_URL: `redis://bot:pw@127.0.0.1:${redis.port}/2`, ...PATIENT });
  t.regex((await outcome(lib.ioc.redisService.waitForInit())).error?.message, /^NOPERM .*CC_REDIS_URL asks for database 2/);
  await acl(redis, "bot", "+select");
  await until(async () => !(await outcome(lib.ioc.redisService.waitForInit())).error, "the server serves");
});

test("a server that runs a script while we connect is asked again, and the near cache is there afterwards", async (t) => {
  const redis = await serverFor(t, { args: ["--lua-time-limit", "20"] });
  const lib = loadFor(t, { CC_REDIS_URL: redis.url, CC_NEAR_CACHE: "on", ...PATIENT });
  const other = await connect(redis);
  t.teardown(() => other.close());
  const script = other.command("EVAL", "while true do end", "0");
  await until(async () => String(await redis.command("GET", "k")).includes("BUSY"), "the server is busy");
  const call = lib.ioc.signalCacheService.getSignalId("S", "s", "x");
  await until(() => lib.health().redis.attempts >= 2, "it was asked again");
  t.regex(lib.health().redis.lastError, /^BUSY /);
  await redis.command("SCRIPT", "KILL");
  await script;
  t.is(await call, null);
  t.deepEqual(lib.health().nearCache, { state: "alive", reason: null });
});

test("a full server rejects writes with REDIS_REPLY and its words, and reads go on", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, { CC_REDIS_URL: redis.url });
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  await redis.command("CONFIG", "SET", "maxmemory", "1");
  const { error } = await outcome(map.set("k2", "v2"));
  t.is(error?.code, "REDIS_REPLY");
  t.regex(error.message, /^OOM command not allowed when used memory > 'maxmemory'\./);
  t.true(error.message.includes("ns:k2"), error.message);
  t.is(await map.get("k"), "v");
  await redis.command("CONFIG", "SET", "maxmemory", "0");
  await map.set("k2", "v2");
});

test("an error reply belongs to its own call among a hundred others", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, { CC_REDIS_URL: redis.url });
  const map = new lib.BaseMap("ns", -1);
  for (let i = 0; i < 100; i++) {
    if (i % 7 === 0) await redis.command("HSET", `ns:k${i}`, "f", "v");
    else await map.set(`k${i}`, `v${i}`);
  }
  const results = await Promise.all(Array.from({ length: 100 }, (_, i) => outcome(map.get(`k${i}`))));
  results.forEach(({ value, error }, i) => {
    if (i % 7 !== 0) return t.is(value, `v${i}`);
    t.is(error?.code, "REDIS_REPLY");
    t.regex(error.message, /^WRONGTYPE Operation against a key holding the wrong kind of value/);
    t.true(error.message.includes(`ns:k${i}`), error.message);
  });
});

test("a replica answers reads; writes wait for a master until their deadline, and say so in the server's words", async (t) => {
  const redis = await serverFor(t);
  const replica = await serverFor(t, { args: ["--replicaof", "127.0.0.1", String(redis.port)] });
  const lib = loadFor(t, { CC_REDIS_URL: replica.url, CC_REDIS_TIMEOUT_MS: 1000 });
  const map = new lib.BaseMap("ns", -1);
  await until(async () => !(await outcome(map.get("k"))).error, "the replica answers");
  const { error } = await outcome(map.set("k", "v"));
  t.is(error?.code, "REDIS_UNAVAILABLE");
  t.regex(error.message, /^READONLY .*SET ns:k on 127.*tried again for 1000 ms; failed attempts: \d+/);
  t.regex(error.cause.message, /^READONLY /);
  t.is(await map.get("k"), null, "reads go on");
});

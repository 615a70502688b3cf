"use strict";

// Configuration: the environment, setConfig over it, and secrets that never show.

const { networkInterfaces } = require("node:os");
const { inspect } = require("node:util");
const { serial: test } = require("ava");
const { startRedis, freePort } = require("./support/redis.js");
const { loadFresh, outcome, label } = require("./support/addon.js");
const { loadSpec } = require("./support/spec.js");

const PASSWORD = "p@ss:w/rd %25é?#";
let server;
test.before(async () => {
  server = await startRedis({ password: PASSWORD });
  const reply = await server.command("ACL", "SETUSER", "us@er:1", "on", `>${PASSWORD}`, "~*", "+@all");
  if (reply instanceof Error) throw reply;
});
test.after.always(() => server && server.stop());
test.beforeEach(() => onlyVariables({}));

/** Leaves of the CC_ variables just these in the environment. */
function onlyVariables(variables) {
  for (const name of Object.keys(process.env)) if (name.startsWith("CC_")) delete process.env[name];
  Object.assign(process.env, variables);
}

const spec = loadSpec("config");
const encoded = encodeURIComponent;
// Skipped, and named so in the results, where there are no Unix sockets.
const onUnix = process.platform === "win32" ? test.skip : test;

for (const one of spec.cases.filter((entry) => entry.shown)) {
  test(`the environment is shown as it counts: ${one.name}`, (t) => {
    onlyVariables(one.variables);
    const shown = loadFresh().getConfig();
    for (const [name, value] of Object.entries(one.shown)) t.is(shown[name], value, name);
  });

  (one.config?.unix ? onUnix : test)(`setConfig is shown as it counts: ${one.name}`, (t) => {
    const lib = loadFresh();
    t.is(lib.setConfig(one.variables), undefined);
    const shown = lib.getConfig();
    for (const [name, value] of Object.entries(one.shown)) t.is(shown[name], value, name);
  });
}

for (const one of spec.cases.filter((entry) => entry.code)) {
  test(`an environment that cannot be used rejects every call: ${one.name}`, async (t) => {
    onlyVariables(one.variables);
    const lib = loadFresh();
    const calls = [lib.ioc.signalCacheService.get("k"), new lib.BaseMap("ns").size(), lib.ioc.redisService.waitForInit()];
    for (const call of calls) {
      const { error } = await outcome(call);
      t.is(error?.code, one.code);
      t.true(error.message.startsWith(one.variable), error.message);
    }
    await lib.close();
  });

  test(`setConfig throws at once: ${one.name}`, (t) => {
    const lib = loadFresh();
    const before = lib.getConfig();
    const error = t.throws(() => lib.setConfig({ CC_REDIS_USER: "someone", ...one.variables }), { code: one.code });
    t.true(error.message.startsWith(one.variable), error.message);
    t.deepEqual(lib.getConfig(), before, "nothing of it was taken");
  });
}

test("getConfig shows every variable, in a fresh plain object", (t) => {
  const lib = loadFresh();
  const shown = lib.getConfig();
  const all = spec.cases[0].shown;
  t.deepEqual(Object.keys(shown).sort(), Object.keys(all).sort());
  t.is(Object.getPrototypeOf(shown), Object.prototype);
  shown.CC_REDIS_HOST = "changed";
  t.is(lib.getConfig().CC_REDIS_HOST, "127.0.0.1");
});

test("setConfig takes numbers and texts, and the later call wins", (t) => {
  const lib = loadFresh();
  lib.setConfig({ CC_REDIS_PORT: 7001, CC_REDIS_TIMEOUT_MS: "500" });
  lib.setConfig({ CC_REDIS_PORT: "7002" });
  t.is(lib.getConfig().CC_REDIS_PORT, 7002);
  t.is(lib.getConfig().CC_REDIS_TIMEOUT_MS, 500);
});

test("setConfig wins over the environment", (t) => {
  onlyVariables({ CC_REDIS_PORT: "7001", CC_REDIS_HOST: "from-the-environment" });
  const lib = loadFresh();
  lib.setConfig({ CC_REDIS_PORT: 7002 });
  t.is(lib.getConfig().CC_REDIS_PORT, 7002);
  t.is(lib.getConfig().CC_REDIS_HOST, "from-the-environment");
});

test("the environment is read on first use, not on import", (t) => {
  const lib = loadFresh();
  onlyVariables({ CC_REDIS_PORT: "7003" });
  t.is(lib.getConfig().CC_REDIS_PORT, 7003);
});

test("setConfig takes null for the URL that it shows as null", (t) => {
  const lib = loadFresh({ CC_REDIS_URL: "redis://example:7000" });
  lib.setConfig({ CC_REDIS_URL: null });
  t.is(lib.getConfig().CC_REDIS_URL, null);
});

test("an unknown variable is refused by name", (t) => {
  const lib = loadFresh();
  for (const name of ["CC_REDIS_PROT", "cc_redis_port", "", "__proto__x", "constructor"]) {
    const error = t.throws(() => lib.setConfig({ [name]: "1" }), { code: "INVALID_CONFIG" });
    t.true(error.message.startsWith(name), error.message);
  }
});

for (const value of [true, {}, [], Symbol("s"), () => 1, NaN, Infinity, 1.5, -1, 10n ** 30n, new Date(0)]) {
  test(`a port of ${label(value)} (${typeof value}) is refused with a code`, (t) => {
    const lib = loadFresh();
    t.throws(() => lib.setConfig({ CC_REDIS_PORT: value }), { code: "INVALID_CONFIG", message: /^CC_REDIS_PORT/ });
  });
}

for (const value of [undefined, null, 5, "text", true, Symbol("s"), () => 1, [], new Proxy({}, { ownKeys: boom })]) {
  test(`setConfig of ${shape(value)} works or throws with a code`, (t) => {
    const lib = loadFresh();
    const before = lib.getConfig();
    try {
      lib.setConfig(value);
    } catch (error) {
      t.is(error.code, "INVALID_CONFIG");
    }
    t.deepEqual(lib.getConfig(), before);
  });
}

function shape(value) {
  return Array.isArray(value) ? "an array" : typeof value === "object" && value ? "a proxy" : label(value);
}

function boom() {
  throw new Error("no");
}

test("a masked value from getConfig is refused when it comes back", (t) => {
  const lib = loadFresh();
  lib.setConfig({ CC_REDIS_URL: "redis://bot:secret@example:7000" });
  const shown = lib.getConfig();
  t.throws(() => lib.setConfig({ CC_REDIS_PASSWORD: shown.CC_REDIS_PASSWORD }), { code: "INVALID_CONFIG" });
  t.throws(() => lib.setConfig({ CC_REDIS_URL: shown.CC_REDIS_URL }), { code: "INVALID_CONFIG" });
});

/** Connects with the configuration, writes and reads, and closes. */
async function works(t, config) {
  const lib = loadFresh(config);
  t.is(await lib.ioc.redisService.waitForInit(), undefined);
  const map = new lib.BaseMap("config", 100);
  await map.set("k", "v");
  t.is(await map.get("k"), "v");
  await lib.close();
}

test("host, port, user and password connect", (t) => {
  return works(t, { CC_REDIS_HOST: "127.0.0.1", CC_REDIS_PORT: server.port, CC_REDIS_PASSWORD: PASSWORD });
});

test("a host name connects", (t) => {
  return works(t, { CC_REDIS_HOST: "localhost", CC_REDIS_PORT: server.port, CC_REDIS_PASSWORD: PASSWORD });
});

test("an ACL user connects", (t) => {
  return works(t, { CC_REDIS_PORT: server.port, CC_REDIS_USER: "us@er:1", CC_REDIS_PASSWORD: PASSWORD });
});

test("the environment connects", async (t) => {
  onlyVariables(server.env);
  await works(t);
});

test("a URL with percent-encoded credentials connects", (t) => {
  const credentials = `${encoded("us@er:1")}:${encoded(PASSWORD)}`;
  return works(t, { CC_REDIS_URL: `redis://${credentials}@127.0.0.1:${server.port}` });
});

test("a URL with a password alone connects", (t) => {
  return works(t, { CC_REDIS_URL: `redis://:${encoded(PASSWORD)}@127.0.0.1:${server.port}` });
});

onUnix("a Unix socket connects", async (t) => {
  const open = await startRedis();
  await works(t, { CC_REDIS_URL: `unix:${open.socket}` });
  await works(t, { CC_REDIS_URL: `unix://${open.socket}` });
  await open.stop();
});

onUnix("a Unix socket connects with the credentials and the database of its URL", async (t) => {
  const [user, password] = [encoded("us@er:1"), encoded(PASSWORD)];
  const lib = loadFresh({ CC_REDIS_URL: `unix:${server.socket}?user=${user}&pass=${password}&db=4` });
  await new lib.BaseMap("db", -1).set("k", "in four");
  await server.command("SELECT", 4);
  t.is(String(await server.command("GET", "db:k")), "in four");
  await server.command("SELECT", 0);
  await lib.close();
  await works(t, { CC_REDIS_URL: `unix:${server.socket}?pass=${password}` });
  const refused = loadFresh({ CC_REDIS_URL: `unix:${server.socket}?user=${user}&pass=wrong` });
  t.is((await outcome(new refused.BaseMap("db").get("k"))).error?.code, "REDIS_AUTH");
  await refused.close();
});

// Skipped elsewhere, where such a URL is taken, as the tests above say.
(process.platform === "win32" ? test : test.skip)("on Windows a Unix socket is refused with what to use instead", (t) => {
  for (const url of ["unix:/run/redis.sock", "unix:///run/redis.sock?pass=hunter2", "redis+unix:///run/redis.sock"]) {
    const error = t.throws(() => loadFresh().setConfig({ CC_REDIS_URL: url }));
    t.is(error.code, "INVALID_CONFIG");
    t.regex(error.message, /^CC_REDIS_URL: there are no Unix sockets on this system; redis:\/\/host:port/);
  }
});

test("an IPv6 address connects", async (t) => {
  const port = await freePort();
  const six = await startRedis({ port, args: ["--bind", "127.0.0.1", "::1"] });
  await works(t, { CC_REDIS_HOST: "::1", CC_REDIS_PORT: port });
  await works(t, { CC_REDIS_HOST: "[::1]", CC_REDIS_PORT: port });
  await works(t, { CC_REDIS_URL: `redis://[::1]:${port}` });
  await six.stop();
});

/** An address that means something on one interface of this machine only, and that interface; undefined where none has any. */
function linkLocal() {
  const all = Object.entries(networkInterfaces()).flatMap(([name, entries]) => entries.map((entry) => ({ name, ...entry })));
  return all.find(({ family, address }) => family === "IPv6" && address.startsWith("fe80:"));
}

test("an IPv6 address with a scope connects, by the interface's name and number, alone and in a URL", async (t) => {
  const found = linkLocal();
  if (!found) {
    t.log("skipped: no interface of this machine has a link-local address");
    return t.pass();
  }
  const { address, name, scopeid } = found;
  const port = await freePort();
  const args = ["--bind", "127.0.0.1", `${address}%${name}`, "--protected-mode", "no"];
  const local = await startRedis({ port, args });
  t.teardown(() => local.stop());
  // On Windows an address is written with the interface's number; the names are others than those that Node tells.
  const known = process.platform === "win32" ? [scopeid] : [name, scopeid];
  for (const host of known.flatMap((scope) => [`${address}%${scope}`, `[${address}%${scope}]`])) {
    await works(t, { CC_REDIS_HOST: host, CC_REDIS_PORT: port });
  }
  for (const scope of known.flatMap((one) => [`%25${one}`, `%${one}`])) {
    await works(t, { CC_REDIS_URL: `redis://[${address}${scope}]:${port}` });
  }
});

test("a scope that is no interface of this machine is a rejection that names it", async (t) => {
  const lib = loadFresh({ CC_REDIS_HOST: "fe80::1%nowhere", CC_REDIS_TIMEOUT_MS: 100 });
  const { error } = await outcome(new lib.BaseMap("ns").get("k"));
  t.is(error?.code, "REDIS_UNAVAILABLE");
  t.regex(error.message, /at \[fe80::1%nowhere\]:6379 .*there is no network interface "nowhere"/);
  await lib.close();
});

test("the database of a URL is the one that is used", async (t) => {
  const credentials = `:${encoded(PASSWORD)}`;
  const lib = loadFresh({ CC_REDIS_URL: `redis://${credentials}@127.0.0.1:${server.port}/3` });
  await new lib.BaseMap("db", -1).set("k", "in three");
  await server.command("SELECT", 3);
  t.is(String(await server.command("GET", "db:k")), "in three");
  await server.command("SELECT", 0);
  t.is(await server.command("GET", "db:k"), null);
  await lib.close();
});

test("a URL without credentials sends none", async (t) => {
  const lib = loadFresh({ CC_REDIS_URL: `redis://127.0.0.1:${server.port}`, CC_REDIS_PASSWORD: PASSWORD });
  const { error } = await outcome(new lib.BaseMap("ns").get("k"));
  t.is(error?.code, "REDIS_AUTH");
  t.regex(error.message, /^NOAUTH/);
  await lib.close();
});

test("setConfig while connected is refused until close()", async (t) => {
  onlyVariables(server.env);
  const lib = loadFresh();
  await lib.ioc.redisService.waitForInit();
  t.throws(() => lib.setConfig({ CC_REDIS_TIMEOUT_MS: 100 }), { code: "INVALID_CONFIG" });
  t.is(lib.getConfig().CC_REDIS_TIMEOUT_MS, 10_000);
  await lib.close();
  lib.setConfig({ CC_REDIS_TIMEOUT_MS: 100 });
  t.is(lib.getConfig().CC_REDIS_TIMEOUT_MS, 100);
  t.is(await new lib.BaseMap("ns").get("k"), null);
  await lib.close();
});

test("a configuration that failed can be set right", async (t) => {
  onlyVariables({ ...server.env, CC_REDIS_PORT: "abc" });
  const lib = loadFresh();
  t.is((await outcome(new lib.BaseMap("ns").get("k"))).error?.code, "INVALID_CONFIG");
  lib.setConfig({ CC_REDIS_PORT: server.port });
  t.is(await new lib.BaseMap("ns").get("k"), null);
  await lib.close();
});

test("no password shows in getConfig, health, stats or any error", async (t) => {
  const secret = "hunter2-secret";
  const nobody = await freePort();
  const shown = [];
  for (const config of [
    { CC_REDIS_URL: `redis://bot:${secret}@127.0.0.1:${nobody}`, CC_REDIS_TIMEOUT_MS: 50 },
    { CC_REDIS_URL: `redis://default:${secret}@127.0.0.1:${server.port}` },
    { CC_REDIS_PORT: server.port, CC_REDIS_PASSWORD: secret },
    { CC_REDIS_PORT: nobody, CC_REDIS_PASSWORD: secret, CC_REDIS_TIMEOUT_MS: 50 },
  ]) {
    const lib = loadFresh(config);
    const { error } = await outcome(new lib.BaseMap("ns").get("k"));
    t.true(error instanceof Error);
    shown.push(error, lib.getConfig(), lib.health(), lib.stats(), lib.ioc, lib);
    await lib.close();
  }
  for (const url of ["redis://u:SECRET@h:99999", "http://u:SECRET@h", "redis://u:SECRET@", "rediss://u:SECRET@h#insecure"]) {
    shown.push(t.throws(() => loadFresh({ CC_REDIS_URL: url.replace("SECRET", secret) })));
  }
  shown.push(t.throws(() => loadFresh({ [`CC_${secret.toUpperCase()}`]: 1 })).code);
  for (const value of shown) {
    const text = inspect(value, { depth: 8, showHidden: true });
    t.false(text.includes(secret), text.slice(0, 300));
  }
});

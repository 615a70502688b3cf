"use strict";

// TLS to Redis: who is trusted, what is said when it cannot be, and that everything works over it as without.

const fs = require("node:fs");
const net = require("node:net");
const path = require("node:path");
const { inspect } = require("node:util");
const { serial: test } = require("ava");
const { Authority } = require("./support/certificates.js");
const { freePort } = require("./support/redis.js");
const { secureServerFor, terminatorFor, dribblerFor, listenFor } = require("./support/tls.js");
const { serverFor, loadFor, killConnections, connectionsOf, outcome, until, halfSent } = require("./support/addon.js");

const own = { authority: null, other: null, identity: null };
test.before(() => {
  own.authority = new Authority();
  own.other = new Authority("another authority");
  own.identity = own.authority.issue("server");
});
test.after.always(() => [own.authority, own.other].forEach((authority) => authority && authority.remove()));
test.beforeEach(() => {
  for (const name of Object.keys(process.env)) if (/^(CC_|SSL_CERT_)/.test(name)) delete process.env[name];
});

const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);
const trusting = (url, more) => ({ CC_REDIS_URL: url, CC_REDIS_TLS_CA: own.authority.cert, ...more });
const secure = (t, options) => secureServerFor(t, own.authority, own.identity, options);
/** A deadline that a test never reaches: what rejects before was rejected for another reason. */
const PATIENT = { CC_REDIS_TIMEOUT_MS: 600_000 };
/** A deadline after the first attempt was given up. */
const HASTY = { CC_REDIS_TIMEOUT_MS: 3_500 };

async function works(t, config) {
  const lib = loadFor(t, config);
  const map = new lib.BaseMap("tls", -1);
  await map.set("k", "v");
  t.is(await map.get("k"), "v");
  return lib;
}

/** A call is rejected, long before its deadline unless `config` has one, in words that match; health() has them too. */
async function refuses(t, config, words) {
  const lib = loadFor(t, { ...PATIENT, ...config });
  const { error } = await outcome(new lib.BaseMap("tls").get("the-key"));
  t.is(error?.code, "REDIS_UNAVAILABLE", inspect(error));
  t.regex(error.message, words);
  t.true(error.message.includes("tls:the-key"), error.message);
  t.regex(lib.health().redis.lastError, words);
  t.not(lib.health().redis.state, "ready");
  return lib;
}

async function isBadConfig(t, config, words) {
  const lib = loadFor(t, config);
  for (const call of [new lib.BaseMap("tls").get("k"), lib.ioc.signalCacheService.size(), lib.ioc.redisService.waitForInit()]) {
    const { error } = await outcome(call);
    t.is(error?.code, "INVALID_CONFIG", inspect(error));
    t.regex(error.message, words);
  }
}

test("a rediss:// URL connects by address and by name", async (t) => {
  const redis = await secure(t);
  for (const host of ["127.0.0.1", "localhost"]) {
    const lib = await works(t, trusting(redis.secure(host)));
    t.is(lib.health().redis.state, "ready");
    t.is(lib.health().redis.server, `${host}:${redis.tlsPort}`);
  }
});

test("a rediss:// URL connects to an IPv6 address", async (t) => {
  const redis = await secure(t, { args: ["--bind", "127.0.0.1", "::1"] });
  await works(t, trusting(redis.secure("[::1]")));
});

test("a certificate is for an IPv6 address whatever its scope", async (t) => {
  const redis = await secure(t, { args: ["--bind", "127.0.0.1", "::1"] });
  // Everywhere the first interface is the machine's own.
  await works(t, trusting(redis.secure("[::1%251]")));
});

test("the authority may be given as PEM text, also in one line, and is not shown", async (t) => {
  const redis = await secure(t);
  const text = fs.readFileSync(own.authority.cert, "utf8");
  for (const pem of [text, text.replaceAll("\n", "\\n")]) {
    const lib = await works(t, trusting(redis.secure(), { CC_REDIS_TLS_CA: pem }));
    t.is(lib.getConfig().CC_REDIS_TLS_CA, "********");
    await lib.close();
    t.throws(() => lib.setConfig({ CC_REDIS_TLS_CA: "********" }), { code: "INVALID_CONFIG", message: /^CC_REDIS_TLS_CA/ });
  }
});

test("one of several authorities in a file is enough", async (t) => {
  const redis = await secure(t);
  const file = path.join(own.authority.dir, "bundle.pem");
  fs.writeFileSync(file, fs.readFileSync(own.other.cert, "utf8") + fs.readFileSync(own.authority.cert, "utf8"));
  await works(t, trusting(redis.secure(), { CC_REDIS_TLS_CA: file }));
});

test("without an authority of its own it trusts those of the system, and no other", async (t) => {
  const redis = await secure(t);
  process.env.SSL_CERT_FILE = own.other.cert;
  await refuses(t, { CC_REDIS_URL: redis.secure() }, /certificate is not trusted: no authority of this system .*CC_REDIS_TLS_CA/);
  process.env.SSL_CERT_FILE = own.authority.cert;
  await works(t, { CC_REDIS_URL: redis.secure() });
});

test("a system without authorities is INVALID_CONFIG, unless some are named", async (t) => {
  const redis = await secure(t);
  process.env.SSL_CERT_FILE = path.join(own.authority.dir, "nowhere.pem");
  await isBadConfig(t, { CC_REDIS_URL: redis.secure() }, /^CC_REDIS_TLS_CA: this system has no certificates of authorities/);
  await works(t, trusting(redis.secure()));
});

test("the server is told the name that is meant, and no address", async (t) => {
  const redis = await serverFor(t);
  const proxy = await terminatorFor(t, own.identity, redis.port);
  await works(t, trusting(`rediss://localhost:${proxy.port}`));
  await works(t, trusting(`rediss://127.0.0.1:${proxy.port}`));
  t.deepEqual(proxy.seen.names, ["localhost", false]);
});

for (const version of ["TLSv1.2", "TLSv1.3"]) {
  test(`a server that speaks ${version} only is understood`, async (t) => {
    const redis = await serverFor(t);
    const only = { minVersion: version, maxVersion: version };
    const proxy = await terminatorFor(t, own.identity, redis.port, only);
    await works(t, trusting(`rediss://127.0.0.1:${proxy.port}`));
    t.deepEqual(proxy.seen.versions, [version]);
  });
}

test("a certificate that no known authority has signed is refused at once, with the reason", async (t) => {
  const redis = await secureServerFor(t, own.other, own.other.issue("stranger"));
  await refuses(t, trusting(redis.secure()), /the server's certificate is not trusted: no authority of CC_REDIS_TLS_CA/);
});

test("a certificate that has expired is refused at once, with the reason", async (t) => {
  const redis = await secureServerFor(t, own.authority, own.authority.issue("expired", { days: -1 }));
  await refuses(t, trusting(redis.secure()), /the server's certificate has expired/);
});

test("a certificate for other names is refused at once, with all the names", async (t) => {
  const redis = await secureServerFor(t, own.authority, own.authority.issue("elsewhere", { names: "DNS:redis.example,IP:10.0.0.1" }));
  await refuses(t, trusting(redis.secure()), /the server's certificate is not for 127\.0\.0\.1, but for .*redis\.example/);
  await refuses(t, trusting(redis.secure("localhost")), /the server's certificate is not for localhost, but for .*redis\.example/);
});

test("a certificate without a subjectAltName is refused at once, with the reason", async (t) => {
  const redis = await secureServerFor(t, own.authority, own.authority.issue("nameless", { names: "" }));
  await refuses(t, trusting(redis.secure("localhost")), /the server's certificate is not for localhost: it has no subjectAltName/);
});

test("an authority's own certificate is not a server's, and that is said", async (t) => {
  const itself = { cert: own.authority.cert, key: own.authority.key };
  const redis = await secureServerFor(t, own.authority, itself);
  await refuses(t, trusting(redis.secure()), /the server's certificate is that of an authority/);
});

test("a server that is not trusted hears neither password nor command", async (t) => {
  const redis = await serverFor(t);
  const proxy = await terminatorFor(t, own.other.issue("spy"), redis.port);
  await refuses(t, trusting(`rediss://bot:hunter2@127.0.0.1:${proxy.port}`), /certificate is not trusted/);
  t.is(proxy.seen.text, "");
});

test("a server that shows a right certificate later is found without a restart of ours", async (t) => {
  const wrong = own.other.issue("wrong");
  const redis = await secureServerFor(t, own.authority, wrong);
  const lib = await refuses(t, trusting(redis.secure()), /certificate is not trusted/);
  for (const file of ["cert", "key"]) fs.copyFileSync(own.identity[file], wrong[file]);
  await redis.restart();
  const map = new lib.BaseMap("tls", -1);
  await until(async () => !(await outcome(map.set("k", "v"))).error, "a call succeeds");
  t.is(await map.get("k"), "v");
});

test("a server that asks for a certificate gets ours", async (t) => {
  const redis = await secure(t, { mutual: true });
  const ours = own.authority.issue("client");
  const texts = { cert: fs.readFileSync(ours.cert, "utf8"), key: fs.readFileSync(ours.key, "utf8") };
  for (const { cert, key } of [ours, texts]) {
    await works(t, trusting(redis.secure(), { CC_REDIS_TLS_CERT: cert, CC_REDIS_TLS_KEY: key }));
  }
});

test("a server that asks for a certificate which we do not have is refused at once, naming the variables", async (t) => {
  const redis = await secure(t, { mutual: true });
  for (let round = 0; round < 10; round++) {
    await refuses(t, trusting(redis.secure()), /asks for a certificate of ours: CC_REDIS_TLS_CERT and CC_REDIS_TLS_KEY/);
  }
});

test("a server that does not trust our certificate is refused at once, naming the variable", async (t) => {
  const redis = await secure(t, { mutual: true });
  const ours = own.other.issue("client");
  const config = trusting(redis.secure(), { CC_REDIS_TLS_CERT: ours.cert, CC_REDIS_TLS_KEY: ours.key });
  for (let round = 0; round < 10; round++) await refuses(t, config, /the server refuses our certificate, CC_REDIS_TLS_CERT/);
});

test("TLS to a plain port is refused with a hint to the URL", async (t) => {
  const redis = await serverFor(t, { password: "hunter2" });
  // It says something only where TLS's greeting, random in parts, holds the end of a line.
  const words = /speaks plain Redis.*; CC_REDIS_URL must be redis:\/\/, not rediss|if the server speaks plain Redis, CC_REDIS_URL must be a redis:\/\/ URL/;
  await refuses(t, trusting(`rediss://127.0.0.1:${redis.port}`, HASTY), words);
});

test("a port that says nothing to TLS's greeting is given up with a hint to the URL", async (t) => {
  const port = await listenFor(t, net.createServer());
  await refuses(t, trusting(`rediss://127.0.0.1:${port}`, HASTY), /nor an answer to its greeting within 2\.4 seconds; if the server speaks plain Redis, CC_REDIS_URL must be a redis:\/\/ URL/);
});

test("TLS to a port that answers with something else is refused at once, and quoted", async (t) => {
  for (const [answer, words] of [
    ["-ERR unknown command\r\n", /it speaks plain Redis \("-ERR unknown command"\)/],
    ["HTTP/1.1 400 Bad Request\r\n\r\n", /it does not speak TLS \("HTTP\/1\.1 400 Bad Request"\)/],
  ]) {
    const port = await listenFor(t, net.createServer((socket) => socket.once("data", () => socket.end(answer))));
    await refuses(t, trusting(`rediss://127.0.0.1:${port}`), words);
  }
});

test("plain commands to a TLS port are refused with a hint to the URL", async (t) => {
  const redis = await secure(t);
  const config = { CC_REDIS_URL: `redis://127.0.0.1:${redis.tlsPort}`, CC_REDIS_TIMEOUT_MS: 500 };
  for (let round = 0; round < 10; round++) {
    await refuses(t, config, /127\.0\.0\.1:\d+.*; if the server speaks TLS, CC_REDIS_URL must be a rediss:\/\/ URL/);
  }
});

test("a server that hangs up after it has spoken is no matter of the URL", async (t) => {
  const listener = net.createServer((socket) => socket.once("data", () => socket.end("%1\r\n$2\r\nid\r\n:1\r\n")));
  const port = await listenFor(t, listener);
  const lib = loadFor(t, { CC_REDIS_URL: `redis://127.0.0.1:${port}`, CC_REDIS_TIMEOUT_MS: 500 });
  const { error } = await outcome(new lib.BaseMap("tls").get("k"));
  t.is(error?.code, "REDIS_UNAVAILABLE");
  t.notRegex(error.message, /rediss/);
});

test("plain commands that are answered with TLS's alert are refused at once, and named", async (t) => {
  let connections = 0;
  const alert = Buffer.from([0x15, 3, 1, 0, 2, 2, 0x46]);
  const listener = net.createServer((socket) => {
    connections++;
    socket.once("data", () => socket.end(alert));
  });
  const port = await listenFor(t, listener);
  await refuses(t, { CC_REDIS_URL: `redis://127.0.0.1:${port}` }, /it speaks TLS; CC_REDIS_URL must be a rediss/);
  t.is(connections, 1);
});

test("a TLS server that is slow to answer is not taken for a plain one", async (t) => {
  const redis = await secure(t);
  await redis.kill("SIGSTOP");
  const lib = loadFor(t, trusting(redis.secure()));
  const call = new lib.BaseMap("tls", -1).get("k");
  await until(() => lib.health().redis.lastError !== null, "the silence was noticed");
  t.regex(lib.health().redis.lastError, /nor an answer to its greeting/);
  await redis.kill("SIGCONT");
  t.is(await call, null);
});

for (const [what, config, words] of [
  ["an authority's file that is not there", { CC_REDIS_TLS_CA: "/nowhere/ca.pem" }, /^CC_REDIS_TLS_CA: \/nowhere\/ca\.pem cannot be read: .*(No such file|not find|not found)/],
  ["an authority's file that is a folder", { CC_REDIS_TLS_CA: __dirname }, /^CC_REDIS_TLS_CA: .*__test__ cannot be read/],
  ["an authority's file without a certificate", { CC_REDIS_TLS_CA: __filename }, /^CC_REDIS_TLS_CA: .*tls\.spec\.js holds no certificate/],
  ["PEM text that is broken", { CC_REDIS_TLS_CA: "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n" }, /^CC_REDIS_TLS_CA: the text /],
  ["PEM text that is no certificate", { CC_REDIS_TLS_CA: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" }, /^CC_REDIS_TLS_CA: the text /],
  ["a certificate without a key", () => ({ CC_REDIS_TLS_CERT: own.identity.cert }), /^CC_REDIS_TLS_KEY: /],
  ["a key without a certificate", () => ({ CC_REDIS_TLS_KEY: own.identity.key }), /^CC_REDIS_TLS_CERT: /],
  ["a key's file that is not there", () => ({ CC_REDIS_TLS_CERT: own.identity.cert, CC_REDIS_TLS_KEY: "/nowhere/key" }), /^CC_REDIS_TLS_KEY: \/nowhere\/key cannot be read/],
  ["a key of another certificate", () => ({ CC_REDIS_TLS_CERT: own.identity.cert, CC_REDIS_TLS_KEY: own.other.key }), /^CC_REDIS_TLS_KEY: it cannot be used with CC_REDIS_TLS_CERT/],
  ["a key with a password", () => ({ CC_REDIS_TLS_CERT: own.identity.cert, CC_REDIS_TLS_KEY: own.authority.lock(own.identity.key) }), /^CC_REDIS_TLS_KEY: .*locked holds no private key as PEM without a password/],
  ["a host that no certificate can be for", { CC_REDIS_URL: "rediss://a..b:1" }, /^CC_REDIS_URL: /],
  ["a plain URL beside variables of TLS", { CC_REDIS_URL: "redis://127.0.0.1:1" }, /^CC_REDIS_TLS_CA: it needs TLS/],
  ["a URL that turns verification off", null, /^CC_REDIS_URL: .*always verified/],
]) {
  test(`INVALID_CONFIG at first use: ${what}`, async (t) => {
    const more = typeof config === "function" ? config() : config;
    if (more) return isBadConfig(t, trusting("rediss://127.0.0.1:1", more), words);
    process.env.CC_REDIS_URL = "rediss://127.0.0.1:1#insecure";
    return isBadConfig(t, {}, words);
  });
}

test("a key that was given as text shows in no error, configuration or health", async (t) => {
  const key = fs.readFileSync(own.other.key, "utf8");
  const secret = key.split("\n")[1];
  const config = trusting("rediss://127.0.0.1:1", { CC_REDIS_TLS_CERT: own.identity.cert, CC_REDIS_TLS_KEY: key });
  const lib = loadFor(t, config);
  const { error } = await outcome(new lib.BaseMap("tls").get("k"));
  t.is(error?.code, "INVALID_CONFIG");
  for (const value of [error, lib.getConfig(), lib.health(), lib]) t.false(inspect(value, { depth: 8, showHidden: true }).includes(secret));
});

/** What becomes of a key on its way into a variable; the lines of its base64 are handed in. */
const DAMAGES = {
  "without its first and last line": (lines) => lines.join("\n"),
  "in one line, without its first and last": (lines) => lines.join(""),
  "with escaped ends of lines, without its first and last": (lines) => lines.join("\\n"),
  "as its first line of base64": (lines) => lines[0],
  "as its last line of base64": (lines) => lines.at(-1),
  "without its first line": (lines) => `${lines.join("\n")}\n-----END PRIVATE KEY-----\n`,
  "with its first line in front of the others": (lines) => `-----BEGIN PRIVATE KEY-----${lines.join("")}-----END PRIVATE KEY-----`,
  "encoded once more": (lines) => Buffer.from(`-----BEGIN PRIVATE KEY-----\n${lines.join("\n")}`).toString("base64"),
  "in hexadecimal digits": (lines) => Buffer.from(lines.join(""), "base64").toString("hex"),
};

for (const [damage, damaged] of Object.entries(DAMAGES)) {
  test(`a key ${damage} is INVALID_CONFIG that names the variable and shows nothing of it, wherever it was put`, async (t) => {
    const lines = fs.readFileSync(own.identity.key, "utf8").split("\n").filter((line) => line !== "" && !line.startsWith("-----"));
    const text = damaged(lines);
    const { cert, key } = own.identity;
    for (const [name, rest] of [
      ["CC_REDIS_TLS_KEY", { CC_REDIS_TLS_CERT: cert }],
      ["CC_REDIS_TLS_CERT", { CC_REDIS_TLS_KEY: key }],
      ["CC_REDIS_TLS_CA", {}],
    ]) {
      const lib = loadFor(t, { CC_REDIS_URL: "rediss://127.0.0.1:1", ...rest, [name]: text });
      const { error } = await outcome(new lib.BaseMap("tls").get("k"));
      t.is(error?.code, "INVALID_CONFIG", inspect(error));
      t.true(error.message.startsWith(`${name}: `), error.message);
      t.is(lib.getConfig()[name], "********");
      const shown = [error, lib.getConfig(), lib.health()].map((value) => inspect(value, { depth: 8, showHidden: true, maxStringLength: null })).join();
      // Bytes as numbers would be a way of showing it, too.
      for (const piece of [text, ...lines, text.slice(0, 12), [...Buffer.from(lines[0])].join(", ")]) {
        if (piece.length >= 12 && piece !== "-----BEGIN P") t.false(shown.includes(piece), `${name}: ${shown}`);
      }
    }
  });
}

test("a path that looks like a key is a path all the same, and is not shown", async (t) => {
  const redis = await secure(t);
  const file = path.join(own.authority.dir, "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj");
  fs.copyFileSync(own.authority.cert, file);
  const lib = await works(t, trusting(redis.secure(), { CC_REDIS_TLS_CA: file }));
  t.is(lib.getConfig().CC_REDIS_TLS_CA, "********");
});

test("null takes the variables of TLS back", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, trusting("rediss://127.0.0.1:1"));
  lib.setConfig({ CC_REDIS_URL: redis.url, CC_REDIS_TLS_CA: null, CC_REDIS_TLS_CERT: null, CC_REDIS_TLS_KEY: null });
  t.is(lib.getConfig().CC_REDIS_TLS_CA, null);
  t.is(await new lib.BaseMap("tls").get("k"), null);
});

test("credentials of a rediss:// URL are percent-decoded, and a wrong password is REDIS_AUTH", async (t) => {
  const password = "p@ss:w/rd %25é?#";
  const redis = await secure(t, { password });
  await works(t, trusting(redis.secure()));
  const lib = loadFor(t, trusting(`rediss://:wrong@127.0.0.1:${redis.tlsPort}`, PATIENT));
  t.is((await outcome(new lib.BaseMap("tls").get("k"))).error?.code, "REDIS_AUTH");
});

test("values of several megabytes arrive whole in both directions", async (t) => {
  const redis = await secure(t);
  const lib = loadFor(t, trusting(redis.secure()));
  const map = new lib.BaseMap("tls", -1);
  const texts = range(0, 8).map((i) => `${i} é `.repeat(700_000 + i));
  await Promise.all(texts.map((text, i) => map.set(`k${i}`, text)));
  t.is(Number(await redis.command("STRLEN", "tls:k7")), Buffer.byteLength(texts[7]));
  const read = await Promise.all(texts.map((_, i) => map.get(`k${i}`)));
  read.forEach((text, i) => t.true(text === texts[i], String(i)));
  const all = new Map(await map.toArray());
  texts.forEach((text, i) => t.true(all.get(`k${i}`) === text, String(i)));
});

test("what a paused server does not take is kept, and comes to it whole", async (t) => {
  const redis = await secure(t);
  const lib = loadFor(t, trusting(redis.secure()));
  const map = new lib.BaseMap("tls", -1);
  await map.set("k", "v");
  await redis.kill("SIGSTOP");
  const texts = range(0, 30).map((i) => `${i} `.repeat(300_000));
  const sets = texts.map((text, i) => map.set(`k${i}`, text));
  await halfSent(t, lib);
  await redis.kill("SIGCONT");
  await Promise.all(sets);
  for (const [i, text] of texts.entries()) t.true((await map.get(`k${i}`)) === text, String(i));
});

test("large values that were half written when the server died arrive whole at the next", async (t) => {
  const redis = await secure(t);
  const lib = loadFor(t, trusting(redis.secure()));
  const map = new lib.BaseMap("tls", -1);
  await map.set("k", "v");
  await redis.kill("SIGSTOP");
  const texts = range(0, 20).map((i) => `${i} `.repeat(300_000));
  const sets = texts.map((text, i) => map.set(`k${i}`, text));
  await halfSent(t, lib);
  await redis.restart();
  await Promise.all(sets);
  for (const [i, text] of texts.entries()) t.true((await map.get(`k${i}`)) === text, String(i));
});

test("ten thousand calls at once are answered, each with its own", async (t) => {
  const redis = await secure(t);
  const lib = loadFor(t, trusting(redis.secure()));
  const map = new lib.BaseMap("tls", -1);
  for (let round = 0; round < 3; round++) {
    await Promise.all(range(0, 10_000).map((i) => map.set(`k${i}`, `${round} ${i}`)));
    const values = await Promise.all(range(0, 10_000).map((i) => map.get(`k${i}`)));
    t.deepEqual(values, range(0, 10_000).map((i) => `${round} ${i}`));
  }
  t.is(await map.size(), 10_000);
});

for (const size of [1, 7, 1000]) {
  test(`records that arrive in pieces of ${size} are put together`, async (t) => {
    const redis = await secure(t);
    const port = await dribblerFor(t, redis.tlsPort, size);
    const lib = await works(t, trusting(`rediss://127.0.0.1:${port}`));
    const map = new lib.BaseMap("tls", -1);
    const text = "0123456789 ".repeat(size * 300);
    await map.set("big", text);
    t.deepEqual(await Promise.all([map.get("k"), map.get("big"), map.get("none")]), ["v", text, null]);
  });
}

test("a connection that the server kills is replaced without a failed call", async (t) => {
  const redis = await secure(t);
  const lib = loadFor(t, trusting(redis.secure()));
  const map = new lib.BaseMap("tls", -1);
  for (let round = 0; round < 20; round++) {
    const calls = range(0, 50).map((i) => map.set(`k${i}`, `${round} ${i}`).then(() => map.get(`k${i}`)));
    await killConnections(redis);
    t.deepEqual(await Promise.all(calls), range(0, 50).map((i) => `${round} ${i}`));
  }
  await map.get("k1");
  t.is((await connectionsOf(redis)).length, 1);
});

test("calls wait for an absent TLS server, and succeed when it comes up", async (t) => {
  const port = await freePort();
  const lib = loadFor(t, trusting(`rediss://127.0.0.1:${port}`));
  const map = new lib.BaseMap("tls", -1);
  const calls = [map.set("k", "v"), map.get("k"), map.size()];
  await until(() => lib.health().redis.attempts > 0, "an attempt was made");
  t.regex(lib.health().redis.lastError, /ECONNREFUSED/);
  await secure(t, { tlsPort: port });
  t.deepEqual(await Promise.all(calls), [undefined, "v", 1]);
});

test("the near cache answers over TLS, and sees another's change even in a loop that only hits", async (t) => {
  const redis = await secure(t);
  const lib = loadFor(t, trusting(redis.secure(), { CC_NEAR_CACHE: "on" }));
  const signals = lib.ioc.signalCacheService;
  const row = { symbol: "B", strategyName: "s", exchangeName: "x" };
  await signals.get("warm-up");
  await signals.setSignalId({ ...row, id: "1" });
  t.is(lib.health().nearCache.state, "alive");
  const { commands } = lib.stats().redis;
  for (let i = 0; i < 100; i++) t.is(await signals.getSignalId("B", "s", "x"), "1");
  t.is(lib.stats().redis.commands, commands, "nothing was asked");
  t.true(lib.stats().nearCache.hits >= 100);
  for (let round = 2; round < 20; round++) {
    await redis.command("SET", "signal_cache:x:s:B", String(round));
    const end = Date.now() + 2000;
    // Promises that are settled already: the loop turns only when fairness makes it.
    while ((await signals.getSignalId("B", "s", "x")) !== String(round)) t.true(Date.now() < end, `still not ${round}`);
  }
  for (const one of range(0, 2000)) await redis.command("SET", `signal_cache:x:s:${one}`, "x");
  t.is(await signals.getSignalId("1999", "s", "x"), "x");
});

test("close() ends the connection, and the next call makes another", async (t) => {
  const redis = await secure(t);
  const lib = await works(t, trusting(redis.secure()));
  const call = new lib.BaseMap("tls").get("k");
  await lib.close();
  t.is(await call, "v");
  await until(async () => (await connectionsOf(redis)).length === 0, "the server saw it go");
  t.is(await new lib.BaseMap("tls").get("k"), "v");
});

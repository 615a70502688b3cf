"use strict";

// No words of a server or a driver leave us with user or password in them: not in rejections and their causes, not in
// health(), not in what the logger hears.

const util = require("node:util");
const { serial: test } = require("ava");
const { serverFor, loadFor, outcome, recorder, until } = require("./support/addon.js");
const { fakeFor, hello } = require("./support/fake-redis.js");
const { startMongo } = require("./support/mongo.js");

const USER = "trader-7";
const PASSWORD = "Tr1cky pass 'word' \"quoted\" %41 and more";

/** All that somebody could read of a copy of the package, and of these errors. */
const readable = (lib, logger, ...errors) =>
  [util.inspect(lib.health(), { depth: 9 }), util.inspect(logger.calls, { depth: 9 }), ...errors.map((error) => util.inspect(error, { depth: 9 }))].join("\n");

/** Neither is there, nor so much of them that one could guess the rest. */
function holdsNone(t, text, user = USER, password = PASSWORD) {
  for (const secret of [user, password, password.slice(0, 6), encodeURIComponent(password)]) {
    t.false(text.includes(secret), text);
  }
}

function listening(t, config) {
  const lib = loadFor(t, config);
  const logger = recorder();
  lib.setLogger(logger);
  return { lib, logger };
}

const asTrader = (redis) => ({ CC_REDIS_URL: "", CC_REDIS_HOST: redis.host, CC_REDIS_PORT: redis.port, CC_REDIS_USER: USER, CC_REDIS_PASSWORD: PASSWORD });
const LOGIN = { CC_REDIS_USER: USER, CC_REDIS_PASSWORD: PASSWORD };

test("a redis-server that does not know HELLO is used without the near cache, and repeats nothing", async (t) => {
  const redis = await serverFor(t, { args: ["--rename-command", "HELLO", ""] });
  await redis.command("ACL", "SETUSER", USER, "on", `>${PASSWORD}`, "~*", "+@all");
  const { lib, logger } = listening(t, { ...asTrader(redis), CC_NEAR_CACHE: "on" });
  await lib.ioc.signalCacheService.set("k", "v");
  t.is(await lib.ioc.signalCacheService.get("k"), "v");
  t.deepEqual(lib.health().nearCache, { state: "refused", reason: "ERR unknown command 'HELLO' …" });
  await until(() => logger.calls.some(([level]) => level === "warn"), "the logger is told");
  holdsNone(t, readable(lib, logger));
});

test("a redis-server that knows neither HELLO nor AUTH refuses, and repeats nothing", async (t) => {
  const redis = await serverFor(t, { args: ["--rename-command", "HELLO", "", "--rename-command", "AUTH", ""] });
  const { lib, logger } = listening(t, asTrader(redis));
  const map = new lib.BaseMap("ns");
  const errors = [(await outcome(map.get("k"))).error, (await outcome(lib.ioc.redisService.waitForInit())).error];
  for (const error of errors) {
    t.is(error?.code, "REDIS_AUTH");
    t.regex(error.message, /^ERR unknown command 'AUTH' … \(/);
  }
  t.is(lib.health().redis.lastError, "ERR unknown command 'AUTH' …");
  holdsNone(t, readable(lib, logger, ...errors));
});

test("a redis-server that refuses the password repeats nothing", async (t) => {
  const redis = await serverFor(t);
  const { lib, logger } = listening(t, asTrader(redis));
  const { error } = await outcome(new lib.BaseMap("ns").get("k"));
  t.is(error?.code, "REDIS_AUTH");
  t.regex(error.message, /^WRONGPASS invalid username-password pair or user is disabled\./);
  holdsNone(t, readable(lib, logger, error));
});

/** The bytes of an argument up to its first NUL, so many at most, as a C string is printed. */
const printed = (text, most) => {
  const bytes = Buffer.from(text);
  const end = bytes.indexOf(0);
  return bytes.subarray(0, Math.min(most, end < 0 ? bytes.length : end));
};

/** What versions answer to a command that they do not know; `most` bytes of each argument, 128 of all. */
function unknown(quote, after, most = 128) {
  return ([command, ...args]) => {
    let repeated = Buffer.alloc(0);
    for (const arg of args) {
      if (repeated.length >= 128) break;
      repeated = Buffer.concat([repeated, Buffer.from(quote), printed(arg, Math.min(most, 128 - repeated.length)), Buffer.from(quote + after)]);
    }
    for (const [i, byte] of repeated.entries()) if (byte === 13 || byte === 10) repeated[i] = 32;
    return Buffer.concat([Buffer.from(`-ERR unknown command ${quote}${command}${quote}, with args beginning with: `), repeated, Buffer.from("\r\n")]);
  };
}

const VERSIONS = [
  ["Redis 5 and 6", unknown("`", ", ")],
  ["Redis 7", unknown("'", " ")],
  ["a server that shortens each argument to 20 bytes", unknown("'", " ", 20)],
  ["a server that shortens each argument to 1 byte", unknown("'", " ", 1)],
  ["a server that quotes without saying so", (args) => `-ERR I do not know ${args.map((arg) => JSON.stringify(arg)).join(" ")}\r\n`],
  ["a server that repeats the line as it came", (args) => `-ERR bad line: ${args.join(" ").replace(/[\r\n]/g, " ")}\r\n`],
  ["a server that encodes what it repeats", (args) => `-ERR bad request /${args.map(encodeURIComponent).join("/")}\r\n`],
];
const PASSWORDS = [
  ["of words", PASSWORD],
  ["that is long", "correct-horse-battery-staple-".repeat(12)],
  ["with ends of lines and a NUL", "first\r\nsecond\0third 4711"],
  ["of other letters", "pässwörd-ßen-😀-geheim"],
];

for (const [version, answer] of VERSIONS) {
  for (const [what, password] of PASSWORDS) {
    test(`neither user nor password is repeated: ${version}, a password ${what}`, async (t) => {
      let knowsAuth = true;
      const refused = (args, _, id) => {
        if (args[0] === "HELLO") return answer(args);
        if (args[0] === "AUTH") return knowsAuth ? "+OK\r\n" : answer(args);
        return args[0] === "PING" ? "+PONG\r\n" : hello(id);
      };
      const fake = await fakeFor(t, () => "$1\r\nv\r\n", refused);
      const config = { ...LOGIN, CC_REDIS_PASSWORD: password, CC_REDIS_URL: "", CC_REDIS_PORT: fake.port, CC_NEAR_CACHE: "on" };
      const { lib, logger } = listening(t, config);
      t.is(await new lib.BaseMap("ns").get("k"), "v");
      const { state, reason } = lib.health().nearCache;
      t.is(state, "refused");
      t.regex(reason, /^ERR .*…$/);
      knowsAuth = false;
      fake.drop();
      await until(() => lib.stats().redis.losses > 0, "the connection is lost");
      const { error } = await outcome(new lib.BaseMap("ns").get("k"));
      t.is(error?.code, "REDIS_AUTH");
      const text = readable(lib, logger, error);
      t.regex(text, /ERR .*…/);
      holdsNone(t, text, USER, password);
    });
  }
}

test("a server that names the user in what it forbids does not name it here", async (t) => {
  const words = `NOPERM User ${USER} has no permissions to run the`;
  const fake = await fakeFor(
    t,
    ([name]) => `-${words} '${name.toLowerCase()}' command\r\n`,
    ([name, what], _, id) => {
      if (name === "HELLO") return hello(id);
      return name === "CLIENT" && what === "TRACKING" ? `-${words} 'client|tracking' command\r\n` : "+OK\r\n";
    },
  );
  const { lib, logger } = listening(t, { ...LOGIN, CC_REDIS_URL: "", CC_REDIS_PORT: fake.port, CC_NEAR_CACHE: "on" });
  const { error } = await outcome(new lib.BaseMap("ns").get("k"));
  t.is(error?.code, "REDIS_REPLY");
  t.regex(error.message, /^NOPERM User \*{8} has no permissions to run the 'get' command \(GET ns:k on /);
  t.is(lib.health().nearCache.reason, "NOPERM User ******** has no permissions to run the 'client|tracking' command");
  holdsNone(t, readable(lib, logger, error));
});

test("what a server cannot do now, and says with the password in it, is told without it", async (t) => {
  const fake = await fakeFor(t, () => `-LOADING asked by ${USER}:${PASSWORD}\r\n`);
  const { lib, logger } = listening(t, { ...LOGIN, CC_REDIS_URL: "", CC_REDIS_PORT: fake.port, CC_REDIS_TIMEOUT_MS: 300 });
  const { error } = await outcome(new lib.BaseMap("ns").get("k"));
  t.is(error?.code, "REDIS_UNAVAILABLE");
  t.regex(error.message, /^LOADING asked by \*{8}:\*{8} \(/);
  t.is(error.cause.message, "LOADING asked by ********:********");
  holdsNone(t, readable(lib, logger, error));
});

test("a user's own command may be repeated: it holds no secret", async (t) => {
  const redis = await serverFor(t, { args: ["--rename-command", "SET", ""] });
  await redis.command("ACL", "SETUSER", USER, "on", `>${PASSWORD}`, "~*", "+@all");
  const { lib } = listening(t, asTrader(redis));
  const { error } = await outcome(new lib.BaseMap("ns", -1).set("k", "some value"));
  t.is(error?.code, "REDIS_REPLY");
  t.regex(error.message, /^ERR unknown command 'SET', with args beginning with: 'ns:k' 'some value'/);
});

test("a mongod that refuses the password, and all that the driver says of it, repeats nothing", async (t) => {
  const mongo = await startMongo({ args: ["--auth"] });
  t.teardown(() => mongo.stop());
  await mongo.command({ createUser: USER, pwd: "another one", roles: ["root"] }, { database: "admin" });
  const login = `${encodeURIComponent(USER)}:${encodeURIComponent(PASSWORD)}`;
  const { lib, logger } = listening(t, {
    CC_MONGO_CONNECTION_STRING: `mongodb://${login}@${mongo.host}:${mongo.port}/test?authSource=admin`,
    CC_MONGO_TIMEOUT_MS: 3000,
  });
  const { signalDbService: signals } = lib.ioc;
  const errors = [
    (await outcome(signals.findAll())).error,
    (await outcome(signals.upsert("S", "s", "e", {}))).error,
    (await outcome(signals.findByContext("S", "s", "e"))).error,
    (await outcome(signals.iterate().next())).error,
  ];
  for (const error of errors) t.is(error?.code, "MONGO_UNAVAILABLE");
  const text = readable(lib, logger, ...errors);
  t.regex(text, /[Aa]uthentication failed/);
  holdsNone(t, text);
});

for (const [what, login] of [
  ["a colon", `${USER}:s3cr3t:word`],
  ["a question mark", `${USER}:s3cr3t?word`],
  ["a question mark behind digits", `${USER}:4711?s3cr3tword`],
  ["a question mark and an equals sign", `${USER}:4711?s3cr3t=word`],
  ["a slash", `${USER}:s3cr3t/word`],
  ["an at sign", `${USER}:s3cr3t@word`],
  ["a bracket", `${USER}:[s3cr3tword`],
  ["a percent sign", `${USER}:s3cr3t%word`],
]) {
  test(`a connection string that the driver cannot use because of ${what} in the password is not repeated`, async (t) => {
    const uri = `mongodb://${login}@localhost:1/db`;
    const lib = loadFor(t);
    const errors = [t.throws(() => lib.setConfig({ CC_MONGO_CONNECTION_STRING: uri }))];
    const { CC_MONGO_CONNECTION_STRING: before } = process.env;
    process.env.CC_MONGO_CONNECTION_STRING = uri;
    t.teardown(() => {
      if (before === undefined) delete process.env.CC_MONGO_CONNECTION_STRING;
      else process.env.CC_MONGO_CONNECTION_STRING = before;
    });
    errors.push((await outcome(lib.ioc.signalDbService.findAll())).error);
    errors.push((await outcome(new lib.BaseMap("ns").get("k"))).error);
    for (const error of errors) {
      t.is(error?.code, "INVALID_CONFIG");
      t.regex(error.message, /^CC_MONGO_CONNECTION_STRING: not a connection string of the form/);
      const text = util.inspect(error, { depth: 9 }).toLowerCase();
      for (const secret of [USER, "s3cr3t", "4711"]) t.false(text.includes(secret), text);
    }
  });
}

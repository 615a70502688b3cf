"use strict";

// The ten methods of a map: what they send, what they resolve with, and which keys are theirs.

const { serial: test } = require("ava");
const { withRedis, loadFor, everyCall, collect, recorder, label } = require("./support/addon.js");

const own = withRedis(test);
test.beforeEach(() => own.server.command("FLUSHALL"));

const map = (connectionKey = "ns", ttl = -1) => new own.lib.BaseMap(connectionKey, ttl);
const raw = async (key) => {
  const reply = await own.server.command("GET", key);
  return reply === null ? null : reply.toString();
};

test("set writes the value under connectionKey:key in one command and resolves undefined", async (t) => {
  const commands = await own.calls(async () => t.is(await map().set("k1", "v1"), undefined));
  t.deepEqual(commands, [["SET", "ns:k1", "v1"]]);
  t.is(await raw("ns:k1"), "v1");
});

test("set overwrites, and an empty string is a value", async (t) => {
  await map().set("k", "first");
  await map().set("k", "");
  t.is(await map().get("k"), "");
  t.true(await map().has("k"));
});

test("get asks once and resolves the text, or null for a key that is absent", async (t) => {
  await own.server.command("SET", "ns:k", "from elsewhere");
  const commands = await own.calls(async () => {
    t.is(await map().get("k"), "from elsewhere");
    t.is(await map().get("absent"), null);
  });
  t.deepEqual(commands, [["GET", "ns:k"], ["GET", "ns:absent"]]);
});

test("has asks EXISTS once and resolves a boolean", async (t) => {
  await map().set("k", "v");
  const commands = await own.calls(async () => {
    t.is(await map().has("k"), true);
    t.is(await map().has("absent"), false);
  });
  t.deepEqual(commands, [["EXISTS", "ns:k"], ["EXISTS", "ns:absent"]]);
});

test("delete resolves undefined whether the key was there or not", async (t) => {
  await map().set("k", "v");
  const commands = await own.calls(async () => {
    t.is(await map().delete("k"), undefined);
    t.is(await map().delete("k"), undefined);
  });
  t.deepEqual(commands, [["DEL", "ns:k"], ["DEL", "ns:k"]]);
  t.is(await raw("ns:k"), null);
});

test("toArray, iterate, keys, values and size agree on what is in the map", async (t) => {
  const expected = [];
  for (let i = 0; i < 25; i++) {
    expected.push([`k${i}`, `v${i}`]);
    await map().set(`k${i}`, `v${i}`);
  }
  const sorted = (items) => [...items].sort();
  t.deepEqual(sorted(await map().toArray()), sorted(expected));
  t.deepEqual(sorted(await collect(map().iterate())), sorted(expected));
  t.deepEqual(sorted(await collect(map().keys())), sorted(expected.map(([key]) => key)));
  t.deepEqual(sorted(await collect(map().values())), sorted(expected.map(([, value]) => value)));
  t.is(await map().size(), 25);
});

test("clear empties the map, leaves its neighbours and resolves undefined", async (t) => {
  for (let i = 0; i < 250; i++) await map().set(`k${i}`, "v");
  await map("other").set("k", "v");
  t.is(await map().clear(), undefined);
  t.deepEqual((await own.server.command("KEYS", "*")).map(String), ["other:k"]);
  t.is(await map().clear(), undefined, "a map that is empty already");
});

test("an empty map has no entries and asks for no values", async (t) => {
  const commands = await own.calls(async () => {
    t.deepEqual(await map().toArray(), []);
    t.deepEqual(await collect(map().iterate()), []);
    t.is(await map().size(), 0);
  });
  t.deepEqual(new Set(commands.map(([name]) => name)), new Set(["SCAN"]));
});

test("a scan asks as the original does: SCAN cursor MATCH prefix COUNT 100", async (t) => {
  await map().set("a", "1");
  const commands = await own.calls(() => map().keys().next());
  t.deepEqual(commands[0], ["SCAN", "0", "MATCH", "ns:*", "COUNT", "100"]);
});

test("BaseMap(key, ttl) is a class to extend, and super reaches the ten methods", async (t) => {
  class Quotes extends own.lib.BaseMap("quotes", -1) {
    async get(key) {
      return `<${await super.get(key)}>`;
    }
    async set(key, value) {
      return super.set(key.toUpperCase(), value);
    }
  }
  const quotes = new Quotes();
  await quotes.set("btc", "67000");
  t.is(await raw("quotes:BTC"), "67000");
  t.is(await quotes.get("BTC"), "<67000>");
  t.true(quotes instanceof Quotes);
  t.deepEqual(await quotes.toArray(), [["BTC", "67000"]]);
});

test("BaseMap(key) is a class to instantiate, with 300 seconds to live unless told otherwise", async (t) => {
  const Short = own.lib.BaseMap("short");
  const short = new Short();
  t.is(short.connectionKey, "short");
  t.is(short.ttlExpireSeconds, 300);
  await short.set("k", "v");
  t.is(await own.server.command("TTL", "short:k"), 300);
});

test("new BaseMap(key, ttl) is a map at once", async (t) => {
  const direct = new own.lib.BaseMap("direct", 60);
  t.is(direct.connectionKey, "direct");
  t.is(direct.ttlExpireSeconds, 60);
  t.is(direct.loggerService, own.lib.ioc.loggerService);
  await direct.set("k", "v");
  t.is(await raw("direct:k"), "v");
});

test("classes made by two calls of BaseMap are independent of each other", async (t) => {
  const [A, B] = [own.lib.BaseMap("a", -1), own.lib.BaseMap("b", 10)];
  A.prototype.extra = 1;
  t.is(new B().extra, undefined);
  t.is(new A().connectionKey, "a");
  t.is(new B().connectionKey, "b");
});

test("two maps of one connectionKey share their keys", async (t) => {
  await map("shared").set("k", "v");
  class Shared extends own.lib.BaseMap("shared") {}
  t.is(await new Shared().get("k"), "v");
});

test("a subclass with a constructor of its own and fields works", async (t) => {
  class Counted extends own.lib.BaseMap("counted", -1) {
    writes = 0;
    constructor(start) {
      super();
      this.writes = start;
    }
    async set(key, value) {
      this.writes++;
      await super.set(key, value);
    }
  }
  const counted = new Counted(5);
  await counted.set("k", "v");
  t.is(counted.writes, 6);
  t.is(await counted.get("k"), "v");
});

test("_getItemKey joins connectionKey and key as they are", (t) => {
  t.is(map("a*b")._getItemKey("c:d*"), "a*b:c:d*");
  t.is(map()._getItemKey(5), "ns:5");
  t.is(map()._getItemKey(undefined), "ns:undefined");
  t.is(map("")._getItemKey(""), ":");
});

for (const key of ["", undefined, null, 0, NaN, false]) {
  test(`set with the key ${label(key)} rejects, sends nothing and logs nothing`, async (t) => {
    const logger = recorder();
    own.lib.setLogger(logger);
    const commands = await own.calls(async () => {
      const error = await t.throwsAsync(map().set(key, "v"), { instanceOf: Error, code: "KEY_EMPTY" });
      t.is(error.message, "Key cannot be empty");
    });
    own.lib.setLogger(null);
    t.deepEqual(commands, []);
    t.deepEqual(logger.calls, []);
  });
}

for (const [key, text] of [
  [1, "1"],
  [true, "true"],
  [10n, "10"],
  [1.5, "1.5"],
  [{}, "[object Object]"],
  [["a", "b"], "a,b"],
]) {
  test(`a key ${label(key)} is taken as its text ${JSON.stringify(text)}`, async (t) => {
    const commands = await own.calls(async () => {
      await map("e").set(key, "v");
      t.is(await map("e").get(key), "v");
      t.true(await map("e").has(key));
      await map("e").delete(key);
    });
    t.deepEqual(commands.map((args) => args[1]), Array(4).fill(`e:${text}`));
  });
}

test("get(null), has(null) and delete(null) answer without a command", async (t) => {
  await own.server.command("SET", "ns:null", "v");
  const commands = await own.calls(async () => {
    t.is(await map().get(null), null);
    t.is(await map().has(null), false);
    t.is(await map().delete(null), undefined);
  });
  t.deepEqual(commands, []);
  t.is(await raw("ns:null"), "v");
});

test("get, has and delete of undefined, an empty string and 0 ask for just these", async (t) => {
  const commands = await own.calls(async () => {
    for (const key of [undefined, "", 0]) {
      t.is(await map().get(key), null);
      t.is(await map().has(key), false);
      t.is(await map().delete(key), undefined);
    }
  });
  const verbs = ["GET", "EXISTS", "DEL"];
  t.deepEqual(commands, ["ns:undefined", "ns:", "ns:0"].flatMap((key) => verbs.map((verb) => [verb, key])));
});

test("the empty key that another client wrote can be read and is listed", async (t) => {
  await own.server.command("SET", "ns:", "empty");
  t.is(await map().get(""), "empty");
  t.deepEqual(await map().toArray(), [["", "empty"]]);
  t.deepEqual(await collect(map().keys()), [""]);
});

test("a symbol as a key is a rejection with a code in every method", async (t) => {
  const commands = await own.calls(async () => {
    for (const method of ["get", "set", "has", "delete"]) {
      const error = await t.throwsAsync(map()[method](Symbol("s"), "v"), { instanceOf: TypeError });
      t.is(error.code, "INVALID_CONTEXT", method);
      t.regex(error.message, /^Cannot convert a Symbol value to a string/);
    }
  });
  t.deepEqual(commands, []);
});

test("keys and values with NUL, newlines, spaces, quotes and emoji come back as they were", async (t) => {
  const texts = ["a\0b", "line\r\nline", " spaces ", "\"a\" 'b'", "🚀 日本語 ñ", "*?[a]\\", "x".repeat(10_000)];
  for (const text of texts) {
    await map("uni☃").set(text, text);
    t.is(await map("uni☃").get(text), text);
  }
  const keys = await collect(map("uni☃").keys());
  t.is(keys.length, 7);
  t.true(keys.includes("🚀 日本語 ñ"));
  t.deepEqual(await map("uni☃").toArray(), (await map("uni☃").toArray()).map(([key]) => [key, key]));
});

test("a namespace sees those below it, and no other", async (t) => {
  await map("ns").set("x", "1");
  await map("ns:sub").set("y", "2");
  await map("nsx").set("z", "3");
  t.deepEqual((await collect(map("ns").keys())).sort(), ["sub:y", "x"]);
  t.deepEqual(await collect(map("ns:sub").keys()), ["y"]);
  await map("ns").clear();
  t.deepEqual((await own.server.command("KEYS", "*")).map(String), ["nsx:z"]);
});

test("an empty connectionKey owns what begins with a colon", async (t) => {
  await map("").set("own", "1");
  await own.server.command("SET", "x:y", "2");
  t.deepEqual(await collect(map("").keys()), ["own"]);
  await map("").clear();
  t.is(await raw("x:y"), "2");
});

test("a thousand calls at once each get their own answer", async (t) => {
  await Promise.all(Array.from({ length: 1000 }, (_, i) => map().set(`k${i}`, `v${i}`)));
  const values = await Promise.all(Array.from({ length: 1000 }, (_, i) => map().get(`k${i}`)));
  t.deepEqual(values, Array.from({ length: 1000 }, (_, i) => `v${i}`));
});

test("thousands of calls at once after any number of earlier ones are all answered", async (t) => {
  await map().set("k", "v");
  // A growing table of waiting calls must not forget one at any size that it passes through.
  for (const earlier of [1, 510, 1022, 1023, 1024, 2046, 2047, 4095]) {
    const lib = loadFor(t, own.server.env);
    const fresh = new lib.BaseMap("ns", -1);
    for (let i = 0; i < earlier; i++) await fresh.get("k");
    const values = await Promise.all(Array.from({ length: 9000 }, () => fresh.get("k")));
    t.true(values.every((value) => value === "v"), `after ${earlier} calls`);
  }
});

test("a call that waits long is not forgotten while thousands come and go", async (t) => {
  const lib = loadFor(t, own.server.env);
  const fresh = new lib.BaseMap("ns", -1);
  for (let i = 0; i < 3000; i++) await fresh.set(`k${i}`, `v${i}`);
  const scans = Array.from({ length: 5 }, () => fresh.toArray());
  for (let round = 0; round < 20; round++) {
    const values = await Promise.all(Array.from({ length: 700 }, (_, i) => fresh.get(`k${i}`)));
    t.deepEqual(values, values.map((_, i) => `v${i}`));
  }
  for (const items of await Promise.all(scans)) t.is(items.length, 3000);
});

test("half a million calls at once are all answered, and timers and others run in between", async (t) => {
  await map().set("k", "v");
  const calls = Array.from({ length: 500_000 }, () => map().get("k"));
  let turns = 0;
  let timer = setImmediate(function turn() {
    turns++;
    timer = setImmediate(turn);
  });
  const values = await Promise.all(calls);
  clearImmediate(timer);
  t.true(values.every((value) => value === "v"));
  t.true(turns > 10, `${turns} turns of the loop`);
});

test("fields that a subclass sets for itself count, as in the original", async (t) => {
  class Renamed extends own.lib.BaseMap("first") {
    connectionKey = "second";
    ttlExpireSeconds = -1;
  }
  const renamed = new Renamed();
  await renamed.set("k", "v");
  t.is(await raw("second:k"), "v");
  t.is(await own.server.command("TTL", "second:k"), -1);
  t.is(renamed._getItemKey("k"), "second:k");
  renamed.connectionKey = "third";
  renamed.ttlExpireSeconds = 50;
  await renamed.set("k", "w");
  t.is(await raw("third:k"), "w");
  t.true((await own.server.command("TTL", "third:k")) > 0);
  t.deepEqual(await renamed.toArray(), [["k", "w"]]);
  renamed.ttlExpireSeconds = 1.5;
  await t.throwsAsync(renamed.set("k", "x"), { instanceOf: RangeError, code: "INVALID_TTL" });
  t.is(await raw("third:k"), "w");
});

test("calls on one connection run in the order in which they were made", async (t) => {
  const results = await Promise.all([
    map().set("k", "1"),
    map().get("k"),
    map().set("k", "2"),
    map().get("k"),
    map().delete("k"),
    map().has("k"),
  ]);
  t.deepEqual(results, [undefined, "1", undefined, "2", undefined, false]);
});

test("every method returns a promise or an async generator of this realm", async (t) => {
  const one = map();
  for (const call of everyCall(one)) {
    t.true(call instanceof Promise);
    await call;
  }
  t.true(Array.isArray(await one.toArray()));
});

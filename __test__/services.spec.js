"use strict";

// The cache services through the public API: which key every form of every service asks for or writes, and what is
// refused. The cases are data (spec/keys.json).

const { serial: test } = require("ava");
const { ObjectId } = require("bson");
const { withRedis, collect, outcome } = require("./support/addon.js");
const { loadSpec, evaluate } = require("./support/spec.js");
const { services } = require("../js/binding.js");

const own = withRedis(test);
test.beforeEach(() => own.server.command("FLUSHALL"));

const spec = loadSpec("keys");
const table = services();
const noun = (one) => table.find((row) => row.service === one.service).nouns.find((n) => n.noun === one.noun);
const signature = (form) => `(${form.args.map((arg) => arg.name).join(", ")})`;

/** The reading methods of a case's noun: [method, command]. */
function readers(one) {
  const list = [[`has${one.noun}Id`, "EXISTS"], [`get${one.noun}Id`, "GET"]];
  if (noun(one).delete) list.push([`delete${one.noun}Id`, "DEL"]);
  return list;
}

/** The rejection of a call that must be refused without any command. */
async function refusal(t, one, method, args) {
  const commands = await own.calls(async () => {
    const { error, value } = await outcome(own.lib.ioc[one.service][method](...args));
    t.true(error instanceof TypeError, `${method} was not refused: ${String(value)}`);
    t.is(error.code, one.code);
    t.true(error.message.includes(`${one.service}.${method}`), error.message);
    one.error = error;
  });
  t.deepEqual(commands, []);
  return one.error;
}

async function readsAsExpected(t, one, args) {
  const service = own.lib.ioc[one.service];
  for (const [method, name] of readers(one)) {
    const several = one.itemKeys.length > 1;
    const expected = [several && name === "GET" ? "MGET" : name, ...one.itemKeys];
    const empty = { EXISTS: false, GET: null, DEL: undefined }[name];
    t.deepEqual(await own.calls(async () => t.is(await service[method](...args), empty, method)), [expected]);
    // From the last key to the first: each one that is there wins over those behind it.
    for (const key of [...one.itemKeys].reverse()) {
      await own.server.command("SET", key, `id at ${key}`);
      if (name === "DEL") {
        await service[method](...args);
        t.is(await own.server.command("EXISTS", key), 0);
      } else {
        t.is(await service[method](...args), name === "GET" ? `id at ${key}` : true, method);
      }
    }
    await own.server.command("FLUSHALL");
  }
}

async function writesAsExpected(t, one, row) {
  const method = `set${one.noun}Id`;
  const commands = await own.calls(async () => t.is(await own.lib.ioc[one.service][method](row), one.id));
  t.deepEqual(commands, [["SET", one.itemKey, one.id]]);
  t.is(await own.server.command("TTL", one.itemKey), -1);
}

for (const one of spec.reads) {
  test(`reads ask for the right key: ${one.name}`, (t) => readsAsExpected(t, one, one.args));
}

for (const one of spec.rows) {
  test(`a row is written under one key: ${one.name}`, (t) => writesAsExpected(t, one, one.row));
}

for (const one of spec.refusedReads) {
  test(`reads refuse what fits no form: ${one.name}`, async (t) => {
    for (const [method] of readers(one)) {
      const error = await refusal(t, one, method, one.args);
      for (const form of noun(one).forms) t.true(error.message.includes(signature(form)), error.message);
    }
  });
}

for (const one of spec.refusedRows) {
  test(`a row is refused and nothing written: ${one.name}`, async (t) => {
    const error = await refusal(t, one, `set${one.noun}Id`, [one.row]);
    if (one.noId) t.regex(error.message, /\bid\b/);
    else for (const form of noun(one).forms) t.true(error.message.includes(signature(form)), error.message);
  });
}

for (const one of spec.expressionReads) {
  test(`reads: ${one.name}`, async (t) => {
    const args = evaluate(one.args);
    if (!one.code) return readsAsExpected(t, one, args);
    for (const [method] of readers(one)) await refusal(t, one, method, args);
  });
}

for (const one of spec.expressionRows) {
  test(`rows: ${one.name}`, async (t) => {
    const row = evaluate(`(${one.row})`);
    if (one.code) await refusal(t, one, `set${one.noun}Id`, [row]);
    else await writesAsExpected(t, one, row);
  });
}

test("the cases cover every form of every service, for reading and for writing", (t) => {
  for (const { service, nouns } of table) {
    for (const { noun: name, forms } of nouns) {
      forms.forEach((form, index) => {
        const covers = (one) => one.service === service && one.noun === name;
        const length = (one) => one.args.length === form.args.length;
        t.true(spec.reads.some((one) => covers(one) && length(one)), `${name} reads ${signature(form)}`);
        t.true(spec.rows.some((one) => covers(one) && one.form === index), `${name} rows ${signature(form)}`);
      });
    }
  }
});

test("ioc has a logger, both servers' services, the seventeen cache services and their db services, in this order", (t) => {
  const first = "candle signal schedule strategy risk partial breakeven storage notification";
  const stems = `${first} log measure interval memory recent state dictionary session`.split(" ");
  const names = ["CacheService", "DbService"].flatMap((kind) => stems.map((stem) => `${stem}${kind}`));
  t.deepEqual(Object.keys(own.lib.ioc), ["loggerService", "mongoService", "redisService", ...names]);
});

test("each service is an instance of its exported class, with its prefix and no time to live", (t) => {
  for (const { service, class: name, prefix } of table) {
    const one = own.lib.ioc[service];
    t.is(typeof own.lib[name], "function", name);
    t.true(one instanceof own.lib[name], name);
    t.is(one.constructor.name, name);
    t.is(one.connectionKey, prefix);
    t.is(one.ttlExpireSeconds, -1);
    t.is(one.loggerService, own.lib.ioc.loggerService);
  }
});

test("a service made with new shares keys with the one of ioc", async (t) => {
  const mine = new own.lib.SignalCacheService();
  t.is(await mine.setSignalId({ symbol: "B", strategyName: "s", exchangeName: "x", id: "1" }), "1");
  t.is(await own.lib.ioc.signalCacheService.getSignalId("B", "s", "x"), "1");
});

test("methods exist under their documented names, and delete only where it is documented", (t) => {
  for (const { service, nouns } of table) {
    for (const one of nouns) {
      for (const verb of ["has", "get", "set"]) t.is(typeof own.lib.ioc[service][`${verb}${one.noun}Id`], "function");
      t.is(typeof own.lib.ioc[service][`delete${one.noun}Id`], one.delete ? "function" : "undefined");
    }
  }
});

test("a service has the ten methods of a map over its own keys", async (t) => {
  const { signalCacheService, scheduleCacheService } = own.lib.ioc;
  for (const symbol of ["A", "B", "C"]) {
    await signalCacheService.setSignalId({ symbol, strategyName: "s", exchangeName: "x", id: `id ${symbol}` });
  }
  await scheduleCacheService.setScheduleId({ symbol: "A", strategyName: "s", exchangeName: "x", id: "other" });
  t.is(await signalCacheService.size(), 3);
  t.deepEqual((await collect(signalCacheService.keys())).sort(), ["x:s:A", "x:s:B", "x:s:C"]);
  t.deepEqual((await collect(signalCacheService.values())).sort(), ["id A", "id B", "id C"]);
  t.deepEqual((await signalCacheService.toArray()).sort()[0], ["x:s:A", "id A"]);
  t.is(await signalCacheService.get("x:s:B"), "id B");
  await signalCacheService.delete("x:s:B");
  t.false(await signalCacheService.hasSignalId("B", "s", "x"));
  await signalCacheService.clear();
  t.is(await signalCacheService.size(), 0);
  t.is(await scheduleCacheService.getScheduleId("A", "s", "x"), "other");
});

test("an ObjectId as id or _id is stored and returned as its hex text", async (t) => {
  const id = new ObjectId();
  const row = { symbol: "B", strategyName: "s", exchangeName: "x" };
  for (const field of ["id", "_id"]) {
    const { value, error } = await outcome(own.lib.ioc.signalCacheService.setSignalId({ ...row, [field]: id }));
    t.is(error, undefined, field);
    t.is(value, id.toHexString());
    t.is(String(await own.server.command("GET", "signal_cache:x:s:B")), id.toHexString());
  }
});

test("an id that has no text is refused and names the id", async (t) => {
  for (const id of [{}, [], () => 1, Symbol("s"), new Map()]) {
    const one = { service: "signalCacheService", noun: "Signal", code: "INVALID_ROW" };
    const error = await refusal(t, one, "setSignalId", [{ symbol: "B", strategyName: "s", exchangeName: "x", id }]);
    t.regex(error.message, /\bid\b/);
  }
});

test("each field of a row is read once, whatever kind of object it is", async (t) => {
  const reads = [];
  const data = { symbol: "B", strategyName: "s", exchangeName: "x", frameName: "f", backtest: true, id: "1" };
  const row = new Proxy(data, { get: (target, name) => (reads.push(String(name)), target[name]) });
  t.is(await own.lib.ioc.recentCacheService.setRecentId(row), "1");
  t.deepEqual([...reads].sort(), [...new Set(reads)].sort());
  t.is(String(await own.server.command("GET", "recent_cache:backtest:x:s:f:B")), "1");
});

test("a row whose getter or proxy throws is refused with that as the cause", async (t) => {
  const boom = () => {
    throw new Error("boom");
  };
  const row = { strategyName: "s", exchangeName: "x", id: "1" };
  for (const hostile of [Object.defineProperty({ ...row }, "symbol", { get: boom }), new Proxy(row, { get: boom })]) {
    const one = { service: "signalCacheService", noun: "Signal", code: "INVALID_ROW" };
    const error = await refusal(t, one, "setSignalId", [hostile]);
    t.is(error.cause?.message, "boom");
  }
  const { proxy, revoke } = Proxy.revocable(row, {});
  revoke();
  t.is((await outcome(own.lib.ioc.signalCacheService.setSignalId(proxy))).error?.code, "INVALID_ROW");
});

test("code that runs while a row is read may call the services itself", async (t) => {
  const { signalCacheService: service } = own.lib.ioc;
  await service.set("known", "value");
  const inner = [];
  const call = (value) => {
    inner.push(service.get("known"), service.set("other", "1"), service.get("other"));
    return value;
  };
  const row = {
    get symbol() {
      return call("B");
    },
    get strategyName() {
      return call("s");
    },
    exchangeName: "x",
    get _id() {
      return { toHexString: () => call("65a1b2c3d4e5f60718293a4b") };
    },
  };
  const calls = [service.get("known"), service.setSignalId(row), service.getSignalId("B", "s", "x")];
  const results = await Promise.all(calls);
  t.deepEqual(results, ["value", "65a1b2c3d4e5f60718293a4b", "65a1b2c3d4e5f60718293a4b"]);
  t.deepEqual(await Promise.all(inner), Array(3).fill(["value", undefined, "1"]).flat());
});

test("a row whose getter calls and then throws disturbs no other call", async (t) => {
  const { signalCacheService: service } = own.lib.ioc;
  await service.set("known", "value");
  const inner = [];
  const row = {
    get symbol() {
      inner.push(service.get("known"));
      throw new Error("boom");
    },
  };
  const calls = [service.get("known"), outcome(service.setSignalId(row)), service.get("absent"), service.get("known")];
  const results = await Promise.all(calls);
  t.is(results[1].error?.code, "INVALID_ROW");
  t.deepEqual([results[0], results[2], results[3], await inner[0]], ["value", null, "value", "value"]);
});

test("a row whose getter closes the connection is still written", async (t) => {
  const closing = [];
  const row = {
    get symbol() {
      closing.push(own.lib.close());
      return "B";
    },
    strategyName: "s",
    exchangeName: "x",
    id: "1",
  };
  t.is(await own.lib.ioc.signalCacheService.setSignalId(row), "1");
  await Promise.all(closing);
  t.is(await own.lib.ioc.signalCacheService.getSignalId("B", "s", "x"), "1");
});

test("a service with another connectionKey keeps to it, the session's two keys too", async (t) => {
  class Mine extends own.lib.SessionCacheService {
    connectionKey = "my_sessions";
  }
  const mine = new Mine();
  t.is(await mine.setSessionId({ strategyName: "a", exchangeName: "b", frameName: "c", id: "1" }), "1");
  t.is(String(await own.server.command("GET", "my_sessions:b:a:c")), "1");
  t.is(await mine.getSessionId("a", "b", "c"), "1");
  t.true(await mine.hasSessionId("a", "b", "c"));
  t.is(await own.lib.ioc.sessionCacheService.getSessionId("a", "b", "c"), null);
  await own.server.command("RENAME", "my_sessions:b:a:c", "my_sessions:c:b:a");
  t.is(await mine.getSessionId("a", "b", "c"), "1");
});

test("a row that is a function, a boxed value or a class instance is read like any object", async (t) => {
  const fields = { symbol: "B", strategyName: "s", exchangeName: "x", id: "1" };
  for (const row of [() => 1, new String("s"), new Date()].map((object) => Object.assign(object, fields))) {
    const { value, error } = await outcome(own.lib.ioc.signalCacheService.setSignalId(row));
    if (error) t.is(error.code, "INVALID_ROW");
    else t.is(value, "1");
  }
});

test("has… goes through the object's own has, and the others go past overrides", async (t) => {
  const asked = [];
  class Watching extends own.lib.IntervalCacheService {
    async has(key) {
      asked.push(["has", key]);
      return super.has(key);
    }
    async get(key) {
      asked.push(["get", key]);
      return super.get(key);
    }
    async set(key, value) {
      asked.push(["set", key]);
      return super.set(key, value);
    }
    async delete(key) {
      asked.push(["delete", key]);
      return super.delete(key);
    }
  }
  const watching = new Watching();
  await watching.setIntervalId({ bucket: "b", entryKey: "k", id: "1" });
  t.is(await watching.getIntervalId("b", "k"), "1");
  t.deepEqual(asked, []);
  t.true(await watching.hasIntervalId("b", "k"));
  t.deepEqual(asked, [["has", "b:k"]]);
  await watching.deleteIntervalId("b", "k");
  t.deepEqual(asked, [["has", "b:k"]]);
  t.false(await watching.hasIntervalId("b", "k"));
});

test("an overridden has decides what has… resolves with", async (t) => {
  const service = new own.lib.SignalCacheService();
  service.has = async (key) => key === "x:s:B";
  t.true(await service.hasSignalId("B", "s", "x"));
  t.false(await service.hasSignalId("C", "s", "x"));
  service.has = async () => {
    throw new Error("mine");
  };
  t.is((await outcome(service.hasSignalId("B", "s", "x"))).error.message, "mine");
});

test("an overridden has of the session is asked for the keys in their order, until one is there", async (t) => {
  const asked = [];
  class Watching extends own.lib.SessionCacheService {
    async has(key) {
      asked.push(key);
      return super.has(key);
    }
  }
  const watching = new Watching();
  t.false(await watching.hasSessionId("a", "b", "c"));
  t.deepEqual(asked, ["b:a:c", "c:b:a"]);
  await own.server.command("SET", "session_cache:c:b:a", "1");
  t.true(await watching.hasSessionId("a", "b", "c"));
});

test("a read that meets a key of another type rejects with the server's words", async (t) => {
  await own.server.command("HSET", "signal_cache:x:s:B", "f", "v");
  const { error } = await outcome(own.lib.ioc.signalCacheService.getSignalId("B", "s", "x"));
  t.is(error.code, "REDIS_REPLY");
  t.regex(error.message, /^WRONGTYPE /);
  t.true(error.message.includes("signal_cache:x:s:B"), error.message);
});

"use strict";

// Values of every kind, at random, in every place of every method: a result or a rejection with a known code, never a
// throw, never a crash. The seed is printed with a failure; BKN_FUZZ_SEED repeats it.

const { serial: test } = require("ava");
const { withRedis, loadFor, collect, outcome } = require("./support/addon.js");
const { fakeFor, bulk, array } = require("./support/fake-redis.js");
const { chance, anySeed } = require("./support/random.js");
const { services } = require("../js/binding.js");

const own = withRedis(test);

const CODES = new Set(["KEY_EMPTY", "INVALID_CONTEXT", "INVALID_ROW", "INVALID_VALUE", "REDIS_REPLY"]);
const seed = Number(process.env.BKN_FUZZ_SEED) || anySeed();

// Each test begins anew with the seed: what one of them draws may depend on the order of replies.
let random = chance(seed);
test.beforeEach(() => (random = chance(seed)));
const next = () => random.next();
const pick = (list) => random.pick(list);

const boom = () => {
  throw new Error("boom");
};

const FORMS = services().flatMap(({ nouns }) => nouns.flatMap(({ forms }) => forms));
const FIELDS = [...new Set(FORMS.flatMap(({ args: named }) => named.map(({ name }) => name))), "id", "_id"];

/** Makers, not values: each call gets fresh ones. */
const MAKERS = [
  () => undefined,
  () => null,
  () => "",
  () => "text",
  () => "a:b*c?[d]\\",
  () => "\ud800",
  () => "\0\r\n",
  () => "x".repeat(100_000),
  () => 0,
  () => -0,
  () => NaN,
  () => Infinity,
  () => 1e21,
  () => 1.5,
  () => true,
  () => false,
  () => 10n,
  () => -(2n ** 80n),
  () => Symbol("s"),
  () => Symbol.iterator,
  () => ({}),
  () => [],
  () => ["x", "EX", 60],
  () => [[[]]],
  () => () => 1,
  () => class A {},
  () => new Date(),
  () => new Date(NaN),
  () => new Map([[1, 2]]),
  () => new Set([1]),
  () => Promise.resolve(1),
  () => ({ then: boom }),
  () => Buffer.from("ff00", "hex"),
  () => new Uint8Array(3),
  () => new ArrayBuffer(4),
  () => new SharedArrayBuffer(4),
  () => new DataView(new ArrayBuffer(4)),
  () => new Float64Array(2),
  () => new Error("e"),
  () => /x/,
  () => new String("boxed"),
  () => Object(Symbol("s")),
  () => Object(1n),
  () => Object.create(null),
  () => ({ toString: boom }),
  () => ({ toString: () => ({}), valueOf: boom }),
  () => ({ toJSON: boom }),
  () => ({ [Symbol.toPrimitive]: boom }),
  () => ({ get symbol() { return boom(); } }),
  () => new Proxy({}, { get: boom, has: boom, getPrototypeOf: boom, ownKeys: boom, getOwnPropertyDescriptor: boom }),
  () => new Proxy(() => 1, { get: boom, apply: boom }),
  () => new Proxy([], { get: boom }),
  () => revoked(),
  () => cyclic(),
  () => globalThis,
  () => process,
  () => new (class Row { #id = 1; get id() { return this.#id; } })(),
  () => row(),
  () => row(),
  () => row(),
  () => row(),
];

function revoked() {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function cyclic() {
  const value = { list: [] };
  value.list.push(value);
  return value;
}

/** A row with some fields, sensible ones and others. */
function row() {
  const made = next() < 0.2 ? Object.create({ symbol: "inherited" }) : {};
  for (const field of FIELDS.filter(() => next() < 0.7)) {
    made[field] = next() < 0.85 ? pick(["a", "b", 5, true, ""]) : pick(MAKERS)();
  }
  return next() < 0.1 ? new Proxy(made, {}) : made;
}

const args = () => Array.from({ length: Math.floor(next() * 7) }, () => pick(MAKERS)());

async function settles(t, what, call) {
  let promise;
  try {
    promise = call();
  } catch (error) {
    t.fail(`${what} threw: ${error && error.stack} (seed ${seed})`);
    return;
  }
  const { error } = await outcome(promise);
  if (error === undefined) return;
  if (!(error instanceof Error) || !CODES.has(error.code)) {
    t.fail(`${what} rejected with ${String(error && error.stack)}, code ${String(error && error.code)} (seed ${seed})`);
  }
}

test("random arguments to every method of every service are a result or a rejection with a code", async (t) => {
  for (let round = 0; round < 400; round++) {
    for (const { service, nouns } of services()) {
      const { noun, delete: deletes } = pick(nouns);
      const verb = pick(deletes ? ["has", "get", "set", "delete"] : ["has", "get", "set", "set"]);
      const method = `${verb}${noun}Id`;
      const given = args();
      await settles(t, `${service}.${method}`, () => own.lib.ioc[service][method](...given));
    }
  }
  t.pass();
});

test("random arguments to every method of a map are a result or a rejection with a code", async (t) => {
  const map = new own.lib.BaseMap("fuzz", -1);
  for (let round = 0; round < 6000; round++) {
    const method = pick(["set", "set", "set", "get", "has", "delete"]);
    const given = args();
    await settles(t, method, () => map[method](...given));
  }
  for (const method of ["size", "toArray", "clear"]) {
    for (let round = 0; round < 20; round++) {
      const given = args();
      await settles(t, method, () => map[method](...given));
    }
  }
  t.is(await map.size(), 0);
});

test("what random calls wrote is still readable in every way", async (t) => {
  const map = new own.lib.BaseMap("fuzz2", -1);
  const pending = [];
  for (let round = 0; round < 3000; round++) {
    const given = args();
    pending.push(outcome(map.set(...given)));
  }
  await Promise.all(pending);
  const items = await map.toArray();
  t.is(items.length, await map.size());
  for (const [key, value] of items) t.is(typeof key + typeof value, "stringstring");
  await map.clear();
  t.is(await map.size(), 0);
});

/** A random value in the protocol, nested at most so deep. */
function reply(depth) {
  const texts = ["", "0", "f", "fuzz", "fuzz:", "fuzz:k", "other:key", "OK", "1.5", "x".repeat(300), "\ud800"];
  const text = () => pick(texts);
  const simple = [
    () => bulk(text()),
    () => `+${text()}\r\n`,
    () => `:${pick([0, 1, -1, 42])}\r\n`,
    () => "$-1\r\n",
    () => "_\r\n",
    () => "*-1\r\n",
    () => "#t\r\n",
    () => ",1.5\r\n",
    () => "(123\r\n",
    () => "=7\r\ntxt:abc\r\n",
  ];
  const many = () => Array.from({ length: Math.floor(next() * 4) }, () => reply(depth - 1));
  const nested = [
    () => array(many()),
    () => array([bulk("0"), array(many())]),
    () => array([bulk("0"), array(many())]),
    () => array([bulk("0"), array(Array.from({ length: 3 }, () => bulk(text())))]),
    () => `~2\r\n${reply(depth - 1)}${reply(depth - 1)}`,
    () => `%1\r\n${reply(depth - 1)}${reply(depth - 1)}`,
  ];
  return pick(depth > 0 && next() < 0.7 ? nested : simple)();
}

test("random answers of a server are a result or a rejection with a code", async (t) => {
  const fake = await fakeFor(t, () => (next() < 0.05 ? "-ERR random\r\n" : reply(3)));
  const lib = loadFor(t, { ...fake.config, CC_REDIS_TIMEOUT_MS: 10_000 });
  const map = new lib.BaseMap("fuzz", -1);
  const row = { symbol: "B", strategyName: "s", exchangeName: "x", id: "1" };
  const calls = [
    () => map.get("k"),
    () => map.set("k", "v"),
    () => map.has("k"),
    () => map.delete("k"),
    () => map.size(),
    () => map.toArray(),
    () => map.clear(),
    () => collect(map.keys()),
    () => collect(map.values()),
    () => collect(map.iterate()),
    () => lib.ioc.sessionCacheService.getSessionId("a", "b", "c"),
    () => lib.ioc.sessionCacheService.hasSessionId("a", "b", "c"),
    () => lib.ioc.signalCacheService.setSignalId(row),
  ];
  for (let round = 0; round < 500; round++) {
    await Promise.all(Array.from({ length: 10 }, () => settles(t, "a call", pick(calls))));
  }
  t.pass();
});

test("random arguments to the functions of the package do no harm", async (t) => {
  for (let round = 0; round < 1500; round++) {
    const name = pick(["BaseMap", "new BaseMap", "setConfig", "setLogger", "log"]);
    const given = args();
    try {
      if (name === "BaseMap") own.lib.BaseMap(...given);
      else if (name === "new BaseMap") new own.lib.BaseMap(...given);
      else if (name === "setLogger") own.lib.setLogger(...given);
      else if (name === "log") await own.lib.ioc.loggerService.log(...given);
      else own.lib.setConfig(...given);
    } catch (error) {
      const known = error instanceof Error && ["INVALID_TTL", "INVALID_CONFIG", "INVALID_CONTEXT", "INVALID_VALUE"].includes(error.code);
      if (!known) t.fail(`${name} threw ${String(error && error.stack)} (seed ${seed})`);
    }
  }
  own.lib.setLogger(null);
  const map = new own.lib.BaseMap("after", -1);
  await map.set("k", "v");
  t.is(await map.get("k"), "v");
});

"use strict";

// What `set` makes of a value of any type, and that no value, however hostile, writes half of something or crashes.

const vm = require("node:vm");
const { serial: test } = require("ava");
const { withRedis, serverFor, loadFor, outcome } = require("./support/addon.js");
const { loadSpec, evaluate } = require("./support/spec.js");

const own = withRedis(test);
test.beforeEach(() => own.server.command("FLUSHALL"));

const map = () => new own.lib.BaseMap("v", -1);
const raw = () => own.server.command("GET", "v:k");

/** The value is refused with the code, and neither an old value was changed nor a command sent. */
async function refused(t, value, code = "INVALID_VALUE") {
  await own.server.command("SET", "v:k", "old");
  let error;
  const commands = await own.calls(async () => {
    ({ error } = await outcome(map().set("k", value)));
  });
  t.true(error instanceof Error, "it was not refused");
  t.is(error.code, code);
  t.deepEqual(commands.filter(([name]) => name !== "PING"), []);
  t.is(String(await raw()), "old");
  return error;
}

for (const one of loadSpec("values").cases) {
  if (one.code) {
    test(`set refuses ${one.name}`, async (t) => {
      const error = await refused(t, evaluate(one.js), one.code);
      t.true(error instanceof TypeError);
    });
    continue;
  }
  test(`set writes ${one.name}`, async (t) => {
    const bytes = "hex" in one ? Buffer.from(one.hex, "hex") : Buffer.from(one.text);
    t.is(await map().set("k", evaluate(one.js)), undefined);
    t.deepEqual(await raw(), bytes);
    t.is(await map().get("k"), "get" in one ? one.get : one.text);
    t.true(await map().has("k"));
  });
}

test("a set without a value argument writes the empty string", async (t) => {
  await map().set("k");
  t.is(await map().get("k"), "");
});

const boom = () => {
  throw new Error("boom");
};

for (const [name, value] of [
  ["an object whose toString throws", { toString: boom }],
  ["an object whose toString is a throwing getter", Object.defineProperty({}, "toString", { get: boom })],
  ["an object whose toString returns an object", { toString: () => ({}) }],
  ["an object whose toString returns a symbol", { toString: () => Symbol("s") }],
  ["an object whose toJSON throws", { toJSON: boom }],
  ["an object with a throwing getter", Object.defineProperty({}, "x", { get: boom, enumerable: true })],
  ["an array with a throwing getter", Object.defineProperty([], "0", { get: boom, enumerable: true })],
  ["a proxy whose traps all throw", new Proxy({}, new Proxy({}, { get: () => boom }))],
  ["a proxy of a function", new Proxy(() => 1, {})],
  ["a revoked proxy", revoked()],
  ["a Date whose toISOString throws", Object.assign(new Date(0), { toISOString: boom })],
  ["a WeakMap", new WeakMap()],
  ["a WeakSet", new WeakSet()],
  ["a generator object", (function* () {})()],
  ["an object whose toJSON gives undefined", { toJSON: () => undefined }],
  ["an object that throws null", { toJSON: () => throwing(null) }],
  ["an object that throws a symbol", { toJSON: () => throwing(Symbol("thrown")) }],
  ["an object nested deeper than the stack", nested(200_000)],
]) {
  test(`set answers ${name} with a result or a rejection that has a code, and nothing is half written`, async (t) => {
    await own.server.command("SET", "v:k", "old");
    const { error } = await outcome(map().set("k", value));
    if (error === undefined) {
      t.not(String(await raw()), "old");
    } else {
      t.is(error.code, "INVALID_VALUE");
      t.true(error instanceof TypeError);
      t.is(String(await raw()), "old");
    }
    await map().set("k", "the connection still works");
    t.is(await map().get("k"), "the connection still works");
  });
}

function throwing(what) {
  throw what;
}

function revoked() {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function nested(depth) {
  let value = {};
  for (let i = 0; i < depth; i++) value = { value };
  return value;
}

test("what user code threw is the cause of the rejection", async (t) => {
  const error = await refused(t, { toString: boom });
  t.is(error.cause?.message, "boom");
});

test("a code on what user code threw does not pass for one of ours", async (t) => {
  const foreign = () => {
    throw Object.assign(new Error("no such file"), { code: "ENOENT" });
  };
  for (const value of [{ toString: foreign }, { toJSON: foreign }]) {
    const error = await refused(t, value);
    t.is(error.cause?.code, "ENOENT");
  }
  t.is((await outcome(map().get({ toString: foreign }))).error.code, "INVALID_CONTEXT");
});

test("values of another realm are told apart like those of this one", async (t) => {
  const foreign = (code) => vm.runInNewContext(code);
  for (const [code, text] of [
    ["({ a: 1 })", '{"a":1}'],
    ["['x', 'EX', 60]", '["x","EX",60]'],
    ["new Date(0)", "1970-01-01T00:00:00.000Z"],
    ["new Uint8Array([65, 66])", "AB"],
    ["new Uint8Array([65, 66]).buffer", "AB"],
    ["new String('boxed')", "boxed"],
  ]) {
    await map().set("k", foreign(code));
    t.is(await map().get("k"), text, code);
  }
  for (const code of ["new Map()", "new Set()", "Promise.resolve()", "() => 1", "Symbol('s')", "new Date(NaN)"]) {
    await refused(t, foreign(code));
  }
});

test("views other than bytes are a value or a refusal, never other memory than their own", async (t) => {
  const memory = new Uint8Array(16).map((_, i) => 65 + i).buffer;
  for (const view of [new DataView(memory, 4, 2), new Uint16Array(memory, 4, 1), new Float64Array(memory, 8, 1)]) {
    const { error } = await outcome(map().set("k", view));
    if (error) t.is(error.code, "INVALID_VALUE");
    else t.false(String(await raw()).includes("ABCD"));
  }
});

test("a detached ArrayBuffer and an empty one do no harm", async (t) => {
  const buffer = new ArrayBuffer(8);
  const view = new Uint8Array(buffer);
  structuredClone(buffer, { transfer: [buffer] });
  for (const value of [buffer, view]) {
    const { error } = await outcome(map().set("k", value));
    if (error) t.is(error.code, "INVALID_VALUE");
    else t.is(String(await raw()), "");
  }
});

test("a SharedArrayBuffer is its bytes or a refusal", async (t) => {
  const shared = new SharedArrayBuffer(2);
  new Uint8Array(shared).set([65, 66]);
  for (const value of [shared, new Uint8Array(shared)]) {
    const { error } = await outcome(map().set("k", value));
    if (error) t.is(error.code, "INVALID_VALUE");
    else t.is(String(await raw()), "AB");
  }
});

test("bytes that the caller changes after the call are written as they were", async (t) => {
  const bytes = Buffer.from("before");
  const done = map().set("k", bytes);
  bytes.fill("x");
  await done;
  t.is(String(await raw()), "before");
});

test("a value of 64 MB goes there and back", async (t) => {
  // On a server that nobody watches: to write such a value for MONITOR takes Redis seconds.
  const server = await serverFor(t);
  const { BaseMap } = loadFor(t, { CC_REDIS_URL: server.url });
  const big = "0123456789abcdef".repeat(4 * 1024 * 1024);
  await new BaseMap("v", -1).set("k", big);
  t.is(await server.command("STRLEN", "v:k"), big.length);
  t.true((await new BaseMap("v", -1).get("k")) === big);
});

test("several large values at once, in strings of one, two and three bytes a character", async (t) => {
  const texts = ["a".repeat(3_000_000), "ñ".repeat(2_000_000), "日".repeat(1_000_000), "🚀".repeat(500_000)];
  await Promise.all(texts.map((text, i) => map().set(`k${i}`, text)));
  const back = await Promise.all(texts.map((_, i) => map().get(`k${i}`)));
  texts.forEach((text, i) => t.true(back[i] === text, String(i)));
});

test("a string that was put together, sliced or is external is written whole", async (t) => {
  const rope = Array.from({ length: 1000 }, (_, i) => `part ${i} ñ`).reduce((a, b) => a + b, "");
  for (const text of [rope, rope.slice(5, 50), Buffer.alloc(2_000_000, "x").toString("latin1")]) {
    await map().set("k", text);
    t.true((await map().get("k")) === text);
  }
});

test("a large key is a key", async (t) => {
  const key = "k".repeat(1_000_000);
  await map().set(key, "v");
  t.is(await map().get(key), "v");
  t.deepEqual(await map().toArray(), [[key, "v"]]);
});

test("lone surrogates in keys and values become U+FFFD", async (t) => {
  await map().set("a\ud800", "\udc00b");
  t.deepEqual(await own.server.command("GET", Buffer.from("v:a\ufffd")), Buffer.from("\ufffdb"));
  t.is(await map().get("a\ud800"), "\ufffdb");
});

test("a key whose conversion throws is a rejection with a code in every method", async (t) => {
  const hostile = [{ toString: boom }, Object.create(null), new Proxy({}, { get: boom }), Symbol("s"), [Symbol("s")]];
  for (const key of hostile) {
    for (const method of ["get", "set", "has", "delete"]) {
      const { error } = await outcome(map()[method](key, "v"));
      t.true(error instanceof TypeError, method);
      t.is(error.code, "INVALID_CONTEXT", method);
    }
  }
  t.is(await own.server.command("DBSIZE"), 0);
});

test("code that runs while a value is converted may call the map itself", async (t) => {
  const inner = [];
  const value = {
    toString() {
      inner.push(map().set("inner", "1"), map().get("inner"));
      return "outer";
    },
  };
  await map().set("k", value);
  t.deepEqual(await Promise.all(inner), [undefined, "1"]);
  t.is(await map().get("k"), "outer");
});

test("a connectionKey of any type is a map that works or an error with a code", async (t) => {
  const keys = [undefined, null, 5, true, 10n, {}, ["a", "b"], () => 1, Symbol("s"), { toString: boom }];
  for (const connectionKey of keys) {
    let made;
    try {
      made = new own.lib.BaseMap(connectionKey, -1);
    } catch (error) {
      t.is(typeof error.code, "string", String(error));
      continue;
    }
    const { error } = await outcome(made.set("k", "v"));
    if (error) t.is(typeof error.code, "string", String(error));
    else t.is(await made.get("k"), "v");
  }
});

"use strict";

// Arguments that nobody should pass. `intrude()` runs in the middle of their conversion: whatever it does (calls of the
// package, close()) happens while a call of the package is being made.

const vm = require("node:vm");

const foreign = vm.createContext({});
const other = (code) => vm.runInContext(code, foreign);

function revoked(target) {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

function detached(make) {
  const view = make();
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}

function shrunk() {
  const buffer = new ArrayBuffer(64, { maxByteLength: 64 });
  const view = new Uint8Array(buffer, 16, 32);
  buffer.resize(8);
  return view;
}

function cyclic(array) {
  const value = array ? [] : { symbol: "c", id: "1" };
  value[array ? 0 : "self"] = value;
  return value;
}

function nested(depth) {
  let value = [];
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

class List extends Array {
  static get [Symbol.species]() {
    throw new Error("species");
  }
  get length() {
    return 3;
  }
}

/** Makers of values: `choose` is a chance, `intrude` what happens in the middle of conversions, `fields` names of rows. */
function hostile({ pick, maybe, below }, intrude, fields) {
  const boom = () => {
    throw pick([new Error("boom"), null, undefined, 7, Symbol("thrown"), revoked({}), Object.freeze(new TypeError("frozen"))]);
  };
  const enter = (result) => () => {
    intrude();
    return result;
  };
  const trap = () => (maybe(0.5) ? boom : enter(pick(["text", undefined, null, 5, {}])));
  const traps = () => {
    const names = ["get", "has", "getPrototypeOf", "ownKeys", "getOwnPropertyDescriptor", "isExtensible", "set", "defineProperty"];
    return Object.fromEntries(names.filter(() => maybe(0.5)).map((name) => [name, trap()]));
  };

  const texts = [
    () => "",
    () => "text",
    () => "a:b*c?[d]\\",
    () => "\ud800",
    () => "x\udc00\ud800y",
    () => "\0\r\n$3\r\n",
    () => "__proto__",
    () => "é€😀".repeat(below(50)),
    () => "x".repeat(maybe(0.02) ? 4_000_000 : 70_000),
    () => "ab".repeat(20_000).slice(1),
  ];
  const plain = [
    () => undefined,
    () => null,
    () => 0,
    () => -0,
    () => NaN,
    () => -Infinity,
    () => 2 ** 53,
    () => -1.5e-7,
    () => true,
    () => false,
    () => 10n,
    () => -(2n ** 4000n),
    () => Symbol("s"),
    () => Symbol(),
    () => Symbol.iterator,
  ];
  const objects = [
    () => ({}),
    () => [],
    () => ["x", "EX", 60],
    () => new List(1, 2),
    () => new (class extends String {})("boxed"),
    () => nested(pick([3, 20_000])),
    () => cyclic(true),
    () => cyclic(false),
    () => Object.create(null),
    () => Object(Symbol("s")),
    () => Object(1n),
    () => () => 1,
    () => class A {},
    () => function* generator() {},
    () => (function* generator() {})(),
    () => (async () => 1)(),
    () => new Date(below(2 ** 40)),
    () => new Date(NaN),
    () => Object.assign(new Date(5), { toISOString: boom, getTime: boom }),
    () => /x/g,
    () => new Map([[1, 2]]),
    () => new WeakSet(),
    () => new WeakRef({}),
    () => new Error("an error as a value"),
    () => Object.create(Error.prototype),
    () => globalThis,
    () => process,
    () => other("({ symbol: 'x', id: 1 })"),
    () => other("new Date(0)"),
    () => other("[1, [2]]"),
    () => other("new Uint8Array([255, 0, 97])"),
    () => other("(() => { throw new Error('there'); })"),
    () => other("new Proxy({}, { get() { throw new Error('there'); } })"),
  ];
  const binary = [
    () => Buffer.from([255, 0, 195, 40]),
    () => Buffer.alloc(0),
    () => new Uint8Array(3),
    () => new Float64Array(2).fill(NaN),
    () => new BigInt64Array(1),
    () => new DataView(new ArrayBuffer(8), 2, 3),
    () => new ArrayBuffer(4),
    () => new SharedArrayBuffer(4),
    () => Buffer.from(new SharedArrayBuffer(16), 4, 8),
    () => detached(() => new Uint8Array(64)),
    () => detached(() => Buffer.from(new ArrayBuffer(64))),
    () => detached(() => new DataView(new ArrayBuffer(64))),
    () => detached(() => new Uint8Array(8)).buffer,
    shrunk,
    () => Object.defineProperty(Buffer.from("abc"), "length", { value: 500 }),
    () => Object.defineProperty(Buffer.from("abc"), "byteLength", { value: 2 ** 40 }),
    () => Object.defineProperties(new Uint8Array(4), { byteLength: { get: trap() }, byteOffset: { value: -8 } }),
    () => Object.setPrototypeOf(new Uint8Array(4), null),
    () => Object.setPrototypeOf(Buffer.from("abc"), Date.prototype),
    () => new Proxy(Buffer.from("abc"), traps()),
  ];
  const live = [
    () => ({ toString: trap() }),
    () => ({ valueOf: trap(), toString: () => ({}) }),
    () => ({ toJSON: trap() }),
    () => [{ toJSON: trap() }],
    () => ({ [Symbol.toPrimitive]: trap() }),
    () => ({ get then() { return trap()(); } }),
    () => ({ then: trap() }),
    () => ({ toHexString: trap() }),
    () => ({ get constructor() { return trap()(); }, get [Symbol.toStringTag]() { return trap()(); } }),
    () => Object.assign(() => 1, { toString: trap() }),
    () => Object.defineProperty([1, 2], "0", { get: trap() }),
    () => Object.defineProperty([], Symbol.iterator, { get: trap() }),
    () => new Proxy({}, traps()),
    () => new Proxy(() => 1, traps()),
    () => new Proxy([], traps()),
    () => new Proxy(new Date(), traps()),
    () => revoked({}),
    () => revoked([]),
    () => revoked(() => 1),
    () => Object.create(revoked({})),
    () => new Proxy(revoked({}), {}),
  ];

  const value = () => pick(pick([texts, plain, objects, binary, live, live]))();

  /** A row with some fields, sensible ones and others. */
  function row() {
    const made = maybe(0.2) ? Object.create(maybe(0.5) ? { symbol: "inherited" } : null) : {};
    for (const field of fields.filter(() => maybe(0.7))) {
      const content = maybe(0.8) ? pick(["a", "b", 5, true, ""]) : value();
      if (maybe(0.9)) made[field] = content;
      else Object.defineProperty(made, field, { get: trap(), configurable: true });
    }
    if (maybe(0.2)) Object.defineProperty(made, pick(["id", "_id"]), { value: { toHexString: trap() } });
    return maybe(0.1) ? new Proxy(made, traps()) : made;
  }

  return { value, row, arguments: () => Array.from({ length: below(7) }, () => (maybe(0.2) ? row() : value())), trap };
}

module.exports = { hostile };

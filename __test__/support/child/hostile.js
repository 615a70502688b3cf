"use strict";

// Makes calls while something in the process is hostile (its argument), and again afterwards, and prints whether all of
// them were settled with their own answers.

const v8 = require("node:v8");

const lib = require(process.env.BKN_ROOT);

const COUNT = 200;
const LIMIT_MS = 10_000;
const map = new lib.BaseMap("hostile", -1);
const service = lib.ioc.signalCacheService;
const row = (i) => ({ symbol: `S${i}`, strategyName: "s", exchangeName: "x", id: `v${i}` });
const read = (i) => service.getSignalId(`S${i}`, "s", "x");
const { Error: OwnError, Promise: OwnPromise, setTimeout: sleep } = globalThis;
const then = Promise.prototype.then;

/** A call and what must become of it: a value, or a rejection with a code. */
const calls = [];
const expect = (promise, value, code) => calls.push({ promise, value, code });

function makeCalls() {
  for (let i = 0; i < COUNT; i++) expect(map.get(`k${i}`), `v${i}`);
  expect(map.get("hash"), undefined, "REDIS_REPLY");
  expect(map.size(), COUNT + 1);
  expect(map.set("", "v"), undefined, "KEY_EMPTY");
  for (let i = 0; i < COUNT; i++) expect(read(i), `v${i}`);
  expect(service.getSignalId("only one"), undefined, "INVALID_CONTEXT");
}

/** What became of one call. It only awaits: a native promise's `then` and species may be the hostile ones. */
async function verdictOf({ promise, value, code }) {
  const settled = (async () => {
    try {
      const found = await promise;
      return code === undefined && found === value ? "right" : `${found}, instead of ${value ?? code}`;
    } catch (error) {
      return code !== undefined && error.code === code ? "right" : `${error}, instead of ${value ?? code}`;
    }
  })();
  // Awaited here, because an async function that returns a promise calls its `then`.
  return await new OwnPromise((resolve) => {
    const timer = sleep(() => resolve(`not settled, instead of ${value ?? code}`), LIMIT_MS);
    (async () => {
      resolve(await settled);
      clearTimeout(timer);
    })();
  });
}

/** What is wrong with the first call that is not as expected. */
async function judge() {
  const verdicts = calls.splice(0).map(verdictOf);
  let first = "right";
  for (const verdict of verdicts) {
    const found = await verdict;
    if (first === "right") first = found;
  }
  return first;
}

/** Calls `one` again and again while the stack runs out, from frames of many sizes so that it ends anywhere in it. */
function exhaust(one) {
  for (let width = 0; width < 40; width++) {
    const words = Array.from({ length: width }, (_, i) => `a${i}`).join(",");
    const dive = new Function("one", `let left = 200; return function dive(${words}) {
      try { dive(${words}); } catch (error) { if (left-- > 0) one(); throw error; }
    }`)(one);
    try {
      dive();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
}

/** Refused for the stack's sake, or answered: both are fine, silence and others' answers are not. */
function tolerant(call, value) {
  return () => {
    try {
      const promise = call();
      // Handled now; looked at when there is stack again.
      promise.catch(() => {});
      begun.push({ promise, value });
    } catch (error) {
      // No function can be called here, not even a regular expression's.
      refused[refused.length] = error;
    }
  };
}

/** The calls that were begun while the stack ran out. */
const begun = [];
const refused = [];
function lookAtBegun() {
  const other = refused.find((error) => !/call stack/.test(error.message));
  if (other) throw other;
  for (const { promise, value } of begun.splice(0)) {
    expect(promise.catch((error) => (/call stack/.test(error.message) ? value : Promise.reject(error))), value);
  }
}

/** Sets properties, and takes them back once the calls are settled. */
function patched(object, properties) {
  const before = Object.keys(properties).concat(Object.getOwnPropertySymbols(properties));
  const old = before.map((name) => [name, Object.getOwnPropertyDescriptor(object, name)]);
  for (const name of before) Object.defineProperty(object, name, { configurable: true, ...properties[name] });
  return () => {
    for (const [name, descriptor] of old) {
      if (descriptor) Object.defineProperty(object, name, descriptor);
      else delete object[name];
    }
  };
}

const refuse = () => {
  throw new OwnError("hostile");
};

/** Each begins something; what it returns ends it. */
const scenarios = {
  "the stack runs out in calls": () => exhaust(tolerant(() => map.get("k7"), "v7")) ?? lookAtBegun(),
  "the stack runs out in calls of services": () => exhaust(tolerant(() => service.setSignalId(row(7)), "v7")) ?? lookAtBegun(),
  "Error is replaced": () => patched(globalThis, { Error: { value: class extends OwnError {}, writable: true } }),
  "Error has a hostile hasInstance": () => patched(OwnError, { [Symbol.hasInstance]: { value: refuse } }),
  "Promise.prototype.then is patched": () => patched(OwnPromise.prototype, { then: { value(...functions) {
    if (calls.length < 2_000) expect(map.get("k9"), "v9");
    return then.apply(this, functions);
  } } }),
  "Promise has a hostile species": () => patched(OwnPromise, { [Symbol.species]: { get: refuse } }),
  "Array.prototype has a then that throws": () => patched(Array.prototype, { then: { get: refuse } }),
  "Object.prototype has fields": () => patched(Object.prototype, {
    then: { value: undefined, writable: true },
    code: { value: "CODE", writable: true },
    cause: { value: "cause", writable: true },
    get: { value: undefined, writable: true },
  }),
  "what waits for answers throws in ticks and microtasks": () => {
    const expected = (error) => error.message === "hostile" || process.exit(4);
    process.on("uncaughtException", expected);
    for (let i = 0; i < COUNT; i++) {
      map.get("k1").then(() => (i % 2 ? process.nextTick(refuse) : queueMicrotask(refuse)));
    }
  },
  "a promise hook throws": () => {
    process.on("uncaughtException", (error) => error.message === "hostile" || process.exit(4));
    let count = 0;
    return v8.promiseHooks.onInit(() => void (++count % 50 === 0 && refuse()));
  },
  "everything is frozen": () => {
    for (const name of Object.getOwnPropertyNames(globalThis)) {
      const value = /^[A-Z]/.test(name) && globalThis[name];
      if (typeof value === "function") Object.freeze(Object.freeze(value).prototype);
    }
    for (const one of Object.values(lib)) Object.freeze(typeof one === "function" ? (Object.freeze(one.prototype), one) : one);
    for (const one of Object.values(lib.ioc)) Object.freeze(one);
  },
  "intrinsics are frozen from the start": () => {},
};

(async () => {
  await Promise.all(Array.from({ length: COUNT }, (_, i) => map.set(`k${i}`, `v${i}`)));
  await Promise.all(Array.from({ length: COUNT }, (_, i) => service.setSignalId(row(i))));
  const end = scenarios[process.argv[2]]();
  makeCalls();
  const during = await judge();
  end?.();
  makeCalls();
  const after = await judge();
  process.stdout.write(`${JSON.stringify({ during, after })}\n`, () => process.exit(0));
})();

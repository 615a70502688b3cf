"use strict";

// Runs spec files on the embedded store: ava loads this before each of them (ava.store.config.mjs). Where they start servers they
// get the store of a fresh folder; what they look up there, another copy of the package reads from it. Tests of what only
// servers have are skipped by name: see not-on-store.js, which says why.

const Module = require("node:module");
const path = require("node:path");
const { storeServers, noteMap, remember } = require("./store.js");
const { isUnsent } = require("./unsent.js");
const { TESTS, VARIABLES } = require("./not-on-store.js");

const support = (name) => path.join(__dirname, name);
let currentSpec = null;

/** Chains of ava's that make tests, too. */
const TESTS_OF = ["serial", "failing", "only"];
/** Assertions of this file about what is sent: they are skipped, because they could not fail. */
let unsent = 0;

/** An ava `t` that skips assertions about what is sent. */
function reading(t) {
  return new Proxy(t, {
    get(target, name) {
      const value = target[name];
      if (typeof value !== "function" || name === "context") return value;
      const bound = value.bind(target);
      if (value.skip === undefined) return bound;
      const own = (actual, ...rest) => {
        if (!isUnsent(actual)) return bound(actual, ...rest);
        unsent++;
        return value.skip(actual, ...rest);
      };
      return Object.assign(own, { skip: value.skip });
    },
    set: (target, name, value) => Reflect.set(target, name, value),
  });
}

/** ava's `test`, with each chain of it that makes tests, for one spec file. */
function wrapped(test) {
  const skipped = TESTS[currentSpec] ?? {};
  const seen = new Set();
  const patterns = Object.keys(skipped).map((name) => [name, new RegExp(`^${name.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*")}$`, "s")]);
  const isSkipped = (title) => patterns.find(([, pattern]) => pattern.test(title))?.[0];
  const wrapping = (original) => {
    const own = (title, body, ...args) => {
      if (typeof title !== "string") return original(title, body, ...args);
      const name = isSkipped(title);
      if (name !== undefined) {
        seen.add(name);
        return test.serial.skip(title, typeof body === "function" ? body : () => {});
      }
      return original(title, typeof body === "function" ? (t, ...rest) => body(reading(t), ...rest) : body, ...args);
    };
    for (const name of Object.keys(original)) own[name] = TESTS_OF.includes(name) ? wrapping(original[name]) : original[name];
    return own;
  };
  const own = wrapping(test);
  own.default = own;
  // A name that no test has is a list that nobody keeps.
  test.after.always("every test that is left out by name is there", (t) => {
    t.deepEqual(Object.keys(skipped).filter((name) => !seen.has(name)), []);
    if (unsent > 0) t.log(`assertions skipped: ${unsent}`);
  });
  return own;
}

let test = null;
const load = Module._load;
Module._load = function (request, parent, isMain) {
  const exported = load.call(this, request, parent, isMain);
  if (request === "ava" && parent && /\.spec\.js$/.test(parent.filename)) {
    if (currentSpec === null) {
      currentSpec = path.relative(path.dirname(__dirname), parent.filename);
      Object.assign(process.env, VARIABLES[currentSpec]);
    }
    return (test ??= wrapped(exported));
  }
  if (request === "./binding.js") {
    // FLUSHALL needs the names of the maps.
    const createEngine = (...args) => {
      const engine = exported.createEngine(...args);
      const { addMap } = engine;
      return Object.assign(engine, { addMap: (name, ttl) => (noteMap(name), addMap(name, ttl)) });
    };
    return { ...exported, createEngine };
  }
  if (/\.js$/.test(request) && parent) {
    const file = path.resolve(path.dirname(parent.filename), request);
    // Some tests empty the environment of what is ours.
    if (file === support("addon.js")) return { ...exported, loadFor: (...args) => (remember(), exported.loadFor(...args)) };
    if (file === support("redis.js")) return { ...exported, startRedis: async () => storeServers().redis };
    if (file === support("mongo.js")) return { ...exported, startMongo: async () => storeServers().mongo };
  }
  return exported;
};

"use strict";

// Runs spec files on the embedded store: ava loads this before each of them (ava.store.config.mjs). Where they start servers they
// get the store of a fresh folder; what they look up there, another copy of the package reads from it. Tests of what only
// servers have are skipped by name: see not-on-store.js, which says why.

const Module = require("node:module");
const path = require("node:path");
const { storeServers, noteMap, remember } = require("./store.js");
const { leavingOut } = require("./left-out.js");
const { isUnsent } = require("./unsent.js");
const { TESTS, VARIABLES } = require("./not-on-store.js");

const support = (name) => path.join(__dirname, name);
let currentSpec = null;

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

let test = null;
const load = Module._load;
Module._load = function (request, parent, isMain) {
  const exported = load.call(this, request, parent, isMain);
  if (request === "ava" && parent && /\.spec\.js$/.test(parent.filename)) {
    if (currentSpec === null) {
      currentSpec = path.relative(path.dirname(__dirname), parent.filename);
      Object.assign(process.env, VARIABLES[currentSpec]);
    }
    const around = (body) => (t, ...rest) => body(reading(t), ...rest);
    const atEnd = (t) => unsent > 0 && t.log(`assertions skipped: ${unsent}`);
    return (test ??= leavingOut(exported, TESTS[currentSpec] ?? {}, { around, atEnd }));
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

"use strict";
// This module's engine: one connection, and the promises of the calls that wait for it.
//
// A call that waits has a number, which the engine counts and writes to `flags`; it settles calls by settle() and settleEach().
// Promises are made here, in JavaScript, because V8 makes and resolves them several times faster than Node-API does.
//
// Any call of a function may fail where the stack runs out. So numbers are the engine's, not counted along here, and
// nothing is left half done: a number without a promise is passed over.

// Of Node itself, and captured now: fake timers replace the global ones, perhaps before this is loaded.
const { nextTick } = process;
const { setImmediate } = require("node:timers");
const { lookup: dnsLookup } = require("node:dns");

const { createEngine, services } = require("./binding.js");
const { makeError, withCode, ours } = require("./errors.js");
const { callLogger, loggerService } = require("./logger-service.js");

let capacity = 1024;
let mask = capacity - 1;
let resolves = new Array(capacity).fill(undefined);
let rejects = new Array(capacity).fill(undefined);
/** The lowest number that may still wait, and the one after the highest; modulo 2^32, as in `flags`. */
let head = 0;
let tail = 0;

/** Makes room for all numbers below `next`: forgets what is settled at the front, or enlarges the ring. */
function makeRoom(next) {
  while (head !== tail && resolves[head & mask] === undefined) {
    head = (head + 1) >>> 0;
  }
  if (head === tail) {
    head = tail = (next - 1) >>> 0;
  }
  let size = capacity;
  while ((next - head) >>> 0 > size / 2) {
    size *= 2;
  }
  if (size === capacity) {
    return;
  }
  const newResolves = new Array(size).fill(undefined);
  const newRejects = new Array(size).fill(undefined);
  for (let call = head; call !== tail; call = (call + 1) >>> 0) {
    newResolves[call & (size - 1)] = resolves[call & mask];
    newRejects[call & (size - 1)] = rejects[call & mask];
  }
  capacity = size;
  mask = size - 1;
  resolves = newResolves;
  rejects = newRejects;
}

/** Settles calls in a row; the number of the first one stands behind the values. */
function settle(...values) {
  const count = values.length - 1;
  const first = values[count];
  for (let i = 0; i < count; i++) {
    settleOne((first + i) >>> 0, values[i]);
  }
}

/** Settles calls of any numbers, which stand behind as many values. */
function settleEach(...values) {
  const count = values.length / 2;
  for (let i = 0; i < count; i++) {
    settleOne(values[count + i], values[i]);
  }
}

function settleOne(call, value) {
  if ((call - head) >>> 0 >= (tail - head) >>> 0) {
    // A call that found no stack left to make its promise, and none was made after it.
    return;
  }
  const at = call & mask;
  const failed = typeof value === "object" && value !== null && ours.has(value);
  const finish = failed ? rejects[at] : resolves[at];
  resolves[at] = undefined;
  rejects[at] = undefined;
  if (finish) {
    finish(value);
  }
}

function lookup(host, question) {
  const failed = (error) => engine.resolved(question, "", `getaddrinfo ${error?.code ?? error?.message ?? error} ${host}`);
  try {
    dnsLookup(host, { all: true }, (error, addresses) => {
      if (error) {
        failed(error);
      } else {
        engine.resolved(question, addresses.map((entry) => entry.address).join(","), "");
      }
    });
  } catch (error) {
    // Not within the engine's own call.
    nextTick(failed, error);
  }
}

const table = services();
/** [0] is 1 while a flush is arranged; the engine clears it. [1] is the number of the call queued last, modulo 2^32. */
const flags = new Uint32Array(2);
// The order is that of `Hook` in src/napi/hooks.rs. The engine holds this array weakly while nothing waits.
const hooks = [
  settle,
  makeError,
  (...values) => values,
  lookup,
  (why) => {
    try {
      callLogger(loggerService, "warn", [`backtest-kit-native works without its near cache: the server says ${why}`]);
    } catch {
      // Somebody has put something else in place of the logger; it must not disturb the connection.
    }
  },
  (answers) => native.mongo.settle(answers),
  () => void setImmediate(() => engine.storeTurn()),
  settleEach,
];
const engine = createEngine(hooks, flags);
engine.hooks = hooks;
const { flush } = engine;
// Where nobody can reach this module any more, the arranged flush still has to find them.
flush.hooks = hooks;

/** Whether the end of a tick has come once as `nextTick` arranges it. */
let ticks = false;

/**
 * Calls a function at the end of the tick. Where timers were fake when this was loaded, `nextTick` is a test's own, which may never
 * call; so until it has called once, the function is also called as soon as the JavaScript that runs is through.
 */
function atEndOfTick(end) {
  if (ticks) {
    nextTick(end);
    return;
  }
  nextTick(() => {
    ticks = true;
    end();
  });
  Promise.resolve().then(end);
}

let resolveNext;
let rejectNext;
function capture(resolve, reject) {
  resolveNext = resolve;
  rejectNext = reject;
}

/** The promise of the call that the engine has just queued. */
function enqueue() {
  // The number is taken before the promise is made: promise hooks may run user code that makes further calls. `null`
  // marks the place as taken; `undefined` is a settled one.
  const call = flags[1];
  const next = (call + 1) >>> 0;
  if ((next - head) >>> 0 > capacity) {
    makeRoom(next);
  }
  tail = next;
  resolves[call & mask] = null;
  if (flags[0] === 0) {
    atEndOfTick(flush);
    flags[0] = 1;
  }
  resolveNext = null;
  const promise = new Promise(capture);
  // Without it, capture() itself had no stack left: the promise is rejected already.
  if (resolveNext !== null) {
    resolves[call & mask] = resolveNext;
    rejects[call & mask] = rejectNext;
  }
  return promise;
}

/** Whether the configuration is in use. */
let configured = false;
let overrides = {};
/** Whether the defaults are those of setup(). */
let setUp = false;
const defaults = JSON.parse(engine.showConfig("{}"));
const variables = Object.keys(defaults);
/** The variables that may be null. */
const NULLABLE = variables.filter((name) => defaults[name] === null);

/** What the variables are set to, as the engine takes it: the environment, and what was put over it. */
function textOf(given, withSetup) {
  const set = withSetup ? { setup: "" } : {};
  for (const name of variables) {
    const value = given[name] ?? process.env[name];
    if (value !== undefined) {
      set[name] = value;
    }
  }
  return JSON.stringify(set);
}

/** The same as it is now. */
const values = () => textOf(overrides, setUp);

/** Whether a configuration is that of the embedded store. */
const isEmbedded = (text) => JSON.parse(engine.showConfig(text)).CC_STORE_PATH !== null;

/** Takes the configuration into use, before the first call and after each close(). */
function configure() {
  if (!engine.isOpen()) {
    const text = values();
    engine.configure(text);
    native.inUse.redis = text;
    native.embedded = isEmbedded(text);
  }
  configured = true;
}

const native = {
  /** The engine's functions; see src/napi/*_calls.rs. */
  engine,
  /** The table of cache services. */
  table,
  /** How often close() was called. */
  closes: 0,
  /** Whether the configuration in use is that of the embedded store. */
  embedded: false,
  isEmbedded,
  /** The configuration of each connection that is open. */
  inUse: { redis: "{}", mongo: "{}" },
  /** What js/mongo.js does with answers, and its end. */
  mongo: { settle: null, close: () => null },
  /** What js/model-crud.js has opened, and its end. */
  models: { isOpen: () => false, close: () => null },
  /** What js/candles/memory.js counts. */
  candles: { stats: () => null },
  enqueue,
  atEndOfTick,
  /** Right before any call that may be queued, after user code: that may close the connection and change the configuration. */
  ready() {
    if (!configured) {
      configure();
    }
  },
  /** The promise of what a function of the engine returned. */
  promise(answer) {
    return answer === undefined ? enqueue() : Promise.resolve(answer);
  },
};

/** The variables of an object that are set. Its getters may be anybody's code. */
function read(partial, caller) {
  if (partial === null || typeof partial !== "object") {
    throw makeError("INVALID_CONFIG", "TypeError", `${caller} takes an object with variables, like { CC_REDIS_PORT: 6380 }`);
  }
  try {
    return Object.entries(partial).filter(([, value]) => value !== undefined);
  } catch (error) {
    throw withCode(error, "INVALID_CONFIG", `reading the object given to ${caller} failed`);
  }
}

/** Variables as text, each checked. */
function checked(entries) {
  const texts = entries.map(([name, value]) => {
    if (value === null && NULLABLE.includes(name)) {
      // As getConfig() shows it: none.
      return [name, ""];
    }
    if (!["string", "number", "boolean"].includes(typeof value)) {
      const what = value === null ? "null" : `a ${typeof value}`;
      throw makeError("INVALID_CONFIG", "Error", `${name}: it is ${what}; it must be a string, number or boolean`);
    }
    return [name, String(value)];
  });
  for (const [name, text] of texts) {
    engine.checkVariable(name, text);
  }
  return Object.fromEntries(texts);
}

/** Whether 0 is a value of a variable. */
function takesZero(name) {
  try {
    engine.checkVariable(name, "0");
    return true;
  } catch {
    return false;
  }
}

/** See index.d.ts. */
function setConfig(partial) {
  const texts = checked(read(partial, "setConfig"));
  if (engine.isOpen() || engine.mongoIsOpen() || native.models.isOpen()) {
    throw makeError("INVALID_CONFIG", "Error", "setConfig: the connection is open; call `await close()` first");
  }
  Object.assign(overrides, texts);
  configured = false;
}

/** See index.d.ts. */
function getConfig() {
  return JSON.parse(engine.showConfig(values()));
}

/** See index.d.ts. */
async function close() {
  native.closes++;
  const models = native.models.close();
  const mongo = native.mongo.close();
  if (mongo !== null || models !== null) {
    // The db services write ids when their rows are written, so Redis goes last.
    await Promise.all([mongo, models]);
  }
  // Nothing that waits for it takes the promise from another: each close() is over when all calls before it are.
  try {
    await native.promise(engine.close());
  } finally {
    // Calls made meanwhile have opened a new connection with the configuration as it was.
    configured = engine.isOpen();
  }
}

/**
 * Takes the defaults of setup() into use, and `changes` over what was set before: text for each variable, "" where it is
 * not set. A connection that is open must have just that configuration.
 */
function adopt(changes) {
  const next = { ...overrides, ...changes };
  for (const [name, text] of Object.entries(changes)) {
    if (text === "") {
      delete next[name];
    }
  }
  const wanted = textOf(next, true);
  const { inUse } = native;
  const differs =
    (engine.isOpen() && (engine.configDiffers(inUse.redis, wanted) & 1) !== 0) ||
    (engine.mongoIsOpen() && (engine.configDiffers(inUse.mongo, wanted) & 2) !== 0);
  if (differs) {
    const connected = engine.mongoIsOpen() ? inUse.mongo : inUse.redis;
    const why = `the connection is open to ${shown(connected)}, and this asks for ${shown(wanted)}`;
    throw makeError("INVALID_CONFIG", "Error", `setup: ${why}; call it before the first call, or \`await close()\` first`);
  }
  overrides = next;
  setUp = true;
  configured = engine.isOpen();
}

/** Where a configuration leads, without passwords. */
function shown(text) {
  const config = JSON.parse(engine.showConfig(text));
  if (config.CC_STORE_PATH !== null) {
    return `the store in ${config.CC_STORE_PATH}`;
  }
  const user = config.CC_REDIS_PASSWORD === "" ? "" : `${config.CC_REDIS_USER}:${config.CC_REDIS_PASSWORD}@`;
  const redis = config.CC_REDIS_URL ?? `redis://${user}${config.CC_REDIS_HOST}:${config.CC_REDIS_PORT}`;
  return `${config.CC_MONGO_CONNECTION_STRING} and ${redis}`;
}

module.exports = {
  native,
  adopt,
  checked,
  read,
  takesZero,
  variables,
  values,
  setConfig,
  getConfig,
  close,
  stats: () => ({ ...JSON.parse(engine.stats()), candleCache: native.candles.stats() }),
  health: () => JSON.parse(engine.health()),
};

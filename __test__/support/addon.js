"use strict";

// The package as its users load it, on a server of the spec file's own, and small things that many spec files need.

const path = require("node:path");
const { startRedis } = require("./redis.js");

const root = path.resolve(__dirname, "..", "..");

/** Whether a module of Node's cache is the package's own JavaScript. */
function isOurs(file) {
  return file.endsWith(".js") && (path.dirname(file) === root || file.startsWith(path.join(root, "js") + path.sep));
}

/**
 * A copy of the package evaluated anew (the way jest does it for every test file): own connection, own settings.
 * `config` is what `setConfig` takes.
 */
function loadFresh(config) {
  for (const file of Object.keys(require.cache)) if (isOurs(file)) delete require.cache[file];
  const lib = require(root);
  if (config) lib.setConfig(config);
  return lib;
}

/** The same for one test, which closes the copy at its end however it ends. */
function loadFor(t, config) {
  const lib = loadFresh(config);
  t.teardown(() => lib.close());
  return lib;
}

/** A redis-server for one test. */
async function serverFor(t, options) {
  const server = await startRedis(options);
  t.teardown(() => server.stop());
  return server;
}

/**
 * One redis-server and one copy of the package for a spec file. The returned object has `server`, `lib` and `monitor`
 * once the file's tests run; `calls(action)` resolves with the commands that the server got during `action`.
 */
function withRedis(test, { config, ...options } = {}) {
  const own = { server: null, lib: null, monitor: null };
  test.before(async () => {
    own.server = await startRedis(options);
    Object.assign(process.env, own.server.env);
    own.lib = loadFresh(config);
    own.monitor = await own.server.monitor();
  });
  test.after.always(async () => {
    if (own.lib) await own.lib.close();
    if (own.monitor) await own.monitor.stop();
    if (own.server) await own.server.stop();
  });
  own.calls = async (action) => {
    await own.monitor.settle();
    own.monitor.clear();
    await action();
    return (await own.monitor.calls()).map(([name, ...args]) => [name.toUpperCase(), ...args]);
  };
  return own;
}

/** One call of every kind that goes to the server. */
function everyCall(map) {
  const short = [map.get("k"), map.set("k", "v"), map.has("k"), map.delete("k")];
  return [...short, map.size(), map.toArray(), map.clear(), map.keys().next()];
}

/** The ids of the package's connections, as the server sees them. */
async function connectionsOf(server) {
  const list = String(await server.command("CLIENT", "LIST"));
  const ours = list.split("\n").filter((line) => line.includes("name=backtest-kit-native"));
  return ours.map((line) => /(?:^| )id=(\d+)/.exec(line)[1]);
}

/** Cuts them, as an administrator would. */
async function killConnections(server) {
  for (const id of await connectionsOf(server)) await server.command("CLIENT", "KILL", "ID", id);
}

/** Waits until `check` is true (or resolves to it); fails by saying what never happened. */
async function until(check, what, ms = 10_000) {
  const end = Date.now() + ms;
  let timer;
  // A check that is never answered has failed too; one that is late may still succeed.
  const never = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`this was not even answered: ${what}`)), ms + 60_000);
  });
  never.catch(() => {});
  try {
    for (;;) {
      const result = await Promise.race([check(), never]);
      if (result) return result;
      if (Date.now() > end) throw new Error(`this did not happen within ${ms} ms: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  } finally {
    clearTimeout(timer);
  }
}

/** A logger that keeps what it is given: `calls` holds `[level, topic, ...args]`. */
function recorder() {
  const calls = [];
  const logger = { calls };
  for (const level of ["log", "debug", "info", "warn"]) logger[level] = (...args) => void calls.push([level, ...args]);
  return logger;
}

/** What became of a promise: `{ value }` or `{ error }`. */
function outcome(promise) {
  return promise.then(
    (value) => ({ value }),
    (error) => ({ error }),
  );
}

/** All items of an async iterable. */
async function collect(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}

/** Text that names any value in a test's title or message, without running the value's own code. */
function label(value) {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (Object.is(value, -0)) return "-0";
  if (typeof value === "object" && value !== null) return Object.prototype.toString.call(value);
  return String(value);
}

/** Waits until a stopped server's socket has taken some of what `lib` sends; fails if it took all of 10 MB. */
async function halfSent(t, lib) {
  await until(() => lib.stats().redis.bytesSent > 100_000, "the socket took something");
  t.true(lib.stats().redis.bytesSent < 10_000_000, "and not everything");
}

module.exports = {
  root,
  isOurs,
  loadFresh,
  loadFor,
  serverFor,
  withRedis,
  everyCall,
  connectionsOf,
  killConnections,
  until,
  halfSent,
  recorder,
  outcome,
  collect,
  label,
};

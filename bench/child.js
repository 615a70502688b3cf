"use strict";

// The process of one peer. It lives for the whole bench, so that its code is warm and its heap its own, and does
// nothing until the bench asks: peers work in turns, never at the same time.

const { CLUSTERS, STORES, CANDLES, PEERS, CACHING, MONGO } = require("./peers/index.js");
const { KEYS, VALUE } = require("./peers/data.js");
const { shapes } = require("./shapes.js");

let peer = null;

const answers = {
  async open({ peer: id, server }) {
    const known = server.cluster ? CLUSTERS : server.storePath ? STORES : server.mongoUrl ? [...MONGO, ...CANDLES] : [...PEERS, ...CACHING];
    const { file, with: options } = known.find((entry) => entry.id === id);
    peer = await require(`./peers/${file}`).open(server, options);
    return { version: peer.version };
  },

  /** One call of each kind, so that the bench can see on the server that the peer does the work it is timed for. */
  async once() {
    await peer.ops.set(0);
    await peer.ops.setTtl(0);
    await peer.ops.setSignalId(0);
    return { get: await peer.ops.get(0), has: Boolean(await peer.ops.has(0)) };
  },

  /** What `get` reads. */
  async fill() {
    for (let i = 0; i < KEYS; i++) await peer.ops.set(i);
    return {};
  },

  /** Calls for about `ms`: `{ calls, us, cpu }`, times in microseconds. A few calls before the clock starts. */
  async calls({ op, shape, atOnce, ms }) {
    const call = peer.ops[op];
    const run = shapes[shape];
    global.gc({ type: "minor" });
    await run(call, atOnce, 2);
    const cpu = process.cpuUsage();
    const start = process.hrtime.bigint();
    const calls = await run(call, atOnce, ms);
    const us = Number(process.hrtime.bigint() - start) / 1000;
    const used = process.cpuUsage(cpu);
    if (op === "get" && (await call(KEYS - 1)) !== VALUE) throw new Error("get does not give what was written");
    return { calls, us, cpu: used.user + used.system };
  },

  async scan({ op }) {
    global.gc();
    const cpu = process.cpuUsage();
    const start = process.hrtime.bigint();
    const items = await peer.scans[op]();
    const us = Number(process.hrtime.bigint() - start) / 1000;
    const used = process.cpuUsage(cpu);
    return { items, us, cpu: used.user + used.system };
  },

  /** The near cache's cases: calls for about `ms`, or just so many. */
  async near({ op, atOnce, ms, calls: wanted }) {
    const call = peer.near.ops[op];
    const run = wanted ? shapes.counted : shapes[atOnce === 1 ? "sequential" : "batches"];
    await peer.near.warm(op);
    global.gc({ type: "minor" });
    if (!wanted) await run(call, atOnce, 2);
    const cpu = process.cpuUsage();
    const start = process.hrtime.bigint();
    const calls = await run(call, atOnce, wanted || ms);
    const us = Number(process.hrtime.bigint() - start) / 1000;
    const used = process.cpuUsage(cpu);
    return { calls, us, cpu: used.user + used.system };
  },

  async nearFill() {
    await peer.near.fill();
    return {};
  },

  async nearCheck() {
    await peer.near.check();
    return {};
  },

  /** The db services' cases: calls for about `ms`, or one operation over `count` candles. */
  async mongo({ op, atOnce, ms, count, symbol }) {
    const call = peer.mongo.ops[op];
    const run = shapes[atOnce === 1 ? "sequential" : "batches"];
    global.gc({ type: "minor" });
    const cpu = process.cpuUsage();
    const start = process.hrtime.bigint();
    const done = call ? await run(call, atOnce, ms) : await peer.mongo[op](symbol, count);
    const us = Number(process.hrtime.bigint() - start) / 1000;
    const used = process.cpuUsage(cpu);
    if (!call && done !== count) throw new Error(`${done} candles instead of ${count}`);
    return { calls: call ? done : 1, us, cpu: used.user + used.system };
  },

  /** An adapter's calls, one after the other, for about `ms`. */
  async candles({ op, ms }) {
    const call = peer.candles.ops[op];
    global.gc({ type: "minor" });
    await shapes.sequential(call, 1, 2);
    const start = process.hrtime.bigint();
    const calls = await shapes.sequential(call, 1, ms);
    return { calls, us: Number(process.hrtime.bigint() - start) / 1000 };
  },

  async candlesWhole({ op }) {
    const before = peer.candles.stats();
    global.gc();
    const start = process.hrtime.bigint();
    await peer.candles.whole[op]();
    return { us: Number(process.hrtime.bigint() - start) / 1000, before, stats: peer.candles.stats() };
  },

  /** A store's calls for about `ms`, one after the other or a hundred at once. */
  async store({ op, atOnce, ms }) {
    const { ops, setMany } = peer.store;
    global.gc({ type: "minor" });
    const run = atOnce === 1 ? () => shapes.sequential(ops[op], 1, ms) : () => shapes.lists(setMany, atOnce, ms);
    const cpu = process.cpuUsage();
    const start = process.hrtime.bigint();
    const calls = await run();
    const us = Number(process.hrtime.bigint() - start) / 1000;
    const used = process.cpuUsage(cpu);
    return { calls, us, cpu: used.user + used.system };
  },

  /** The times of so many calls in microseconds, each measured alone: what is rare shows here. */
  async storeTimes({ op, count }) {
    const call = peer.store.ops[op];
    const times = new Float64Array(count);
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      await call(i % KEYS);
      times[i] = (performance.now() - start) * 1000;
    }
    return { times: [...times.sort()] };
  },

  /** What the calls read and overwrite; and one of each is looked at. */
  async storeFill({ ops: wanted }) {
    const { ops, state } = peer.store;
    for (const op of wanted.filter((op) => op === "set" || op === "upsert")) {
      for (let i = 0; i < KEYS; i++) await ops[op](i);
    }
    const found = { state: state() };
    if (wanted.includes("get")) found.get = await ops.get(7);
    if (wanted.includes("findByContext")) found.row = JSON.stringify(await ops.findByContext(7));
    return found;
  },

  /** The rows that the calls read and overwrite. */
  async mongoFill() {
    for (let i = 0; i < KEYS; i++) await peer.mongo.ops.upsert(i);
    return {};
  },

  async readCold({ count }) {
    await peer.near.readCold(count);
    return {};
  },

  /** CPU so far in microseconds, and the cache's counters. */
  state() {
    const { user, system } = process.cpuUsage();
    return { cpu: user + system, cache: peer.cache ? peer.cache() : null };
  },

  memory() {
    const before = process.memoryUsage().rss;
    global.gc();
    const { rss, heapUsed, external } = process.memoryUsage();
    return { rssBeforeGc: before, rss, heapUsed, external };
  },

  async close() {
    if (peer) await peer.close();
    return {};
  },
};

process.on("message", async ({ id, ask, ...args }) => {
  try {
    process.send({ id, answer: await answers[ask](args) });
  } catch (error) {
    process.send({ id, error: String((error && error.message) || error) });
  }
});
// The bench is gone: there is nobody to work for.
process.on("disconnect", () => process.exit(0));

"use strict";

// Candles as the kit's adapters read and write them: from memory, cold, and new ones. README.md says what is compared with what.

const { startMongo } = require("../__test__/support/mongo.js");
const { startRedis } = require("../__test__/support/redis.js");
const { openPeers } = require("./driver.js");
const { machineFacts, foreignWork } = require("./facts.js");
const { CANDLES } = require("./peers/index.js");
const { candleOf } = require("./peers/mongo-data.js");
const { CONTEXT } = require("./peers/candles.js");
const { planOf } = require("./options.js");
const { writePlain } = require("./report/plain.js");
const { median, pairedRatio } = require("./stats.js");

const MONTH = 31 * 1_440;
const FULL = { rounds: 7, slice: 300, month: MONTH, colds: 5 };
const QUICK = { rounds: 3, slice: 100, month: MONTH, colds: 1 };

/** What is called again and again, and who takes part. The original takes seconds for a thousand. */
const CALLS = [
  { op: "window", title: "a window of five, a minute after the one before", peers: ["setup", "unchanged", "original", "map"] },
  { op: "thousand", title: "a thousand as objects", peers: ["setup", "unchanged", "map"] },
  { op: "columns", title: "a month as columns", peers: ["setup"] },
  { op: "write", title: "a write of five, four of them known", peers: ["setup", "unchanged", "original", "map"] },
];
const WHOLE = [
  { op: "coldColumns", title: "a month that nobody has read, as columns" },
  { op: "coldWindows", title: "the same by windows of five, minute by minute" },
];

/** What this project set itself. Ratios are how many times as fast we are; times are microseconds. */
const FLOORS = [
  { text: "window of five, setup() against the original", op: "window", peer: "setup", against: "original", min: 200 },
  { text: "window of five, unchanged adapters against the original", op: "window", peer: "unchanged", against: "original", min: 60 },
  { text: "window of five, setup() against a Map", op: "window", peer: "setup", against: "map", min: 1 / 3 },
  { text: "window of five", op: "window", peer: "setup", maxUs: 1 },
  { text: "a thousand as objects", op: "thousand", peer: "setup", maxUs: 100 },
  { text: "a month as columns", op: "columns", peer: "setup", maxUs: 1_000 },
];

class Bench {
  constructor(options, progress) {
    this.plan = planOf(options, { full: FULL, quick: QUICK });
    this.progress = progress;
    this.samples = {};
  }

  async run() {
    const [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
    const peers = [];
    try {
      const busy = [await foreignWork()];
      for (const entry of CANDLES) {
        this.progress(`candles · ${entry.title}`);
        const url = mongo.urlOf(`bench-${entry.id}`);
        await fill(mongo, `bench-${entry.id}`, this.plan.month);
        const server = { port: redis.port, mongoUrl: url, env: { ...redis.env, CC_MONGO_CONNECTION_STRING: url } };
        const opened = await openPeers([entry], server);
        if (opened.skipped.length > 0) throw new Error(`${entry.title}: ${opened.skipped[0].reason}`);
        peers.push(...opened.peers);
      }
      await this.calls(peers);
      const [setup] = peers;
      const memory = await this.cold(setup);
      busy.push(await foreignWork());
      const { version } = await mongo.command({ buildInfo: 1 }, { database: "admin" });
      return { machine: { ...(await machineFacts(redis)), mongo: version, foreignWork: Math.max(...busy) }, memory };
    } finally {
      for (const peer of peers) await peer.close();
      await Promise.all([mongo.stop(), redis.stop()]);
    }
  }

  async calls(peers) {
    // The round before the first warms up.
    for (let round = -1; round < this.plan.rounds; round++) {
      const order = round % 2 === 0 ? peers : [...peers].reverse();
      for (const { op, title, peers: taking } of CALLS) {
        this.progress(`candles · round ${round + 1} of ${this.plan.rounds} · ${title}`);
        for (const peer of order.filter(({ id }) => taking.includes(id.replace("candles-", "")))) {
          const { calls, us } = await peer.ask("candles", { op, ms: this.plan.slice });
          if (round >= 0) this.add(op, peer.id.replace("candles-", ""), round, us / calls);
        }
      }
    }
  }

  /** The months that are read from the server, and what is held of one, without and with rows. */
  async cold(setup) {
    for (const { op } of WHOLE) {
      for (let round = 0; round < this.plan.colds; round++) {
        this.progress(`candles · cold · round ${round + 1} of ${this.plan.colds} · ${op}`);
        const { us, stats, before } = await setup.ask("candlesWhole", { op });
        this.add(op, "setup", round, us);
        this.add(`${op} queries`, "setup", round, stats.queries - before.queries);
        this.last = stats;
      }
    }
    return { bytes: this.last.bytes, candles: this.last.candles, blocks: this.last.blocks };
  }

  add(op, id, round, value) {
    this.samples[op] ??= {};
    this.samples[op][id] ??= [];
    this.samples[op][id][round] = value;
  }
}

async function fill(mongo, database, month) {
  const date = new Date(0);
  for (let at = 0; at < month; at += 5_000) {
    const documents = Array.from({ length: Math.min(5_000, month - at) }, (_, i) => {
      const { exchangeName, interval, symbol, timestamp, open, high, low, close, volume } = candleOf(CONTEXT[0], at + i);
      return { exchangeName, interval, symbol, timestamp, __v: 0, close, createDate: date, high, low, open, updatedDate: date, volume };
    });
    await mongo.insert("candle-items", documents, database);
  }
  const key = { exchangeName: 1, symbol: 1, interval: 1, timestamp: 1 };
  const indexes = [{ key, name: "exchangeName_1_symbol_1_interval_1_timestamp_1", unique: true, background: true }];
  await mongo.command({ createIndexes: "candle-items", indexes }, { database });
}

function verdictsOf(samples) {
  return FLOORS.map((floor) => {
    const mine = samples[floor.op][floor.peer];
    const got = floor.maxUs ? median(mine) : pairedRatio(samples[floor.op][floor.against], mine).median;
    return { ...floor, got, met: floor.maxUs ? got <= floor.maxUs : got >= floor.min };
  });
}

const us = (value) => (value >= 1_000 ? `${(value / 1_000).toFixed(2)} ms` : `${value.toFixed(2)} µs`);

function textOf({ samples, verdicts, memory, plan }) {
  const lines = [];
  for (const { op, title, peers } of CALLS) {
    const times = peers.map((id) => `${id} ${us(median(samples[op][id]))}`);
    lines.push(`${title}: ${times.join(", ")}`);
  }
  for (const { op, title } of WHOLE) {
    lines.push(`${title}: ${us(median(samples[op].setup))}, ${median(samples[`${op} queries`].setup)} queries`);
  }
  lines.push(`memory of ${memory.candles} candles without rows: ${memory.bytes} bytes in ${memory.blocks} blocks`, "");
  for (const { text, got, met, min, maxUs } of verdicts) {
    const wanted = maxUs ? `at most ${us(maxUs)}` : `at least ${min < 1 ? min.toFixed(2) : min}×`;
    lines.push(`${met ? "met " : "MISS"} ${text}: ${maxUs ? us(got) : `${got.toFixed(got < 10 ? 2 : 0)}×`}, ${wanted}`);
  }
  lines.push("", `${plan.rounds} rounds; medians. setup: the adapter that setup() registers; unchanged: one candle after the other, on ours; original: the same on mongoose and ioredis; map: a Map with the same signatures.`);
  return lines;
}

async function benchCandles({ options, progress }) {
  const bench = new Bench(options, progress);
  const measured = await bench.run();
  const { plan, samples } = bench;
  const result = { date: new Date().toISOString().slice(0, 10), kind: options.quick || options.rounds ? "partial" : "full", plan, ...measured, samples };
  result.verdicts = verdictsOf(samples);
  progress.end();
  console.log("\nCandles, as the kit's adapters read and write them\n");
  for (const line of textOf(result)) console.log(line);
  return result;
}

const writeCandles = (result, toJson) => writePlain({ name: "candles", title: "Candles", result, lines: textOf(result), toJson });

module.exports = { CALLS, WHOLE, benchCandles, writeCandles };

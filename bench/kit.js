"use strict";

// The real kit over a month on each store, the lists and writes of a live cycle beside our own upsert, and the first write
// of a fresh process. README.md says what is compared with what.

const path = require("node:path");
const { runKit } = require("../__test__/support/kit.js");
const { startMongo } = require("../__test__/support/mongo.js");
const { startRedis } = require("../__test__/support/redis.js");
const { machineFacts, foreignWork } = require("./facts.js");
const { BESIDE_ITSELF, entry } = require("./kit-calls.js");
const { findCores } = require("./placement.js");
const { writePlain } = require("./report/plain.js");
const { median } = require("./stats.js");

const MONTH = 31 * 1440;
const FULL = { minutes: MONTH, pairs: 7, files: 2 * 1440, rounds: 15, each: 100, firsts: 20, logs: 1_000_000 };
const QUICK = { minutes: 3 * 1440, pairs: 3, files: 360, rounds: 5, each: 30, firsts: 7, logs: 50_000 };

/** Rows of one insert, and reads of the log. */
const [INSERTED, LOG_READS] = [5_000, 20];

/**
 * The runs of a pair, after the baseline: `fresh` ones have a database of their own each time, `warm` ones fetch before. The
 * last one is no store, but the yardstick of the one before it: what a round trip costs while the kit runs.
 */
const RUNS = [
  { name: "warm", title: "setup(), candles from the store", store: "setup", floor: { ratio: 1.1 } },
  { name: "filled", title: "setup(), filled by warmCandles, with the filling", store: "setup", fresh: true, warm: true, floor: { ratio: 1.3 } },
  { name: "cold", title: "setup(), minute by minute, candles fetched and stored", store: "setup", fresh: true, floor: { roundTrips: 1.3 } },
  { name: "roundTrips", title: "the baseline, whose every write of candles waits for one upsert of ours of what is new to it", store: "round-trips", fresh: true },
];

class Bench {
  constructor({ mongo, redis, plan, progress }) {
    Object.assign(this, { mongo, redis, plan, progress, databases: 0 });
  }

  env(database) {
    return { ...this.redis.env, CC_REDIS_USER: "", CC_REDIS_PASSWORD: "", CC_MONGO_CONNECTION_STRING: this.mongo.urlOf(database) };
  }

  /** One run in a process of its own, to its end or not at all. */
  async child(script, options, database = "bench") {
    const { result, code, signal, stderr } = await runKit(script, options, { env: this.env(database) });
    if (result === null || stderr !== "") throw new Error(`${path.basename(script)} ended with ${signal ?? code}: ${stderr}`);
    return result;
  }

  /** The milliseconds of a backtest, its filling included. */
  async backtest(store, options, database) {
    const result = await this.child("backtest", { store, minutes: this.plan.minutes, ...options }, database);
    if (result.errors.length > 0) throw new Error(result.errors[0]);
    return { ms: result.running + (result.filling ?? 0), written: result.counts?.writeCandlesData ?? 0 };
  }

  async months() {
    const { pairs, minutes } = this.plan;
    await this.backtest("setup", { warm: true }, "bench");
    const { written } = await this.backtest("dummy", { count: true });
    const samples = { baseline: [], ...Object.fromEntries(RUNS.map(({ name }) => [name, []])) };
    for (let pair = 0; pair < pairs; pair++) {
      for (const { name, store, fresh, warm } of RUNS) {
        this.progress(`the kit · ${name}, pair ${pair + 1} of ${pairs}`);
        const database = fresh ? `bench-${++this.databases}` : "bench";
        const run = async () => samples[name].push((await this.backtest(store, { warm }, database)).ms);
        const baseline = async () => samples.baseline.push((await this.backtest("dummy", {})).ms);
        // Who begins changes, so that what a machine does over minutes harms both alike.
        for (const step of pair % 2 === 0 ? [baseline, run] : [run, baseline]) await step();
        if (fresh) await this.mongo.drop(database);
      }
    }
    return { minutes, written, samples };
  }

  /** The kit's own files and the original's way, on a part: a month of them takes minutes. */
  async others() {
    this.progress("the kit · JSON files and the original");
    const minutes = this.plan.files;
    const files = await this.backtest("json", { minutes });
    const original = await this.backtest("original", { minutes: Math.min(minutes, 720) }, "bench-original");
    const beside = await this.backtest("dummy", { minutes });
    return { minutes, json: files.ms / minutes, original: original.ms / Math.min(minutes, 720), baseline: beside.ms / minutes };
  }

  /** Lists and writes, with servers of their own, which have a core of their own. */
  async calls() {
    this.progress("the kit · lists and writes");
    const { rounds, each } = this.plan;
    const [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
    try {
      const servers = [mongo, redis].map(({ pid }) => pid);
      return await new Bench({ mongo, redis }).child(path.join(__dirname, "kit-calls"), { rounds, each, servers, cores: findCores() });
    } finally {
      await Promise.all([mongo.stop(), redis.stop()]);
    }
  }

  async firsts() {
    const found = [];
    // The first one makes the indexes.
    for (let i = -1; i < this.plan.firsts; i++) {
      this.progress(`the kit · first write ${i + 1} of ${this.plan.firsts}`);
      const { milliseconds } = await this.child(path.join(__dirname, "kit-first"), {});
      if (i >= 0) found.push(milliseconds);
    }
    return found;
  }

  /** Reads of the newest thousand of many log entries. */
  async logs() {
    const [database, collection] = ["bench-log", "log-items"];
    const child = (options) => this.child(path.join(__dirname, "kit-log"), options, database);
    await child({ write: true });
    while (!(await this.mongo.indexes(collection, database)).some(({ key }) => key.createDate === -1)) await new Promise((resolve) => setTimeout(resolve, 50));
    for (let at = 0; at < this.plan.logs; at += INSERTED) {
      this.progress(`the kit · log entries, ${at} of ${this.plan.logs}`);
      const rows = Array.from({ length: INSERTED }, (_, i) => {
        const date = new Date(Date.UTC(2025, 0, 1) + at + i);
        return { entryId: `row-${at + i}`, payload: entry(at + i), createDate: date, updatedDate: date, __v: 0 };
      });
      await this.mongo.insert(collection, rows, database);
    }
    this.progress("the kit · reads of the log");
    const { milliseconds } = await child({ reads: LOG_READS });
    await this.mongo.drop(database);
    return milliseconds;
  }

  async run() {
    const months = await this.months();
    const others = await this.others();
    return { months, others, calls: await this.calls(), logs: await this.logs(), firsts: await this.firsts() };
  }
}

const spread = (numbers) => ({ median: median(numbers), low: Math.min(...numbers), high: Math.max(...numbers) });

/** Rows with what was measured, and whether that reaches the floor. */
function rowsOf({ months, others, calls, logs, firsts }, plan) {
  const { minutes, written, samples } = months;
  const rows = [];
  const add = (title, { median: middle, low, high }, unit, limit, note = "") => rows.push({ title, middle, low, high, unit, limit, met: limit === null ? null : middle <= limit, note });
  const each = (list) => spread(list.map((ms) => ms / minutes));
  /** What the runs of a name took beyond the baseline beside them. */
  const extras = (name) => samples[name].map((ms, pair) => ms - samples.baseline[pair * RUNS.length + RUNS.findIndex((run) => run.name === name)]);
  const us = (list) => ((median(list) / written) * 1000).toFixed(0);
  const alone = median(calls.state.map(({ upsert }) => upsert));
  add("baseline: candles in a Map, dummies for the rest", each(samples.baseline), "ms a minute", null);
  RUNS.forEach(({ name, title, floor }, at) => {
    const beside = samples[name].map((_, pair) => samples.baseline[pair * RUNS.length + at]);
    add(title, each(samples[name]), "ms a minute", null);
    if (floor?.ratio) add(`${title}, beside the baseline`, spread(samples[name].map((ms, i) => ms / beside[i])), "×", floor.ratio);
    if (floor?.roundTrips) {
      // The kit gives a round trip more to wait for than a tight loop does: caches and cores have cooled down in between.
      const beyond = extras(name);
      const roundTrips = extras("roundTrips");
      const note = `${written} writes, ${us(beyond)} µs each; a round trip takes ${us(roundTrips)} µs here, and ${alone.toFixed(0)} µs in a loop of its own`;
      add(`${title}: round trips beyond the baseline for each write`, spread(beyond.map((ms, i) => ms / roundTrips[i])), "round trips", floor.roundTrips, note);
    }
  });
  add("the kit's own JSON files, a part", spread([others.json]), "ms a minute", null);
  add("the original, a part", spread([others.original]), "ms a minute", null);
  add("baseline, the same part", spread([others.baseline]), "ms a minute", null);
  for (const [name, rounds] of Object.entries(calls)) {
    const upsert = median(rounds.map((one) => one.upsert));
    const us = median(rounds.map((one) => one.us));
    add(`write of ${name}`, spread(rounds.map((one) => one.us / one.upsert)), "round trips", name === BESIDE_ITSELF ? null : 1.3, `${us.toFixed(0)} µs, an upsert of that size ${upsert.toFixed(0)} µs`);
  }
  add(`a read of the newest 1,000 of ${plan.logs.toLocaleString("en")} log entries`, spread(logs), "ms", 50);
  add("first writeSignalData after setup(), in a fresh process", spread(firsts), "ms", 25);
  return rows;
}

function textOf(rows) {
  const number = (value) => value.toFixed(value < 10 ? 3 : 1);
  return rows.map(({ title, middle, low, high, unit, limit, met, note }) => {
    const verdict = limit === null ? "    " : met ? "met " : "MISS";
    return `${verdict} ${title}: ${number(middle)} ${unit} (${number(low)} to ${number(high)})${limit === null ? "" : `, at most ${limit}`}${note ? `; ${note}` : ""}`;
  });
}

async function benchKit({ options, progress }) {
  const plan = { ...(options.quick ? QUICK : FULL), ...(options.rounds ? { pairs: options.rounds } : {}) };
  const [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
  try {
    const busy = [await foreignWork()];
    const measured = await new Bench({ mongo, redis, plan, progress }).run();
    busy.push(await foreignWork());
    const { version } = await mongo.command({ buildInfo: 1 }, { database: "admin" });
    const machine = { ...(await machineFacts(redis)), mongo: version, foreignWork: Math.max(...busy) };
    const result = { date: new Date().toISOString().slice(0, 10), kind: options.quick || options.rounds ? "partial" : "full", machine, plan, rows: rowsOf(measured, plan), samples: measured };
    progress.end();
    console.log(`\nThe real kit, ${plan.minutes / 1440} days, ${plan.pairs} pairs; medians, and the least and the most\n`);
    for (const line of textOf(result.rows)) console.log(line);
    return result;
  } finally {
    await Promise.all([mongo.stop(), redis.stop()]);
  }
}

const writeKit = (result, toJson) => writePlain({ name: "kit", title: "The real kit", result, lines: textOf(result.rows), toJson });

module.exports = { benchKit, writeKit };

"use strict";

// A load on a replica set that is judged: writers count upwards under keys of their own, and know at each moment what a read may
// find; lists and candles beside them. What stays at the end is looked at without the package.

const { performance } = require("node:perf_hooks");
const { dto, dtos, CONTEXT, START, MINUTE } = require("../support/candles.js");

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/** Rows that one writer sends in one tick, as one command. */
const TOGETHER = 4;

class Rows {
  constructor(lib, { writers = 4, pauseMs = 2 } = {}) {
    this.lib = lib;
    this.pauseMs = pauseMs;
    this.running = true;
    this.calls = 0;
    /** Rejections by their code. */
    this.rejected = {};
    /** What a read found and must not have. */
    this.wrong = [];
    /** When writes were acknowledged. */
    this.moments = [];
    /** By key: what may be there, as numbers from `low` (acknowledged) to `high` (tried). */
    this.keys = new Map();
    /** Slots of candles: acknowledged, and tried. */
    this.candles = { acknowledged: new Set(), tried: new Set() };
    this.work = [];
    for (let writer = 0; writer < writers; writer++) this.work.push(this.count(writer));
    this.work.push(this.list(), this.store(), this.storeMany());
  }

  /** A call; `{ value }`, or undefined where it was rejected. */
  async made(call, writes) {
    this.calls++;
    try {
      const value = await call();
      if (writes) this.moments.push(performance.now());
      return { value };
    } catch (error) {
      this.rejected[error.code] = (this.rejected[error.code] ?? 0) + 1;
      this.message = error.message;
      return undefined;
    }
  }

  async upsert(key, number) {
    const known = this.keys.get(key) ?? { low: 0, high: 0 };
    this.keys.set(key, known);
    known.high = number;
    const done = await this.made(() => this.lib.ioc.measureDbService.upsert("judged", key, { number }), true);
    if (done) known.low = number;
  }

  judge(key, number, where) {
    const { low, high } = this.keys.get(key);
    if (number < low || number > high) this.wrong.push(`${where}: ${key} is ${number}, and may be ${low} to ${high}`);
  }

  async read(key) {
    const { low } = this.keys.get(key);
    const found = await this.made(() => this.lib.ioc.measureDbService.findByKey("judged", key));
    if (found) this.judge(key, found.value === null ? 0 : found.value.payload.number, `a read after ${low} was acknowledged`);
  }

  async count(writer) {
    const names = Array.from({ length: TOGETHER }, (_, i) => `w${writer}-${i}`);
    for (let number = 1; this.running; number++) {
      // In turns one row, and several of one tick.
      const these = number % 2 === 0 ? names : names.slice(0, 1);
      await Promise.all(these.map((key) => this.upsert(key, number)));
      await Promise.all(these.map((key) => this.read(key)));
      await sleep(this.pauseMs);
    }
  }

  /** What was acknowledged before a list is asked for must be in it. */
  async list() {
    while (this.running) {
      const acknowledged = [...this.keys].filter(([, { low }]) => low > 0).map(([key]) => key);
      const answer = await this.made(() => this.lib.ioc.measureDbService.listKeys("judged"));
      const missing = answer ? acknowledged.filter((key) => !answer.value.includes(key)) : [];
      if (missing.length > 0) this.wrong.push(`a list without ${missing.join(", ")}`);
      await sleep(10 * this.pauseMs);
    }
  }

  noted(slots, done) {
    for (const slot of slots) if (done) this.candles.acknowledged.add(slot);
  }

  /** Candles one by one. */
  async store() {
    for (let slot = 0; this.running; slot++) {
      this.candles.tried.add(slot);
      this.noted([slot], await this.made(() => this.lib.ioc.candleDbService.create(dto(slot)), true));
      await sleep(5 * this.pauseMs);
    }
  }

  /** Candles by the hundred, and a range of them read as it is in the database. */
  async storeMany() {
    const { candleDbService: service } = this.lib.ioc;
    for (let from = 1_000_000; this.running; from += 100) {
      const slots = Array.from({ length: 100 }, (_, i) => from + i);
      slots.forEach((slot) => this.candles.tried.add(slot));
      const done = await this.made(() => service.createMany(dtos(from, from + 100)), true);
      this.noted(slots, done);
      service.forget(...CONTEXT);
      const found = await this.made(() => service.findRange(...CONTEXT, START + from * MINUTE, 100));
      if (done && found && found.value?.length !== 100) this.wrong.push(`a range of candles from ${from} has ${found.value?.length}`);
      await sleep(20 * this.pauseMs);
    }
  }

  async stop() {
    this.running = false;
    await Promise.all(this.work);
    return this;
  }

  /** Seconds from `since` until a write was acknowledged. */
  after(since) {
    return (Math.min(...this.moments.filter((moment) => moment > since)) - since) / 1_000;
  }

  /** Seconds after `since` in which no write was acknowledged, at a stretch. */
  silence(since) {
    const moments = [since, ...this.moments.filter((moment) => moment > since).sort((a, b) => a - b)];
    return moments.slice(1).reduce((longest, moment, i) => Math.max(longest, moment - moments[i]), 0) / 1_000;
  }

  /** Looks at what a server holds in the end, without the package: `{ lost, wrong }`. */
  async settle(server, database) {
    const raw = { readConcern: { level: "majority" } };
    const rows = await all(server, database, "measure-items", raw);
    const found = new Map(rows.map((row) => [row.entryKey, row.payload.number]));
    let lost = 0;
    for (const [key, { low, high }] of this.keys) {
      const number = found.get(key) ?? 0;
      if (number < low) lost++;
      if (number > high) this.wrong.push(`${key} is ${number} in the end, and nobody has written that`);
    }
    if (found.size !== rows.length) this.wrong.push("a key has two rows");
    const candles = await all(server, database, "candle-items", raw);
    const slots = new Set(candles.map((row) => (row.timestamp - START) / MINUTE));
    lost += [...this.candles.acknowledged].filter((slot) => !slots.has(slot)).length;
    const foreign = [...slots].filter((slot) => !this.candles.tried.has(slot));
    if (foreign.length > 0 || slots.size !== candles.length) this.wrong.push("candles that nobody has written, or twice");
    return { lost, wrong: this.wrong };
  }
}

/** All rows of a collection, batch by batch. */
async function all(server, database, collection, options) {
  const { cursor } = await server.command({ find: collection, filter: {}, batchSize: 100_000, ...options }, { database });
  const rows = cursor.firstBatch;
  for (let id = cursor.id; Number(id) !== 0; ) {
    const next = (await server.command({ getMore: id, collection, batchSize: 100_000 }, { database })).cursor;
    rows.push(...next.nextBatch);
    id = next.id;
  }
  return rows;
}

module.exports = { Rows, sleep };

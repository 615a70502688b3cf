"use strict";

// Load with an oracle: workers that write and read keys of their own, and know at each moment what a read may return.
// Half of them use a BaseMap, which always asks Redis, half a cache service, behind which the near cache stands.

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** One key and what may be found under it: numbers from `low` to `high`, or nothing. */
class Worker {
  constructor(load, name, store, asks) {
    this.load = load;
    this.name = name;
    this.store = store;
    this.asks = asks;
    this.low = 0;
    this.high = 0;
    this.empty = true;
    this.served = 0;
    this.busySince = null;
  }

  async run() {
    for (let number = 1; !this.load.stopped; number++) {
      await this.write(number);
      if (this.load.pauseMs > 0) await sleep(this.load.pauseMs);
      await this.read();
      if (this.load.pauseMs > 0) await sleep(this.load.pauseMs);
    }
  }

  async write(number) {
    const { load } = this;
    const before = load.epoch;
    // From here on it may be there, whatever becomes of the call.
    this.high = number;
    if (await this.timed("set", () => this.store.set(this.name, `${this.name} ${number}`))) {
      if (load.epoch !== before) return;
      this.low = number;
      this.empty = false;
    }
  }

  async read() {
    const answer = await this.timed("get", () => this.store.get(this.name));
    if (!answer) return;
    const [found, number] = answer.value === null ? [] : answer.value.split(" ");
    const right = answer.value === null ? this.empty : found === this.name && number >= this.low && number <= this.high;
    if (right) return;
    const range = `${this.low} to ${this.high}${this.empty ? " or nothing" : ""}`;
    this.load.wrong.push(`${this.name} is ${JSON.stringify(answer.value)}; possible: ${range}`);
  }

  /** Makes a call; `{ value }`, or undefined where it was rejected. */
  async timed(kind, call) {
    const { load } = this;
    const start = performance.now();
    this.busySince = start;
    try {
      const value = await call();
      this.served = performance.now();
      load.count(kind, this.served - start, null);
      return { value };
    } catch (error) {
      load.count(kind, performance.now() - start, error);
      return undefined;
    } finally {
      this.busySince = null;
    }
  }
}

class Load {
  /** `pauseMs`: what each worker waits between two calls, so that a load need not take a whole core. */
  constructor(lib, { workers = 20, pauseMs = 1 } = {}) {
    const map = new lib.BaseMap("load", -1);
    const service = lib.ioc.signalCacheService;
    const ids = {
      set: (key, id) => service.setSignalId({ symbol: key, strategyName: "load", exchangeName: "x", id }),
      get: (key) => service.getSignalId(key, "load", "x"),
    };
    this.pauseMs = pauseMs;
    this.workers = Array.from({ length: workers }, (_, i) => new Worker(this, `w${i}`, i % 2 ? ids : map, i % 2 === 0));
    this.stopped = false;
    /** Changes when data is lost on purpose. */
    this.epoch = 0;
    this.calls = 0;
    this.worstMs = 0;
    this.errors = {};
    this.messages = {};
    this.wrong = [];
    this.latencies = [];
    this.keepLatencies = false;
  }

  start() {
    this.running = Promise.all(this.workers.map((worker) => worker.run()));
    // Looked at by `stop`; until then nobody else is to be told.
    this.running.catch(() => {});
    return this;
  }

  count(kind, ms, error) {
    this.calls++;
    this.worstMs = Math.max(this.worstMs, ms);
    if (this.keepLatencies) this.latencies.push(ms);
    if (!error) return;
    const code = error.code ?? error.name;
    this.errors[code] = (this.errors[code] ?? 0) + 1;
    this.messages[code] ??= `${kind}: ${error.message}`;
  }

  /** The server lost everything, or is about to: nothing may be found. */
  wiped() {
    this.epoch++;
    for (const worker of this.workers) worker.empty = true;
  }

  /** The server went back to an earlier state, as after a failover: all that was ever written may be found. */
  rewound() {
    this.wiped();
    for (const worker of this.workers) worker.low = 0;
  }

  get rejections() {
    return Object.values(this.errors).reduce((sum, count) => sum + count, 0);
  }

  /** How many milliseconds after `from` (of performance.now) Redis had answered each worker again; fails after `limitMs`. */
  async recovered(from = performance.now(), limitMs = 30_000) {
    // An answer from memory proves nothing about Redis.
    const waiting = () => this.workers.filter((worker) => worker.asks && worker.served <= from);
    while (waiting().length > 0) {
      if (performance.now() - from > limitMs) {
        throw new Error(`${waiting().length} workers were not answered within ${limitMs} ms`);
      }
      await sleep(2);
    }
    return performance.now() - from;
  }

  /** Ends the load; fails where a call is not settled within that time. */
  async stop(limitMs = 15_000) {
    this.stopped = true;
    let timer;
    const late = new Promise((resolve) => (timer = setTimeout(resolve, limitMs, "late")));
    const end = await Promise.race([this.running, late]).finally(() => clearTimeout(timer));
    if (end === "late") {
      const hanging = this.workers.filter((worker) => worker.busySince !== null).length;
      throw new Error(`${hanging} calls were not settled ${limitMs} ms after the load's end`);
    }
  }
}

module.exports = { Load, sleep };

"use strict";

// A made-up world for the candle cache's rules: a database, clocks, commands that are sent, run and answered in any order, and
// what every answer may be. The rules are the package's own; only the server is not there.

const path = require("node:path");
const { root } = require("./addon.js");

const ours = (file) => require(path.join(root, "js", file));
const { CandleCache, HELD, ODD } = ours("candles/cache.js");
const { fetch } = ours("candles/fetch.js");
const { BLOCK, STEPS, blockOf, placeOf } = ours("candles/grid.js");

const MINUTE = 60_000;
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A row of the database. `fits`: as in src/mongo/candle_window.rs. */
const rowOf = (version, fits = 3) => ({ version, fits });

class World {
  /** `slots`: how many of each series are in play, around two borders of blocks. */
  constructor(chance, { maxBytes, absenceMs, start }) {
    this.chance = chance;
    this.elapsed = 1_000;
    this.present = start;
    this.clock = { elapsed: () => this.elapsed, present: () => this.present };
    this.cache = new CandleCache({ maxBytes, absenceMs });
    this.maxBytes = maxBytes;
    this.absenceMs = absenceMs;
    /** Rows by the text of their key, and what each key was before: `[from, row or null]`, by the step of the world. */
    this.rows = new Map();
    this.past = new Map();
    this.step = 0;
    this.version = 0;
    /** Commands that are sent and not run, and those that are run and not answered. */
    this.sent = [];
    this.run = [];
    /** Steps at which changes under way were called. */
    this.changing = new Set();
    /** Keys that a write of ours has acknowledged, and when in steps. */
    this.acknowledged = new Map();
    this.problems = [];
    this.reads = 0;
  }

  key(names, slot) {
    // No name of the tests has this character; JSON would take most of their time.
    return `${names.symbol}|${names.interval}|${names.exchangeName}|${slot}`;
  }

  row(names, slot) {
    return this.rows.get(this.key(names, slot)) ?? null;
  }

  set(names, slot, row) {
    const key = this.key(names, slot);
    if (!this.past.has(key)) this.past.set(key, [{ from: 0, at: -Infinity, row: null }]);
    this.past.get(key).push({ from: this.step, at: this.elapsed, row });
    if (row === null) this.rows.delete(key);
    else this.rows.set(key, row);
  }

  /** What a key was at any time since a step. */
  since(names, slot, step) {
    const past = this.past.get(this.key(names, slot)) ?? [{ from: 0, at: -Infinity, row: null }];
    const first = past.findLastIndex(({ from }) => from <= step);
    return past.slice(Math.max(first, 0)).map(({ row }) => row);
  }

  /** Whether a key was absent at any time in so many milliseconds. */
  absentWithin(names, slot, ms) {
    const past = this.past.get(this.key(names, slot)) ?? [{ from: 0, at: -Infinity, row: null }];
    return past.some(({ row }, i) => row === null && (past[i + 1]?.at ?? Infinity) >= this.elapsed - ms);
  }

  expect(condition, what) {
    if (!condition) this.problems.push(`step ${this.step}: ${what}`);
  }

  /** Sends a command: `run()` is what the server does, `answer(result)` and `fail()` what is made of it. */
  send(command) {
    this.sent.push(command);
  }

  /** The server runs any of the commands that it has. */
  runOne() {
    if (this.sent.length === 0) return;
    const [command] = this.sent.splice(this.chance.below(this.sent.length), 1);
    command.result = command.run();
    this.run.push(command);
  }

  /** An answer arrives, or does not although the command was run; or it was not even run. */
  answerOne() {
    if (this.run.length > 0 && (this.sent.length === 0 || this.chance.maybe(0.8))) {
      const [command] = this.run.splice(this.chance.below(this.run.length), 1);
      if (this.chance.maybe(0.9)) command.answer(command.result);
      else command.fail();
    } else if (this.sent.length > 0) {
      this.sent.splice(this.chance.below(this.sent.length), 1)[0].fail();
    }
  }

  /** What `put` of js/candles/reads.js does, without a server. */
  put(question) {
    const { series, index, from, to, places, rows } = question;
    question.hold = () => {};
    const wanted = places ?? Array.from({ length: to - from }, (_, i) => from + i);
    this.lookAtQuestion(question, wanted);
    question.done = new Promise((resolve, reject) => {
      this.send({
        run: () => {
          const found = wanted.map((place) => [place - from, this.row(series, index * BLOCK + place)]).filter(([, row]) => row !== null);
          return answerOf(found, rows);
        },
        answer: (found) => {
          this.cache.fill(question, found);
          resolve(found);
        },
        fail: () => {
          this.cache.finish(question);
          reject(new Error("no answer"));
        },
      });
    });
    question.done.catch(() => {});
  }

  /** A question never asks for what is held, but for the first of its block. */
  lookAtQuestion({ series, index, rows, whole }, wanted) {
    const block = series.blocks.get(index);
    if (whole) this.expect(!(rows ? block?.askedRows : block?.asked), "a block was asked for as a whole twice");
    else this.expect(wanted.every((place) => !block?.has(place, rows)), "what is held is asked for again");
  }

  /** A call that reads; `remember`: an adapter's. */
  async read(names, first, limit, rows, remember) {
    const called = this.step;
    // What an update under way has changed already, this call may still see as it was.
    const oldest = this.oldest(called);
    const { cache } = this;
    const series = cache.find(names.symbol, names.interval, names.exchangeName);
    const options = { rows, remember };
    if (series !== undefined) {
      const what = cache.look(series, first, limit, rows);
      if (what === ODD) return;
      if (what === HELD) {
        for (let i = 0; i < limit; i++) {
          const block = series.blocks.get(blockOf(first + i));
          this.judge(names, first + i, block.open[placeOf(first + i)], oldest, rows && block.updatedDates[placeOf(first + i)]);
        }
        this.ahead(series, first, limit, options);
        return;
      }
      if (remember && cache.absent(series, first, limit, this.elapsed)) {
        this.judgeAbsence(names, first, limit);
        return;
      }
    }
    if (!cache.keeps(limit, rows)) return;
    const fetched = fetch(cache, names, first, limit, options, { put: (_, question) => this.put(question), clock: this.clock });
    this.ahead(cache.open(names.symbol, names.interval, names.exchangeName), first, limit, options);
    const columns = await fetched.catch(() => null);
    if (columns === null || columns.isOdd(0, limit, rows)) return;
    this.reads++;
    for (let i = 0; i < limit; i++) {
      if (columns.has(i, rows)) this.judge(names, first + i, columns.open[i], oldest, rows && columns.updatedDates[i]);
      else if (!remember) this.expect(this.since(names, first + i, called).some((row) => !fitsIn(row, rows)), `slot ${first + i} is missing, although it was there all the time`);
    }
  }

  ahead(series, first, limit, options) {
    const question = this.cache.ahead(series, first, limit, options.rows, options.remember, this.clock);
    if (question === null) return;
    const last = (question.index * BLOCK + question.to - 1) * series.step;
    this.expect(last <= this.present, "a block is fetched from the future");
    this.expect(question.index === blockOf(first + limit - 1) + 1, "another block than the next one is fetched");
    this.put(question);
  }

  /** The step from which on a value may be: an update that is under way may be seen or not. */
  oldest(called) {
    return Math.min(called, ...this.changing);
  }

  /** A candle that was answered with: its version must be of a row that was there. */
  judge(names, slot, version, step, date) {
    const versions = this.since(names, slot, step).map((row) => row?.version);
    this.expect(versions.includes(version), `slot ${slot} of ${names.symbol} is answered with version ${version}, and was ${versions}`);
    if (date !== false) this.expect(date === version, "id and dates are those of another row");
  }

  /** One of a window's candles is remembered to be absent: it was so within the time, and nobody of ours has written it. */
  judgeAbsence(names, first, limit) {
    const slots = Array.from({ length: limit }, (_, i) => first + i);
    const fair = (slot) => {
      const over = (slot + 1) * STEPS.get(names.interval) <= this.present - MINUTE;
      return over && this.absentWithin(names, slot, this.absenceMs) && !this.acknowledged.has(this.key(names, slot));
    };
    this.expect(slots.some(fair), `absence of one of ${slots} is remembered wrongly`);
  }

  /** A call that writes slots of a series in one command, as js/candles/writes.js does. */
  async write(names, slots) {
    const { cache } = this;
    const series = cache.open(names.symbol, names.interval, names.exchangeName);
    const write = cache.begin();
    const sent = [];
    const others = new Set();
    const isRun = slots.every((slot, i) => slot === slots[0] + i) && cache.isFree(series, slots[0], slots.length);
    if (isRun) {
      cache.claimRun(write, series, slots[0], slots.length);
      sent.push(...slots);
    }
    for (const slot of isRun ? [] : slots) {
      const known = cache.known(series, slot);
      if (known === true) {
        this.expect(this.since(names, slot, this.oldest(this.step)).some((row) => row !== null), `slot ${slot} is left out, and is not there`);
      } else if (known === null) {
        cache.claim(write, series, slot);
        sent.push(slot);
      } else if (known !== write) {
        this.expect(known.done !== null, "a write under way has no outcome");
        others.add(known);
      }
    }
    cache.registry.tidy(series);
    const own = sent.length === 0 ? Promise.resolve() : this.insert(write, series, names, sent);
    write.done = own;
    const failed = await Promise.all([own, ...[...others].map(({ done }) => done)]).then(() => false, () => true);
    if (!failed) {
      const there = (slot) => this.since(names, slot, 0).some((row) => row !== null);
      this.expect(slots.every(there), "a call is through whose candles were never there");
    }
  }

  insert(write, series, names, slots) {
    return new Promise((resolve, reject) => {
      this.send({
        run: () =>
          slots.map((slot) => {
            if (this.row(names, slot) !== null) return null;
            this.set(names, slot, rowOf(++this.version));
            return this.version;
          }),
        answer: (versions) => {
          slots.forEach((slot) => this.acknowledged.set(this.key(names, slot), this.step));
          const whole = write.runs.length > 0 && !versions.includes(null);
          if (whole) this.cache.storedRun(write, series, slots[0], slots.length, Float64Array.from(versions.flatMap((version) => [0, version, 0, 0, 0, 0])));
          (whole ? [] : slots).forEach((slot, i) => {
            const version = versions[i];
            if (version === null) return;
            const numbers = { open: version, high: 0, low: 0, close: 0, volume: 0 };
            const row = { ids: new Uint8Array(12), at: 0, createDate: version, updatedDate: version };
            this.cache.stored(write, series, slot, numbers, row, this.chance.maybe(0.5));
          });
          this.cache.end(write);
          resolve();
        },
        fail: () => {
          this.cache.end(write);
          reject(new Error("no answer"));
        },
      });
    });
  }

  /** An update or deletion of ours: it empties the cache when it is called and when it is over. */
  change(names, slot, row) {
    const called = this.step;
    this.changing.add(called);
    this.cache.empty();
    const over = () => {
      this.cache.empty();
      this.changing.delete(called);
    };
    this.send({
      run: () => {
        if (this.row(names, slot) === null) return;
        this.set(names, slot, row);
        // From here on it may be absent again.
        this.acknowledged.delete(this.key(names, slot));
      },
      answer: over,
      // The server may still run it: then nobody can know. Here it never does.
      fail: over,
    });
  }

  /** What must hold at any time. */
  audit() {
    const { cache } = this;
    const blocks = [...cache.registry.all()].flatMap((series) => [...series.blocks.values()]);
    const sum = (of) => blocks.reduce((total, block) => total + of(block), 0);
    this.expect(cache.bytes === sum((block) => block.weight), "the bytes are not those of the blocks");
    this.expect(cache.bytes <= this.maxBytes, "more bytes than the bound");
    this.expect(cache.candles === sum(countOf), "the candles are not those of the blocks");
    this.expect(cache.blocks === blocks.length, "the blocks are not those of the series");
    const order = [];
    for (let block = cache.recency.newest; block !== null; block = block.older) order.push(block);
    this.expect(order.length === blocks.length && new Set([...order, ...blocks]).size === blocks.length, "the order of use has other blocks");
    this.expect([...cache.registry.all()].every((series) => !series.idle), "a series of which nothing is known is kept");
  }

  async settle() {
    while (this.sent.length + this.run.length > 0) {
      this.step++;
      this.runOne();
      this.answerOne();
      await turn();
    }
  }
}

function fitsIn(row, rows) {
  return row !== null && (row.fits & (rows ? 3 : 1)) === (rows ? 3 : 1);
}

function countOf(block) {
  let count = 0;
  for (let place = 0; place < BLOCK; place++) count += Number(block.has(place, false));
  return count;
}

/** An answer as it comes from Rust. */
function answerOf(found, rows) {
  const stride = rows ? 7 : 5;
  const numbers = new Float64Array(found.length * stride);
  found.forEach(([, row], i) => {
    numbers[i * stride] = row.version;
    if (rows) numbers[i * stride + 5] = numbers[i * stride + 6] = row.version;
  });
  return {
    numbers,
    offsets: Uint32Array.from(found, ([offset]) => offset),
    ids: new Uint8Array(rows ? found.length * 12 : 0),
    fits: Uint8Array.from(found, ([, row]) => (rows ? row.fits : row.fits & 1)),
  };
}

module.exports = { World, answerOf, rowOf, turn };

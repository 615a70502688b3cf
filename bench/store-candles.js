"use strict";

// Candles in the embedded store, beside backtest-kit's own files and the kit's run without any store. Everything is measured in
// processes of its own, in folders of its own.

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { runKit } = require("../__test__/support/kit.js");
const { median } = require("./stats.js");
const { floors } = require("./store-floors.json");

const MONTH = 31 * 1_440;
const FULL = { rounds: 7, pairs: 7, minutes: MONTH, files: MONTH, singles: 3_000, keys: 1_000_000, firsts: 7 };
const QUICK = { rounds: 3, pairs: 3, minutes: 3 * 1_440, files: 1_440, singles: 1_000, keys: 100_000, firsts: 3 };

const MONTH_SCRIPT = path.join(__dirname, "store-month");

class Bench {
  constructor(plan, progress) {
    Object.assign(this, { plan, progress, rows: [], folders: [] });
  }

  folder() {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bkn-bench-store-"));
    this.folders.push(folder);
    return folder;
  }

  drop(folder) {
    fs.rmSync(folder, { recursive: true, force: true });
  }

  /** `spread`: how far what it is compared with lies from itself, where that may be further than the floor. */
  add(row, title, samples, unit, note = "", spread = undefined) {
    this.rows.push({ row, title, unit, middle: median(samples), low: Math.min(...samples), high: Math.max(...samples), note, spread });
  }

  /** One process, to its end or not at all. */
  async child(script, options, folder, more = {}) {
    const env = folder === null ? {} : { CC_STORE_PATH: folder };
    const { result, code, signal, stderr } = await runKit(script, options, { env, ...more });
    if (result === null || stderr !== "") throw new Error(`${path.basename(script)} ended with ${signal ?? code}: ${stderr}`);
    return result;
  }

  async written() {
    for (const [way, name, title] of [
      ["createMany", "written by createMany", "a symbol-month written by createMany"],
      ["context", "written by createMany of a context", "the same by createMany of a context"],
      ["adapter", "written through the adapter", "the same through setup()'s adapter, a thousand at a time"],
    ]) {
      const [first, later] = [[], []];
      for (let round = 0; round < this.plan.rounds; round++) {
        this.progress(`store · ${name}, ${round + 1} of ${this.plan.rounds}`);
        const folder = this.folder();
        const { samples } = await this.child(MONTH_SCRIPT, { op: "write", way, count: MONTH, months: 4 }, folder);
        first.push(samples[0]);
        later.push(...samples.slice(1));
        this.drop(folder);
      }
      this.add(name, title, later, "ms", `the first month of a fresh process: ${median(first).toFixed(1)} ms`);
    }
  }

  async read() {
    const folder = this.folder();
    await this.child(MONTH_SCRIPT, { op: "write", way: "createMany", count: MONTH }, folder);
    for (const shape of ["objects", "columns", "rows"]) {
      const [open, opening] = [[], []];
      for (let round = 0; round < this.plan.rounds; round++) {
        this.progress(`store · read cold as ${shape}, ${round + 1} of ${this.plan.rounds}`);
        open.push((await this.child(MONTH_SCRIPT, { op: "read", shape, count: MONTH }, folder)).ms);
        opening.push((await this.child(MONTH_SCRIPT, { op: "read", shape, count: MONTH, opening: true }, folder)).ms);
      }
      const title = { objects: "a symbol-month read cold by the adapter, as objects", columns: "the same by findColumns, as columns", rows: "the same by findRange, as rows with ids and dates" }[shape];
      const notes = [`with the opening of the store ${median(opening).toFixed(1)} ms`];
      if (shape === "objects") notes.push(`to make as many objects of columns, in a process as fresh, takes ${(await this.bare(folder)).toFixed(1)} ms`);
      this.add(`read cold as ${shape}`, title, open, "ms", notes.join("; "));
    }
    this.drop(folder);
  }

  /** What no store can do without: the objects themselves. */
  async bare(folder) {
    const samples = [];
    for (let round = 0; round < this.plan.rounds; round++) samples.push((await this.child(MONTH_SCRIPT, { op: "bare", count: MONTH }, folder)).ms);
    return median(samples);
  }

  async sizes() {
    const [one, other] = [this.folder(), this.folder()];
    this.progress("store · bytes");
    const { bytes } = await this.child(MONTH_SCRIPT, { op: "bytes", count: MONTH, folder: one }, one);
    this.add("bytes a candle", "bytes of a candle on the disk", [bytes], "bytes");
    const single = await this.child(MONTH_SCRIPT, { op: "singles", count: this.plan.singles, folder: other }, other);
    const us = ((single.ms / this.plan.singles) * 1_000).toFixed(0);
    this.add("log of single creates", "log that 44,640 single awaited creates write", [(single.bytes * MONTH) / 1e6], "MB", `${single.bytes.toFixed(0)} bytes and ${us} µs each, of ${this.plan.singles}`);
    this.drop(one);
    this.drop(other);
  }

  async opening() {
    const folder = this.folder();
    this.progress("store · many keys");
    await this.child(MONTH_SCRIPT, { op: "fill", keys: this.plan.keys }, folder);
    const [openings, sizes] = [[], []];
    for (let round = 0; round < this.plan.rounds; round++) {
      const { opening, samples } = await this.child(MONTH_SCRIPT, { op: "open" }, folder);
      openings.push(opening);
      sizes.push(median(samples));
    }
    this.add("opening", `opening a store with ${this.plan.keys.toLocaleString("en")} keys`, openings, "ms");
    this.add("size() of 15 keys", `size() of 15 keys beside ${this.plan.keys.toLocaleString("en")}`, sizes, "µs");
    this.drop(folder);
  }

  /** The kit's own files, of which each is synced: as many as the plan has, counted up to a month. */
  async files() {
    const { files: count } = this.plan;
    const dir = this.folder();
    this.progress("store · the kit's own files");
    const written = await this.child(MONTH_SCRIPT, { op: "files", count }, null, { dir });
    const read = await this.child(MONTH_SCRIPT, { op: "files", count, read: true }, null, { dir });
    this.drop(dir);
    const ours = (name) => this.rows.find(({ row }) => row === name).middle;
    const note = (ms) => `${((ms * MONTH) / count / 1_000).toFixed(1)} s a month${count < MONTH ? `, counted up from ${count} candles` : ""}`;
    const ratio = (ms, name) => [(ms * MONTH) / count / ours(name)];
    this.add("files written", "the kit's own files, a month written: how many times as long", ratio(written.ms, "written through the adapter"), "×", note(written.ms));
    this.add("files read", "the kit's own files, a month read: how many times as long", ratio(read.ms, "read cold as objects"), "×", note(read.ms));
  }

  async backtest(store, options, folder) {
    const result = await this.child("backtest", { store, minutes: this.plan.minutes, ...options }, folder);
    if (result.errors.length > 0) throw new Error(result.errors[0]);
    return { filling: result.filling ?? 0, running: result.running };
  }

  /** The real kit over a month: candles from the store, and fetched and stored minute by minute; each beside the baseline. */
  async kit() {
    const filled = this.folder();
    const { filling } = await this.backtest("setup", { warm: true }, filled);
    const ratios = { warm: [], cold: [] };
    const baselines = [];
    for (let pair = 0; pair < this.plan.pairs; pair++) {
      this.progress(`store · the kit, pair ${pair + 1} of ${this.plan.pairs}`);
      for (const name of ["warm", "cold"]) {
        const folder = name === "warm" ? filled : this.folder();
        const times = {};
        const runs = { baseline: () => this.backtest("dummy", {}, null), store: () => this.backtest("setup", {}, folder) };
        // Who begins changes, so that what a machine does over minutes harms both alike.
        for (const who of pair % 2 === 0 ? ["baseline", "store"] : ["store", "baseline"]) times[who] = (await runs[who]()).running;
        ratios[name].push(times.store / times.baseline);
        baselines.push(times.baseline);
        if (name === "cold") this.drop(folder);
      }
    }
    const spread = Math.max(...baselines) / Math.min(...baselines);
    const note = `baseline ${(median(baselines) / 1_000).toFixed(2)} s for ${this.plan.minutes.toLocaleString("en")} minutes, its own spread ${spread.toFixed(3)}×; warmCandles took ${filling.toFixed(0)} ms`;
    this.add("kit warm", "the kit, candles from the store, beside the baseline", ratios.warm, "×", note, spread);
    this.add("kit cold", "the kit, candles fetched and stored minute by minute, beside the baseline", ratios.cold, "×");
    const firsts = [];
    for (let i = 0; i < this.plan.firsts; i++) {
      const folder = this.folder();
      firsts.push((await this.child(path.join(__dirname, "kit-first"), {}, folder)).milliseconds);
      this.drop(folder);
    }
    this.add("first write", "first writeSignalData after setup(), in a fresh process with an empty folder", firsts, "ms");
    this.drop(filled);
  }

  async run() {
    try {
      for (const part of [this.written, this.read, this.sizes, this.opening, this.files, this.kit]) await part.call(this);
    } finally {
      for (const folder of this.folders) this.drop(folder);
    }
    return this.rows;
  }
}

/** Whether what was measured reaches its floor, or lies within the spread of what it is compared with. */
function verdictsOf(rows) {
  return floors.map(({ text, row, max, min }) => {
    const { middle, low, high, unit, note, spread } = rows.find((one) => one.row === row);
    const most = Math.max(max, spread ?? -Infinity);
    return { text, unit, middle, low, high, max, min, note, spread, met: max === undefined ? middle >= min : middle <= most };
  });
}

const number = (value) => value.toFixed(value < 10 ? 3 : value < 1_000 ? 1 : 0);

function linesOf({ rows, verdicts }) {
  const lines = verdicts.map(({ text, unit, middle, low, high, max, min, met, note, spread }) => {
    const wanted = max === undefined ? `at least ${min}` : `at most ${max}${spread > max ? " or within the spread" : ""}`;
    return `${met ? "met " : "MISS"} ${text}: ${number(middle)} ${unit} (${number(low)} to ${number(high)}), ${wanted}${note ? `; ${note}` : ""}`;
  });
  const bound = new Set(floors.map(({ row }) => row));
  for (const { row, title, unit, middle, low, high, note } of rows) {
    if (!bound.has(row)) lines.push(`     ${title}: ${number(middle)} ${unit} (${number(low)} to ${number(high)})${note ? `; ${note}` : ""}`);
  }
  return lines;
}

async function benchStoreCandles({ options, progress }) {
  const plan = { ...(options.quick ? QUICK : FULL), ...(options.rounds ? { rounds: options.rounds, pairs: options.rounds } : {}) };
  const rows = await new Bench(plan, progress).run();
  return { plan, rows, verdicts: verdictsOf(rows) };
}

module.exports = { benchStoreCandles, linesOf };

"use strict";

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const root = path.resolve(__dirname, "..", "..");
const START = 1_600_000_000_000 - (1_600_000_000_000 % 60_000);
/** Processes that write at the same time. */
const WRITERS = 3;

/** Numbers from 0 to 1, the same for a seed. */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0;
    return state / 2 ** 32;
  };
}

/** A writer; it resolves with what it acknowledged once it is dead. */
function startWriter(name, env) {
  const child = spawn(process.execPath, [path.join(__dirname, "writer.js"), name], { env, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  let err = "";
  let heard;
  const first = new Promise((resolve) => (heard = resolve));
  child.stdout.on("data", (data) => {
    out += data;
    heard();
  });
  child.stderr.on("data", (data) => (err += data));
  const dead = new Promise((resolve, reject) => {
    child.on("close", (code, signal) => {
      heard();
      if (signal === "SIGKILL") resolve(out.split("\n").slice(0, -1));
      else reject(new Error(`the writer ${name} ended by itself with ${code}: ${err}`));
    });
  });
  return { child, first, dead };
}

/** What is missing of what was acknowledged, and what is there in part. */
async function missingOf(lib, lines) {
  const missing = [];
  const last = new Map();
  const acknowledged = new Set(lines);
  for (const line of lines) {
    const [kind, name, ...rest] = line.split(" ");
    const [n, count] = rest.map(Number);
    const is = (there) => there || missing.push(line);
    if (kind === "map") is((await new lib.BaseMap(`kill-${name}`, -1).get(`k${n}`)) === `v${n}`);
    if (kind === "row") is((await lib.ioc.signalDbService.findByContext(name, `s${n}`, "e"))?.payload.n === n);
    if (kind === "last") last.set(name, [n, line]);
    if (kind === "asked" && !acknowledged.has(`candles ${name} ${n} ${count}`)) {
      const since = START + n * 60_000;
      const there = await lib.ioc.candleDbService.findAll({ symbol: name, timestamp: { $gte: since, $lt: since + count * 60_000 } });
      is(there.length === 0 || there.length === count);
    }
    if (kind === "candles") {
      const rows = await lib.ioc.candleDbService.findRange(name, "1m", "e", START + n * 60_000, count);
      is(rows !== null && rows.every((row, i) => row.open === n + i));
    }
  }
  for (const [name, [n, line]] of last) {
    // A later one may have been written and not acknowledged.
    const found = (await lib.ioc.logDbService.findByEntryId(name))?.payload.n;
    if (!(found >= n)) missing.push(`${line}: there is ${found}`);
  }
  return missing;
}

/**
 * Kills so many writers at random moments, each store looked at by a process that has never had it open. Resolves with how many
 * writes were acknowledged, and those that are missing. With `lies` the writers acknowledge what they have not written yet.
 */
async function judge({ kills, seed, lies = false, log = () => {}, lib = require(root) }) {
  const next = random(seed);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bkn-kills-"));
  let acknowledged = 0;
  const missing = [];
  try {
    for (let killed = 0; killed < kills; ) {
      const store = path.join(folder, "store");
      const env = { ...process.env, CC_STORE_PATH: store, CC_CANDLE_CACHE_MAX_BYTES: "0", BKN_KILLS_LIE: lies ? "1" : "0" };
      const count = Math.min(WRITERS, kills - killed);
      const writers = Array.from({ length: count }, (_, i) => startWriter(`w${killed + i}`, env));
      await Promise.all(writers.map((writer) => writer.first));
      const lines = await Promise.all(
        writers.map(async ({ child, dead }) => {
          await new Promise((resolve) => setTimeout(resolve, next() * 120));
          child.kill("SIGKILL");
          return dead;
        }),
      );
      lib.setConfig({ CC_STORE_PATH: store, CC_CANDLE_CACHE_MAX_BYTES: 0 });
      const all = lines.flat();
      missing.push(...(await missingOf(lib, all)));
      await lib.close();
      acknowledged += all.filter((line) => !line.startsWith("asked ")).length;
      killed += count;
      // Now and then a new store, so that its first moments are disturbed too.
      if (killed % 30 < count) fs.rmSync(store, { recursive: true, force: true });
      if (killed % 99 < count) log(`${killed} kills, ${acknowledged} writes`);
    }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
  return { acknowledged, missing };
}

module.exports = { judge };

"use strict";

// Stores with something in them, and the command line on them: for the tests of copy, and for the large one (scripts/copy-load.js).

const { spawn } = require("node:child_process");
const path = require("node:path");

const root = path.resolve(__dirname, "..", "..");
const SINCE = 1_767_225_600_000;
const MINUTE = 60_000;
/** Calls of one go. */
const AT_ONCE = 1_000;

/** Runs the command line; resolves with its exit code and what it printed. `onLine` hears each piece of stderr, and may send a signal. */
function cli(args, { env = {}, cwd = root, onText } = {}) {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("CC_")));
  const child = spawn(process.execPath, [path.join(root, "cli", "main.js"), ...args], { cwd, env: { ...clean, ...env } });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data) => (stdout += data));
  child.stderr.on("data", (data) => {
    stderr += data;
    onText?.(stderr, child);
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr, told: /^\{/.test(stdout) ? JSON.parse(stdout) : null })));
}

const candle = (i, symbol = "BTCUSDT") => ({ symbol, interval: "1m", exchangeName: "binance", timestamp: SINCE + i * MINUTE, open: 1 + i, high: 2.5 + i, low: 0.25, close: i, volume: i % 7 });

/** A row of each collection but candles, by the number of a round. */
const rowsOf = (ioc, i) => {
  const when = new Date(SINCE + i);
  const payload = { i, text: `row ${i}`, nested: { list: [i, null, true] }, far: Infinity };
  return [
    () => ioc.signalDbService.upsert(`S${i}`, "strategy_one", "binance", payload),
    () => ioc.scheduleDbService.upsert(`S${i}`, "strategy_one", "binance", payload),
    () => ioc.strategyDbService.upsert(`S${i}`, "strategy_one", "binance", payload),
    () => ioc.riskDbService.upsert(`risk ${i}`, "binance", [[`key ${i}`, payload]], when),
    () => ioc.partialDbService.upsert(`S${i}`, "strategy_one", "binance", `sig-${i}`, payload, when),
    () => ioc.breakevenDbService.upsert(`S${i}`, "strategy_one", "binance", `sig-${i}`, payload, when),
    () => ioc.storageDbService.upsert(i % 2 === 0, `sig-${i}`, payload),
    () => ioc.notificationDbService.upsert(i % 2 === 0, `note-${i}`, payload),
    () => ioc.logDbService.upsert(`entry-${i}`, payload),
    () => ioc.measureDbService.upsert("bucket", `key-${i}`, payload),
    () => ioc.intervalDbService.upsert("bucket", `key-${i}`, payload, when),
    () => ioc.memoryDbService.upsert(`sig-${i}`, "bucket", "memory", payload, when),
    () => ioc.recentDbService.upsert(`S${i}`, "strategy_one", "binance", "jan", i % 2 === 0, payload, when),
    () => ioc.stateDbService.upsert(`sig-${i}`, "bucket", payload, when),
    () => ioc.dictionaryDbService.upsert(`sig-${i}`, "words", payload, when),
    () => ioc.sessionDbService.upsert("strategy_one", "binance", `frame-${i}`, payload, when),
  ];
};

/** Puts so many candles, rows (over all sixteen other collections) and keys into what a copy of the package has open. */
async function fill({ ioc, BaseMap }, { candles, rows, keys = 20 }) {
  for (let from = 0; from < candles; from += 10_000) {
    await ioc.candleDbService.createMany(Array.from({ length: Math.min(10_000, candles - from) }, (_, i) => candle(from + i)));
  }
  const calls = [];
  for (let i = 0; calls.length < rows; i++) calls.push(...rowsOf(ioc, i).slice(0, rows - calls.length));
  for (let from = 0; from < calls.length; from += AT_ONCE) await Promise.all(calls.slice(from, from + AT_ONCE).map((call) => call()));
  const map = new BaseMap("prices", -1);
  for (let i = 0; i < keys; i++) await map.set(`key ${i}`, `value ${i}`);
}

module.exports = { SINCE, MINUTE, candle, cli, fill };

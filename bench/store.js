"use strict";

// The embedded store: its calls beside other stores, then its candles and the kit on it. Each has a report of its own.

const { foreignWork, machineFacts } = require("./facts.js");
const { writePlain } = require("./report/plain.js");
const calls = require("./store-calls.js");
const candles = require("./store-candles.js");

/** One part: what it measured, and how the machine was meanwhile. */
async function measured(title, { options, progress }, measure, linesOf) {
  const before = await foreignWork();
  const found = await measure({ options, progress });
  const machine = { ...(await machineFacts()), foreignWork: Math.max(before, await foreignWork()) };
  progress.end();
  const lines = linesOf(found);
  console.log(`\n${title}\n`);
  for (const line of lines) console.log(line);
  return { lines, result: { date: new Date().toISOString().slice(0, 10), kind: options.quick || options.rounds ? "partial" : "full", machine, ...found } };
}

async function benchStore(run) {
  return {
    calls: await measured("Calls of the embedded store", run, async (given) => ({ calls: await calls.benchStoreCalls(given) }), (found) => calls.linesOf(found.calls)),
    candles: await measured("Candles in the embedded store", run, candles.benchStoreCandles, candles.linesOf),
  };
}

/** Files beside those of the others. */
function writeStore({ calls, candles }, toJson) {
  writePlain({ name: "store", title: "The embedded store", ...calls, toJson });
  writePlain({ name: "store-candles", title: "Candles in the embedded store", ...candles, toJson });
}

module.exports = { benchStore, writeStore };

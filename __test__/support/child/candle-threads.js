"use strict";

// Two worker threads and the main thread: each has a cache of its own, and sees what another one stores.

const path = require("node:path");
const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");

const lib = require(process.env.BKN_ROOT);
const { readWindow, writeWindow } = require(path.join(process.env.BKN_ROOT, "js", "candles", "store.js"));
const { CONTEXT, MINUTE, START, plains } = require("../candles.js");

const read = (slot, limit) => readWindow(...CONTEXT, START + slot * MINUTE, limit);
const message = (port) => new Promise((resolve) => port.once("message", resolve));

async function becomes(slot, limit) {
  for (;;) {
    const window = await read(slot, limit);
    if (window !== null) return window.length;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function work() {
  const from = workerData * 100;
  const before = await read(0, 5);
  await writeWindow(...CONTEXT, plains(from, from + 50));
  parentPort.postMessage({ before, own: (await read(from, 50))?.length ?? null });
  await message(parentPort);
  // What the other thread and the main thread have stored.
  const seen = [await becomes(0, 50), await becomes(100, 50), await becomes(200, 50)];
  parentPort.postMessage({ seen, stats: lib.stats().candleCache });
  parentPort.close();
  await lib.close();
}

async function main() {
  await read(0, 5);
  const workers = [1, 2].map((number) => new Worker(__filename, { workerData: number }));
  const all = (action) => Promise.all(workers.map(action));
  const first = await all(message);
  await writeWindow(...CONTEXT, plains(0, 50));
  const answers = all(message);
  for (const worker of workers) worker.postMessage("go on");
  const seen = [await becomes(100, 50), await becomes(200, 50)];
  console.log(JSON.stringify({ first, threads: await answers, seen }));
  await lib.close();
}

if (isMainThread) main();
else work();

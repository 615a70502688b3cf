"use strict";

// Three worker threads and the main thread on one key. Each asks for it twice, then until it has another's write.

const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");

const lib = require(process.env.BKN_ROOT);
const service = lib.ioc.signalCacheService;
const row = (id) => ({ symbol: "B", strategyName: "s", exchangeName: "x", id });
const get = () => service.getSignalId("B", "s", "x");

async function known() {
  const id = await get();
  const { hits, misses } = lib.stats().nearCache;
  return { id, hits, misses };
}

async function becomes(expected) {
  while ((await get()) !== expected) await new Promise((resolve) => setImmediate(resolve));
}

const message = (port) => new Promise((resolve) => port.once("message", resolve));

async function work() {
  await lib.ioc.redisService.waitForInit();
  const report = { first: await known(), second: await known() };
  parentPort.postMessage(report);
  await becomes("2");
  report.changed = { invalidations: lib.stats().nearCache.invalidations };
  parentPort.postMessage(report);
  await message(parentPort);
  if (workerData === 2) await service.setSignalId(row("of thread 2"));
  await becomes("of thread 2");
  parentPort.postMessage("done");
  parentPort.close();
}

async function main() {
  await service.setSignalId(row("1"));
  const workers = [0, 1, 2].map((workerData) => new Worker(__filename, { workerData }));
  const all = (action) => Promise.all(workers.map(action));
  await all(message);
  console.log(JSON.stringify({ ready: true }));
  await new Promise((resolve) => process.stdin.once("data", resolve));
  process.stdin.destroy();
  const changed = all(message);
  await service.setSignalId(row("2"));
  const { hits } = lib.stats().nearCache;
  await get();
  const afterOwn = { hits: lib.stats().nearCache.hits - hits };
  const threads = await changed;
  const done = all(message);
  for (const worker of workers) worker.postMessage("go on");
  await becomes("of thread 2");
  await done;
  console.log(JSON.stringify({ threads, main: { afterOwn, afterTheirs: await get() } }));
}

if (isMainThread) main();
else work();

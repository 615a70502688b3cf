"use strict";

// Rounds of twenty worker threads, terminated in the middle of loading, connecting and calls, while the main thread's own
// calls are watched. Its argument is the number of rounds. Run with --expose-gc.

const fs = require("node:fs");
const { Worker, isMainThread, workerData } = require("node:worker_threads");

const lib = require(process.env.BKN_ROOT);
const map = new lib.BaseMap("rounds", -1);
const ids = lib.ioc.signalCacheService;

const SIZE = 20;
const row = (name, id) => ({ symbol: name, strategyName: "s", exchangeName: "x", id });

async function work() {
  for (let i = 0; ; i++) {
    await Promise.all(Array.from({ length: 50 }, (_, j) => map.set(`w${workerData}-${j}`, "v".repeat(j * 20))));
    await ids.setSignalId(row(`w${workerData}`, `id-${i}`));
    for (let j = 0; j < 100; j++) await ids.getSignalId(`w${workerData}`, "s", "x");
    for await (const key of map.keys()) if (!key) break;
  }
}

function measure() {
  for (let i = 0; i < 4; i++) global.gc();
  const { heapUsed, rss } = process.memoryUsage();
  const descriptors = process.platform === "linux" ? fs.readdirSync("/proc/self/fd").length : 0;
  return { heapUsed, rss, descriptors };
}

async function main() {
  const rounds = Number(process.argv[2]);
  const wrong = [];
  let [over, calls, before] = [false, 0, null];
  const watch = (async () => {
    for (let i = 0; !over; i++) {
      const id = `id-${i}`;
      const stored = await ids.setSignalId(row("main", id));
      const [text, known, value] = await Promise.all([
        map.set("main", `v${i}`).then(() => map.get("main")),
        ids.hasSignalId("main", "s", "x"),
        ids.getSignalId("main", "s", "x"),
      ]);
      if (text !== `v${i}` || known !== true || value !== id || stored !== id) wrong.push([i, text, known, value, stored]);
      calls += 5;
      await new Promise(setImmediate);
    }
  })();
  for (let round = 0; round < rounds; round++) {
    const workers = Array.from({ length: SIZE }, (_, i) => new Worker(__filename, { workerData: i }));
    const errors = workers.map((worker) => new Promise((resolve) => worker.once("error", resolve)));
    // At another moment in each round, the first before anything is loaded.
    await new Promise((resolve) => setTimeout(resolve, (round * 37) % 300));
    const failed = Promise.race([...errors, Promise.all(workers.map((worker) => worker.terminate())).then(() => null)]);
    const error = await failed;
    if (error !== null) throw error;
    // The first rounds warm up what grows once: arenas, code.
    if (round === Math.floor(rounds / 3)) before = measure();
  }
  over = true;
  await watch;
  console.log(JSON.stringify({ wrong, calls, before, after: measure() }));
}

if (isMainThread) main();
else work();

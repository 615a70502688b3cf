"use strict";

// Twenty worker threads at work. Waits for a line on its input when all have answers, then goes on as told: terminates
// them in the middle of calls, or lets them end by themselves.

const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");

const lib = require(process.env.BKN_ROOT);
const map = new lib.BaseMap("workers", -1);

if (isMainThread) main();
else work();

async function work() {
  const name = workerData.name;
  let stop = false;
  parentPort.once("message", () => (stop = true));
  for (let i = 0; !stop; i++) {
    await Promise.all(Array.from({ length: 50 }, (_, j) => map.set(`${name}:${j}`, `${name} ${i}`)));
    const values = await Promise.all(Array.from({ length: 50 }, (_, j) => map.get(`${name}:${j}`)));
    if (values.some((value) => value !== `${name} ${i}`)) throw new Error(`${name} read ${values}`);
    if (i === 0) parentPort.postMessage("ready");
  }
  parentPort.close();
}

async function main() {
  await map.set("main", "v");
  const workers = Array.from({ length: 20 }, (_, i) => new Worker(__filename, { workerData: { name: `w${i}` } }));
  const end = (worker) => new Promise((resolve, reject) => worker.once("exit", resolve).once("error", reject));
  const ends = workers.map(end);
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once("message", resolve))));
  console.log(JSON.stringify({ ready: true }));
  await new Promise((resolve) => process.stdin.once("data", resolve));
  process.stdin.destroy();
  if (process.argv[2] === "terminate") await Promise.all(workers.map((worker) => worker.terminate()));
  else workers.forEach((worker) => worker.postMessage("stop"));
  const codes = await Promise.all(ends);
  const value = await map.get("main");
  console.log(JSON.stringify({ codes, value }));
}

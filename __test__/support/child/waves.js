"use strict";

// Worker threads that are made and terminated in the middle of calls, wave after wave; then the process ends by itself.

const { Worker, isMainThread } = require("node:worker_threads");

const lib = require(process.env.BKN_ROOT);
const map = new lib.BaseMap("waves", -1);

async function wave(size, delay) {
  const workers = Array.from({ length: size }, () => new Worker(__filename));
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once("online", resolve))));
  // Different waves are hit at different moments: while loading, connecting, in flight.
  await new Promise((resolve) => setTimeout(resolve, delay));
  await Promise.all(workers.map((worker) => worker.terminate()));
}

if (isMainThread) {
  (async () => {
    for (let i = 0; i < 10; i++) {
      await wave(6, i * 8);
      if ((await map.get("k")) !== null) throw new Error("wrong answer");
    }
    console.log(JSON.stringify({ done: true }));
  })();
} else {
  (async () => {
    for (;;) {
      await Promise.all(Array.from({ length: 100 }, (_, i) => map.set(`k${i % 7}x`, "v".repeat(i))));
      for await (const key of map.keys()) if (!key) break;
    }
  })();
}

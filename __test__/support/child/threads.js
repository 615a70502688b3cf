"use strict";

// Worker threads that end in a way of their own (the first argument), in the middle of calls; the main thread says how each
// ended, and what its own calls answer afterwards.

const { Worker, isMainThread, parentPort, workerData } = require("node:worker_threads");

const load = () => require(process.env.BKN_ROOT);

/** Calls that are under way when the end comes. */
function flood(lib) {
  const map = new lib.BaseMap("threads", -1);
  return Array.from({ length: 300 }, (_, i) => map.set(`k${i}`, "v").then(() => map.get(`k${i}`)).catch(() => {}));
}

/** What a worker does; `lib` is loaded. */
const endings = {
  "process.exit": async (lib) => {
    await flood(lib)[0];
    process.exit(5);
  },
  "an uncaught error": async (lib) => {
    await flood(lib)[0];
    setImmediate(() => {
      throw new Error("uncaught");
    });
  },
  "an error in a callback of a reply": async (lib) => {
    const [first] = flood(lib);
    await first;
    throw new Error("rejected");
  },
  "its heap's limit": async (lib) => {
    const map = new lib.BaseMap("threads", -1);
    const kept = [];
    for (;;) {
      await Promise.all(Array.from({ length: 20 }, (_, i) => map.set(`heap${i}`, "v")));
      for (let i = 0; i < 1000; i++) kept.push({ i, list: [i, {}, String(i)] });
    }
  },
  "a wait that never ends": async (lib) => {
    flood(lib);
    parentPort.postMessage({ waits: true });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
  "a loop over hits": async (lib) => {
    const row = { symbol: "S", strategyName: "s", exchangeName: "x", id: "1" };
    await lib.ioc.signalCacheService.setSignalId(row);
    parentPort.postMessage({ waits: true });
    for (;;) await lib.ioc.signalCacheService.getSignalId("S", "s", "x");
  },
  "a worker of its own": async (lib) => {
    flood(lib);
    const inner = new Worker(__filename, { workerData: "a loop over hits" });
    inner.once("message", () => parentPort.postMessage({ waits: true }));
  },
  "close and nothing more": async (lib) => {
    await Promise.all(flood(lib));
    await lib.close();
  },
};

const OPTIONS = {
  "its heap's limit": { resourceLimits: { maxOldGenerationSizeMb: 24, maxYoungGenerationSizeMb: 4 } },
};

function run(ending) {
  const worker = new Worker(__filename, { workerData: ending, ...OPTIONS[ending] });
  const result = { message: null, error: null };
  worker.on("message", (message) => {
    result.message = message;
    if (message.waits) worker.terminate();
  });
  worker.on("error", (error) => (result.error = error.code ?? error.message));
  return new Promise((resolve) => worker.once("exit", (code) => resolve({ ...result, code })));
}

async function main() {
  const [ending, when] = process.argv.slice(2);
  // Where only workers load the addon, Node unloads its library with the last of them.
  const early = when === "main loads first" ? load() : null;
  const ends = [];
  for (let round = 0; round < 3; round++) ends.push(...(await Promise.all(Array.from({ length: 3 }, () => run(ending)))));
  const map = new (early ?? load()).BaseMap("threads-main", -1);
  await map.set("main", "v");
  console.log(JSON.stringify({ ends, value: await map.get("main") }));
}

if (isMainThread) main();
else endings[workerData](load());

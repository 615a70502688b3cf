"use strict";

// Copies of the package that are used, closed and used again, and then forgotten, as jest does it. A copy that is held
// after its last call is never collected; one that is not held while a call waits loses the call. Run with --expose-gc.

const fs = require("node:fs");

const COPIES = 20;
const LIMIT_MS = 10_000;

const print = (value) => fs.writeSync(1, `${JSON.stringify(value)}\n`);
let last = Date.now();
process.on("exit", () => print({ tookMs: Date.now() - last }));

// Node itself keeps the first copy, as the parent of the binary's module. It does not count.
require(process.env.BKN_ROOT);

let collected = 0;
const registry = new FinalizationRegistry(() => collected++);

function copy() {
  for (const file of Object.keys(require.cache)) {
    if (!file.endsWith(".node") && file !== __filename) delete require.cache[file];
  }
  module.children.length = 0;
  const lib = require(process.env.BKN_ROOT);
  registry.register(lib.ioc.loggerService);
  return lib;
}

/** What is done with a copy. The calls follow each other without a turn of the loop in between where that is possible. */
const uses = {
  "close, again and again": async (lib) => {
    const map = new lib.BaseMap("holds", -1);
    for (let i = 0; i < 5; i++) {
      await map.set("k", "v");
      await lib.close();
    }
  },
  "a call after close": async (lib) => {
    const map = new lib.BaseMap("holds", -1);
    for (let i = 0; i < 5; i++) {
      await map.set("k", "v");
      await lib.close();
      await map.get("k");
    }
  },
  "a call while it closes": async (lib) => {
    const map = new lib.BaseMap("holds", -1);
    for (let i = 0; i < 5; i++) {
      const closing = Promise.all([map.set("k", "v"), lib.close()]);
      await map.get("k");
      await closing;
    }
  },
  "a close that gives up": async (lib) => {
    const map = new lib.BaseMap("holds", -1);
    lib.setConfig({ CC_REDIS_URL: "unix:/nowhere/redis.sock" });
    for (let i = 0; i < 5; i++) {
      const call = map.get("k").catch((error) => error.code);
      await new Promise((resolve) => setTimeout(resolve, 30));
      await lib.close();
      if ((await call) !== "CLOSED") throw new Error("not closed");
    }
  },
  "nothing but calls": async (lib) => {
    for (let i = 0; i < 5; i++) await new lib.BaseMap("holds", -1).get("k");
  },
};

/** Collects garbage until that is so, or for long enough. */
async function collecting(check) {
  const end = Date.now() + LIMIT_MS;
  while (!check() && Date.now() < end) {
    global.gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function forgotten(use) {
  for (let i = 0; i < COPIES; i++) await use(copy());
  // The last one is still in the cache of modules.
  copy();
  await collecting(() => collected >= COPIES);
  print({ left: COPIES - collected });
  // The server is asked about their connections while this process still lives.
  await new Promise((resolve) => process.stdin.once("data", resolve));
  process.stdin.destroy();
}

/** A call of a copy that nobody can reach any more, while the server (paused by the test) does not answer. */
async function waiting(when) {
  const begin = async () => {
    const lib = copy();
    await new lib.BaseMap("holds", -1).set("k", "v");
    await lib.close();
    await new lib.BaseMap("holds", -1).set("k", "v");
    print({ ready: true });
    await new Promise((resolve) => process.stdin.once("data", resolve));
    process.stdin.destroy();
    return { call: new lib.BaseMap("holds", -1).get("k") };
  };
  const { call } = await begin();
  if (when === "a turn later") await new Promise(setImmediate);
  copy();
  for (let i = 0; i < 20; i++) {
    global.gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  print({ collecting: true });
  print({ value: await call });
}

const use = uses[process.argv[2]];
(use === undefined ? waiting(process.argv[2]) : forgotten(use)).then(() => (last = Date.now()));

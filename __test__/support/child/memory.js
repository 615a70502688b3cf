"use strict";

// Makes many calls and prints how memory and descriptors stand before and after. Run with --expose-gc.

const fs = require("node:fs");

const lib = require(process.env.BKN_ROOT);
const map = new lib.BaseMap("memory", -1);

const work = {
  async gets(count) {
    for (let i = 0; i < count; i += 100) await Promise.all(Array.from({ length: 100 }, (_, j) => map.get(`k${j}`)));
  },
  async sets(count) {
    for (let i = 0; i < count; i += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, j) => map.set(`k${j}`, `value ${i}`)));
    }
  },
  async failures(count) {
    const failing = () => [map.get("hash"), map.set("", "v"), map.set("k", Symbol("s"))];
    for (let i = 0; i < count; i += 300) await Promise.allSettled(Array.from({ length: 100 }, failing).flat());
  },
  async iterators(count) {
    for (let i = 0; i < count; i += 100) {
      for await (const key of map.keys()) if (key) break;
      await map.iterate().next();
      await map.size();
    }
  },
  // Like jest, which evaluates the package anew for each test file and forgets it.
  async copies(count) {
    for (let i = 0; i < count; i += 1000) {
      for (const file of Object.keys(require.cache)) {
        if (!file.endsWith(".node") && file !== __filename) delete require.cache[file];
      }
      module.children.length = 0;
      const copy = require(process.env.BKN_ROOT);
      await new copy.BaseMap("memory", -1).get("k1");
      if (i % 20_000 === 0) {
        global.gc();
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  },
  async maps(count) {
    let made = 0;
    const one = () => new lib.BaseMap(`memory-of-run-${process.hrtime.bigint()}-${made++}`, -1).get("k");
    for (let i = 0; i < count; i += 100) await Promise.all(Array.from({ length: 100 }, one));
  },
  async connections(count) {
    for (let i = 0; i < count; i += 1000) {
      await map.get("k1");
      await lib.close();
    }
  },
};

function measure() {
  for (let i = 0; i < 4; i++) global.gc();
  const { heapUsed, rss, external } = process.memoryUsage();
  const descriptors = process.platform === "linux" ? fs.readdirSync("/proc/self/fd").length : 0;
  return { heapUsed, rss, external, descriptors };
}

(async () => {
  const count = Number(process.argv[3]);
  const run = work[process.argv[2]];
  await map.set("k1", "v");
  await run(count / 3);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const before = measure();
  await run(count);
  await new Promise((resolve) => setTimeout(resolve, 20));
  console.log(JSON.stringify({ before, after: measure() }));
})();

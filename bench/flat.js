"use strict";

// node bench/flat.js: ten million gets on one instance. The memory of the process is printed after every million and
// must stay flat: a reference kept per call, of even 16 bytes, would be 150 MiB at the end.
// Options: --millions 10, --peer ours (any of the bench's peers), --no-build.

const { spawnSync } = require("node:child_process");
const { ensureNodeModules, ensureRedisServer } = require("../scripts/lib/tools.js");
const { build } = require("../cli/cargo.js");
const { startRedis } = require("../__test__/support/redis.js");
const { PEERS } = require("./peers/index.js");
const { KEYS, VALUE } = require("./peers/data.js");
const { fillCalls } = require("./server.js");
const { median } = require("./stats.js");

const MILLION = 1_000_000;
const AT_ONCE = 100;
// Two bytes per call over ten million calls: less than any object that could be left behind.
const TOLERANCE = 2;
// Code and allocators settle in the first of them.
const SETTLING = 2;
// The engine enlarges its young generation in steps of several MiB whenever it sees fit, for any client, and that hides
// what we look for. So it has its usual largest size (16 MiB) from the start.
const ENGINE = ["--expose-gc", "--min-semi-space-size=16", "--max-semi-space-size=16"];

async function main() {
  const options = parse(process.argv.slice(2));
  if (!global.gc) {
    const again = spawnSync(process.execPath, [...ENGINE, __filename, ...process.argv.slice(2)], { stdio: "inherit" });
    process.exitCode = again.status === null ? 1 : again.status;
    return;
  }
  ensureRedisServer();
  ensureNodeModules();
  if (options.build && options.peer.id === "ours") build();
  const server = await startRedis();
  try {
    await fillCalls(server);
    Object.assign(process.env, server.env);
    const peer = await require(`./peers/${options.peer.file}`).open({ host: "127.0.0.1", port: server.port }, options.peer.with);
    process.exitCode = (await watch(peer.ops.get, options.millions)) ? 0 : 1;
    await peer.close();
  } finally {
    await server.stop();
  }
}

async function watch(get, millions) {
  const mebi = (bytes) => (bytes / 2 ** 20).toFixed(1).padStart(7);
  const seen = [];
  console.log("millions of gets    RSS MiB   heap MiB   gets/s");
  for (let million = 0; million <= millions; million++) {
    const start = performance.now();
    if (million > 0) await someGets(get, MILLION);
    const seconds = (performance.now() - start) / 1000;
    global.gc();
    const { rss, heapUsed } = process.memoryUsage();
    seen.push(rss);
    const rate = million > 0 ? Math.round(MILLION / seconds).toLocaleString("en") : "";
    console.log(`${String(million).padStart(16)}    ${mebi(rss)}    ${mebi(heapUsed)}   ${rate}`);
  }
  if (millions <= SETTLING + 2) return true;
  // Medians of both ends: a single figure may hold a page that the allocator has not given back yet.
  const settled = seen.slice(SETTLING);
  const part = Math.max(1, Math.floor(settled.length / 3));
  const growth = median(settled.slice(-part)) - median(settled.slice(0, part));
  const perCall = growth / ((settled.length - part) * MILLION);
  const flat = perCall < TOLERANCE;
  console.log(`${flat ? "flat" : "GROWS"}: ${mebi(growth).trim()} MiB between the first and the last third, ${perCall.toFixed(2)} bytes per call`);
  return flat;
}

async function someGets(get, count) {
  const batch = new Array(AT_ONCE);
  let key = 0;
  for (let made = 0; made < count; made += AT_ONCE) {
    for (let i = 0; i < AT_ONCE; i++) {
      batch[i] = get(key);
      key = key + 1 === KEYS ? 0 : key + 1;
    }
    const [first] = await Promise.all(batch);
    if (first !== VALUE) throw new Error("get does not give what was written");
  }
}

function parse(argv) {
  const options = { millions: 10, peer: PEERS[0], build: true };
  while (argv.length > 0) {
    const word = argv.shift();
    if (word === "--no-build") options.build = false;
    else if (word === "--millions" && Number(argv[0]) > 0) options.millions = Number(argv.shift());
    else if (word === "--peer" && PEERS.some((peer) => peer.id === argv[0])) {
      const id = argv.shift();
      options.peer = PEERS.find((peer) => peer.id === id);
    } else throw new Error("options: --millions N, --peer name, --no-build");
  }
  return options;
}

main().catch((error) => {
  console.error(`flat: ${error.message}`);
  process.exitCode = 1;
});

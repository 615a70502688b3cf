"use strict";

// npm run test:copy: a million candles and 100,000 rows from a store into servers and from there into another store, each way
// interrupted and resumed, and compared. Takes some minutes; __test__/copy.spec.js does the same with few.
//
//   node scripts/copy-load.js [candles] [rows]

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { cli, fill } = require("../__test__/support/copy.js");
const { startMongo } = require("../__test__/support/mongo.js");
const { startRedis } = require("../__test__/support/redis.js");

const seconds = (from) => (performance.now() - from) / 1_000;

/** A copy that is interrupted after so many milliseconds, and started again until it is through; what it took, and how often. */
async function copy(from, to, { env, cwd, after }) {
  const started = performance.now();
  for (let interrupted = 0; ; interrupted++) {
    let timer = null;
    const onText = (text, child) => {
      // Only the first is interrupted, and only once it is under way.
      if (interrupted === 0) timer ??= setTimeout(() => child.kill("SIGINT"), after);
    };
    const ended = await cli(["copy", "--from", from, "--to", to, "--json"], { env, cwd, onText });
    clearTimeout(timer);
    if (ended.told === null) throw new Error(ended.stderr);
    if (ended.told.state === "done") return { seconds: seconds(started), interrupted, told: ended.told };
    if (ended.told.state !== "interrupted" || interrupted > 0) throw new Error(`${ended.told.state}: ${ended.stderr}`);
  }
}

async function main([candles = "1000000", rows = "100000"]) {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), "bkn-copy-load-"));
  const [one, other] = ["one", "other"].map((name) => path.join(work, name));
  const [redis, mongo] = await Promise.all([startRedis(), startMongo()]);
  const env = { ...redis.env, ...mongo.env };
  try {
    const lib = require("../index.js");
    lib.setConfig({ CC_STORE_PATH: one, CC_CANDLE_CACHE_MAX_BYTES: 0 });
    let started = performance.now();
    await fill(lib, { candles: Number(candles), rows: Number(rows), keys: 1_000 });
    await lib.close();
    console.log(`filled a store: ${seconds(started).toFixed(1)} s, ${(fs.statSync(path.join(one, "store.sqlite")).size / 1024 / 1024).toFixed(0)} MiB`);
    let failed = 0;
    for (const [from, to, title] of [[one, "servers", "store to servers"], ["servers", other, "servers to store"], [one, path.join(work, "third"), "store to store"]]) {
      const copied = await copy(from, to, { env, cwd: work, after: 3_000 });
      console.log(`${title}: ${copied.seconds.toFixed(1)} s, interrupted ${copied.interrupted === 1 ? "once" : "never"}`);
      started = performance.now();
      const compared = await cli(["verify", "--from", from, "--to", to, "--ids", "--json"], { env, cwd: work });
      const same = compared.code === 0 && compared.told.state === "same";
      failed += same ? 0 : 1;
      console.log(`  verify --ids: ${compared.told?.state ?? compared.stderr}, ${seconds(started).toFixed(1)} s`);
      started = performance.now();
      const again = await cli(["copy", "--from", from, "--to", to, "--json"], { env, cwd: work });
      const sum = (fate) => Object.values(again.told.collections).reduce((all, found) => all + found[fate], 0);
      failed += again.code === 0 && sum("new") === 0 && sum("kept") === Number(candles) + Number(rows) ? 0 : 1;
      console.log(`  a second time: ${sum("new")} new, ${sum("kept")} that were there, ${seconds(started).toFixed(1)} s`);
    }
    return failed === 0 ? 0 : 1;
  } finally {
    await Promise.all([redis.stop(), mongo.stop()]);
    fs.rmSync(work, { recursive: true, force: true });
  }
}

main(process.argv.slice(2)).then((code) => (process.exitCode = code));

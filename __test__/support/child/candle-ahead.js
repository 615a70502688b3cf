"use strict";

// Reads forward in the second half of a block, so that the next one is fetched in the background, and leaves the end to Node.
// The parent has the connection swallow everything before the read that begins it.

const path = require("node:path");

const lib = require(process.env.BKN_ROOT);
const { readWindow } = require(path.join(process.env.BKN_ROOT, "js", "candles", "store.js"));
const { CONTEXT, MINUTE, START } = require("../candles.js");

const print = (value) => console.log(JSON.stringify(value));
const read = (slot) => readWindow(...CONTEXT, START + slot * MINUTE, 5);

async function main() {
  await read(600);
  print({ ready: true });
  await new Promise((resolve) => process.stdin.once("data", resolve));
  process.stdin.destroy();
  const window = await read(601);
  // The question leaves at the end of the tick.
  await new Promise((resolve) => setImmediate(resolve));
  print({ candles: window.length, readAheads: lib.stats().candleCache.readAheads, waiting: lib.stats().mongo.waiting });
}

main();

"use strict";

// A process that writes until it is killed. It says of each write that was acknowledged what it was, one line each, written before
// anything else is done; and of candles also when they are asked for, because what was not acknowledged is there whole or not at all.
//
// With BKN_KILLS_LIE=1 it says so before the write has begun, as a store would that acknowledges before it commits.

const fs = require("node:fs");
const path = require("node:path");
const { BaseMap, ioc } = require(path.resolve(__dirname, "..", ".."));

const [name] = process.argv.slice(2);
const START = 1_600_000_000_000 - (1_600_000_000_000 % 60_000);
const say = (...words) => fs.writeSync(1, `${words.join(" ")}\n`);
const lies = process.env.BKN_KILLS_LIE === "1";

/** Carries out a write, and says when it was acknowledged. */
function write(call, ...words) {
  if (lies) say(...words);
  return call().then(() => lies || say(...words));
}

/** Candles of one call. What stands in them is told by their place, so that it is the same whoever was first. */
const chunk = (symbol, from, count) =>
  Array.from({ length: count }, (_, i) => ({ symbol, interval: "1m", exchangeName: "e", timestamp: START + (from + i) * 60_000, open: from + i, high: 2, low: 1, close: 1.5, volume: 0 }));

function candles(symbol, from, count) {
  say("asked", symbol, from, count);
  return write(() => ioc.candleDbService.createMany(chunk(symbol, from, count)), "candles", symbol, from, count);
}

async function main() {
  const map = new BaseMap(`kill-${name}`, -1);
  let place = 0;
  for (let i = 0; ; i++) {
    const count = i % 7 === 0 ? 300 : 1 + (i % 5);
    const from = place;
    place += count;
    const writes = [
      () => write(() => map.set(`k${i}`, `v${i}`), "map", name, i),
      () => write(() => ioc.signalDbService.upsert(name, `s${i}`, "e", { n: i }), "row", name, i),
      () => write(() => ioc.logDbService.upsert(name, { n: i }), "last", name, i),
      () => candles(name, from, count),
      // All processes write these blocks at the same time, each other candles of them.
      () => write(() => ioc.candleDbService.createMany(chunk("shared", i * 5 + (Number(name.slice(1)) % 5), 1)), "candles", "shared", i * 5 + (Number(name.slice(1)) % 5), 1),
    ];
    if (i % 3 === 0) await Promise.all(writes.map((start) => start()));
    else for (const start of writes) await start();
  }
}

main().catch((error) => {
  fs.writeSync(2, `${error.stack}\n`);
  process.exit(3);
});

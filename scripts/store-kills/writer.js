"use strict";

// A process that writes until it is killed, and says of each write that was acknowledged what it was: one line each, written
// before anything else is done.

const fs = require("node:fs");
const path = require("node:path");
const { BaseMap, ioc } = require(path.resolve(__dirname, "..", ".."));

const [name] = process.argv.slice(2);
const START = 1_600_000_000_000 - (1_600_000_000_000 % 60_000);
const acknowledged = (...words) => fs.writeSync(1, `${words.join(" ")}\n`);

/** Candles of one call: the whole chunk is there, or none of it is acknowledged. */
const chunk = (from, count) =>
  Array.from({ length: count }, (_, i) => ({ symbol: name, interval: "1m", exchangeName: "e", timestamp: START + (from + i) * 60_000, open: from + i, high: 2, low: 1, close: 1.5, volume: 0 }));

async function main() {
  const map = new BaseMap(`kill-${name}`, -1);
  let candles = 0;
  for (let i = 0; ; i++) {
    const writes = [
      map.set(`k${i}`, `v${i}`).then(() => acknowledged("map", name, i)),
      ioc.signalDbService.upsert(name, `s${i}`, "e", { n: i }).then(() => acknowledged("row", name, i)),
      ioc.logDbService.upsert(`${name}`, { n: i }).then(() => acknowledged("last", name, i)),
    ];
    const count = i % 7 === 0 ? 300 : 1 + (i % 5);
    const from = candles;
    candles += count;
    writes.push(ioc.candleDbService.createMany(chunk(from, count)).then(() => acknowledged("candles", name, from, count)));
    if (i % 3 === 0) await Promise.all(writes);
    else for (const write of writes) await write;
  }
}

main().catch((error) => {
  fs.writeSync(2, `${error.stack}\n`);
  process.exit(3);
});

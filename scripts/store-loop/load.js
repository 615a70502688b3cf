"use strict";

// A process whose loop is watched while it uses an embedded store: writes and reads of every kind, some of each in a turn. It is told
// `begin` and `end`, a line each. Of what lies between, it prints as JSON how long the loop was held up at most, in milliseconds, what its
// thread did in the worst of those moments, how many calls were begun, and how many of those of reads were answered; then it waits
// for all of them, looks at what was written, and prints what is missing.

const path = require("node:path");
const { monitorEventLoopDelay } = require("node:perf_hooks");
const readline = require("node:readline");
const { setImmediate, setTimeout } = require("node:timers/promises");
const { Delays, timeCalls } = require("./delays.js");

const delays = new Delays();
timeCalls(require("../../js/binding.js"), delays);
const { BaseMap, close, ioc, stats } = require(path.resolve(__dirname, "..", ".."));

const START = 1_600_000_000_000 - (1_600_000_000_000 % 60_000);
const MINUTE = 60_000;
/** Bytes of some values: with them the log grows to where it is written back. */
const LARGE = 48 * 1024;
/** Writes that wait at the most. A lock that is held by others lets none through. */
const MOST = 4_000;
/** So many of the longest delays are told. */
const WORST = 3;

const map = new BaseMap("loop", -1);
const candle = (i) => ({ timestamp: START + i * MINUTE, open: i, high: i + 1, low: i, close: i + 0.5, volume: 1 });
const pad = (i) => `${i}`.padStart(LARGE, ".");

async function main(lines) {
  // All code has run once, and is compiled.
  for (let i = 0; i < 300; i++) await Promise.all(turn(-1 - i).flat());
  console.log("ready");
  await lines.next();
  const delay = monitorEventLoopDelay({ resolution: 1 });
  let over = false;
  lines.next().then(() => (over = true));
  const told = { turns: 0, reads: 0, answered: 0, writes: 0 };
  const pending = [];
  let waiting = 0;
  delay.enable();
  // A delay is one between two of its ticks, so the first must be over before anything happens.
  await setTimeout(20);
  delay.reset();
  delays.begin();
  const before = stats().store;
  while (!over) {
    if (waiting < MOST) {
      const [writes, reads] = turn(told.turns++);
      waiting += writes.length;
      told.writes += writes.length;
      for (const write of writes) pending.push(write.then(() => waiting--));
      for (const read of reads) {
        told.reads++;
        pending.push(read.then(() => over || told.answered++));
      }
    }
    // The loop turns, and has a moment to itself.
    await setTimeout(1);
  }
  // A hold-up that is still under way counts.
  await setImmediate();
  await setTimeout(20);
  delay.disable();
  const late = delays.end();
  const ownMs = Math.max(0, ...late.map((one) => one.ownMs));
  console.log(JSON.stringify({ ...told, worst: late.slice(0, WORST), ownMs, mostMs: delay.max / 1e6, p999Ms: delay.percentile(99.9) / 1e6, store: since(before, stats().store) }));
  await Promise.all(pending);
  console.log(JSON.stringify({ missing: await missingOf(told.turns) }));
  await close();
  process.exit(0);
}

/** What was counted meanwhile; how many calls wait, and how large the log is, is as it is. */
const since = (before, now) => Object.fromEntries(Object.entries(now).map(([name, count]) => [name, ["waiting", "logBytes"].includes(name) ? count : count - before[name]]));

/** The calls of one turn: writes, and reads. Those of a tick go their way together, so large ones come now and then. */
function turn(i) {
  const writes = [
    map.set(`k${i}`, `v${i}`),
    map.set(`large${i % 8}`, pad(i)),
    ioc.logDbService.upsert(`e${i}`, { i }),
    ioc.candleDbService.create({ symbol: "S", interval: "1m", exchangeName: "e", ...candle(i + 1_000) }),
  ];
  const reads = i % 2 === 0 ? [] : [map.get("k-1"), map.has("none"), ioc.logDbService.findByEntryId("e-1"), ioc.candleDbService.findPresent("S", "1m", "e", START + 700 * MINUTE, 50)];
  return [writes, reads];
}

async function missingOf(turns) {
  const missing = [];
  for (let i = 0; i < turns; i++) {
    if ((await map.get(`k${i}`)) !== `v${i}`) missing.push(`k${i}`);
    if ((await ioc.logDbService.findByEntryId(`e${i}`))?.payload.i !== i) missing.push(`e${i}`);
  }
  const candles = await ioc.candleDbService.findPresent("S", "1m", "e", START + 1_000 * MINUTE, turns);
  if (candles.open.length !== turns) missing.push(`candles: ${candles.open.length} of ${turns}`);
  return missing;
}

const input = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
main(input).catch((error) => {
  console.error(error);
  process.exit(3);
});

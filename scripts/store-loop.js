"use strict";

// npm run store:loop [seconds]: how long an embedded store holds up the loop of a process that writes and reads all the time, while
// each sync takes 500 ms longer, and while another process holds the lock. On a machine with nothing else to do; where others are at
// work, or V8 collects, that is told apart, and does not count.

const { described } = require("./store-loop/delays.js");
const { hindrance, measure } = require("./store-loop/run.js");

/** What a store may hold the loop up for, in milliseconds. */
const MOST_MS = 20;

async function main(seconds) {
  const why = hindrance();
  if (why !== null) throw new Error(`it cannot be measured here: ${why}`);
  const [all, own] = [[], []];
  let missed = 0;
  for (const how of ["quiet", "stalled", "locked"]) {
    const { mostMs, p999Ms, ownMs, writes, reads, answered, store, worst, missing } = await measure(how, seconds * 1_000);
    console.log(
      `${how.padEnd(8)} at most ${mostMs.toFixed(1)} ms, p99.9 ${p999Ms.toFixed(1)} ms, its own ${ownMs.toFixed(1)} ms; ${writes} writes, ${answered} of ${reads} reads answered meanwhile; ` +
        `${store.commits} commits, ${store.syncs} syncs, ${store.checkpoints} checkpoints; ${missing.length} missing`,
    );
    for (const delay of worst) console.log(`           ${described(delay)}`);
    all.push(mostMs);
    own.push(ownMs);
    missed += missing.length;
  }
  const most = Math.max(...own);
  console.log(`the loop was late by ${Math.max(...all).toFixed(1)} ms at most; without waiting for a processor and V8's collections by ${most.toFixed(1)} ms, at most ${MOST_MS}`);
  if (missed > 0) console.log(`${missed} writes are missing`);
  return most <= MOST_MS && missed === 0 ? 0 : 1;
}

main(Number(process.argv[2] ?? 30)).then(
  (code) => process.exit(code),
  (error) => {
    console.error(error.message);
    process.exit(1);
  },
);

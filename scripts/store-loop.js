"use strict";

// npm run store:loop [seconds]: how long an embedded store holds up the loop of a process that writes and reads all the time, while
// each sync takes 500 ms longer, and while another process holds the lock. On a machine with nothing else to do.

const { described } = require("./store-loop/delays.js");
const { hindrance, measure } = require("./store-loop/run.js");

/** What a store may hold the loop up for, in milliseconds. */
const MOST_MS = 20;

async function main(seconds) {
  const why = hindrance();
  if (why !== null) throw new Error(`it cannot be measured here: ${why}`);
  let held = 0;
  let floor = 0;
  for (const how of ["quiet", "stalled", "locked"]) {
    const told = await measure(how, seconds * 1_000);
    const { mostMs, p999Ms, writes, reads, answered, store, worst, missing } = told;
    console.log(
      `${how.padEnd(8)} at most ${mostMs.toFixed(1)} ms, p99.9 ${p999Ms.toFixed(1)} ms; ${writes} writes, ${answered} of ${reads} reads answered meanwhile; ` +
        `${store.commits} commits, ${store.syncs} syncs, ${store.checkpoints} checkpoints; ${missing.length} missing`,
    );
    for (const delay of worst) console.log(`           ${described(delay)}`);
    // What the machine itself does to a loop shows where nothing disturbs the store.
    if (how === "quiet") floor = mostMs;
    if (mostMs > Math.max(MOST_MS, floor) || missing.length > 0) held++;
  }
  console.log(held === 0 ? `the loop was never held up for more than ${Math.max(MOST_MS, floor).toFixed(1)} ms` : "the loop was held up for too long, or something is missing");
  return held === 0 ? 0 : 1;
}

main(Number(process.argv[2] ?? 30)).then(
  (code) => process.exit(code),
  (error) => {
    console.error(error.message);
    process.exit(1);
  },
);

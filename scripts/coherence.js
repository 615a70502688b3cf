"use strict";
// npm run coherence: four processes on the same keys for a minute while the server is killed, flushed, paused, stopped and
// restarted, and while the processes are cut off and killed. `--seconds N` for another time, `--seed N` for the order of
// another run. Ends with 1 where anything was wrong.

const { coherence } = require("./coherence/run.js");

/** The number after an option. */
function option(name, otherwise) {
  const at = process.argv.indexOf(`--${name}`);
  if (at < 0) return otherwise;
  const value = Number(process.argv[at + 1]);
  if (value >= 1) return value;
  console.error(`--${name} takes a number from 1 on`);
  process.exit(1);
}

coherence({ seconds: option("seconds", 60), seed: option("seed", undefined), onLine: (line) => console.log(line) }).then(
  ({ problems, reads, writes, hits, skippedWrites, told, oldest, judged, expiries, errors, done, seed }) => {
    console.log(`\n${reads} reads (${Math.round((hits / reads) * 100)} % from memory), ${writes} writes and ${skippedWrites} left out`);
    console.log(`disturbances: ${Object.entries(done).map(([name, count]) => `${count} × ${name}`).join(", ")}`);
    console.log(`rejections: ${Object.entries(errors).map(([code, count]) => `${count} × ${code}`).join(", ") || "none"}`);
    console.log(`judged: ${judged} answers, after ${told} words from another process and ${expiries} expiries among others`);
    console.log(`the oldest value that was served had been replaced ${oldest.toFixed(0)} ms before; the lease is 2000 ms`);
    for (const problem of problems.slice(0, 20)) console.log(`WRONG: ${problem}`);
    const verdict = `${problems.length} problems (seed ${seed})`;
    console.log(problems.length === 0 ? "no value was wrong, and after quiet every process agreed with Redis, from memory" : verdict);
    process.exitCode = problems.length === 0 ? 0 : 1;
  },
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);

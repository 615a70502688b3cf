"use strict";
// npm run coherence: four processes on the same keys for a minute while the server is killed, flushed, paused, stopped
// and restarted, and while the processes are cut off and killed. `--seconds N` for another time, `--seed N` for the
// order of another run. Ends with 1 where anything was wrong.

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

const counted = (counts) => Object.entries(counts).map(([name, count]) => `${count} × ${name}`).join(", ");

function show({ problems, reads, writes, hits, told, oldest, judged, expiries, errors, done, seed }) {
  const share = Math.round((hits / reads) * 100);
  console.log(`\n${reads} reads (${share} % from memory), ${writes} writes`);
  console.log(`disturbances: ${counted(done)}`);
  console.log(`rejections: ${counted(errors) || "none"}`);
  console.log(`judged: ${judged} answers, also after ${told} words of other processes and ${expiries} expiries`);
  console.log(`the oldest answer had been replaced ${oldest.toFixed(0)} ms before its read; the lease is 2000 ms`);
  for (const problem of problems.slice(0, 20)) console.log(`WRONG: ${problem}`);
  if (problems.length > 0) console.log(`${problems.length} problems (seed ${seed})`);
  else console.log("no value was wrong, and after quiet every process agreed with Redis, from memory");
  process.exitCode = problems.length > 0 ? 1 : 0;
}

const onLine = (line) => console.log(line);
coherence({ seconds: option("seconds", 60), seed: option("seed", undefined), onLine }).then(show, (error) => {
  console.error(error);
  process.exitCode = 1;
});

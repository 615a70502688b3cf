"use strict";
// npm run coherence: four processes on the same keys for a minute while the server is killed, flushed, paused, stopped and
// restarted. `--seconds N` for another time. Ends with 1 where anything was wrong.

const { coherence } = require("./coherence/run.js");

const at = process.argv.indexOf("--seconds");
const seconds = at > 0 ? Number(process.argv[at + 1]) : 60;
if (!(seconds >= 1)) {
  console.error("--seconds takes a number from 1 on");
  process.exit(1);
}

coherence({ seconds, onSecond: (line) => console.log(line) }).then(
  ({ problems, reads, writes, hits, oldest, done }) => {
    console.log(`\n${reads} reads (${Math.round((hits / reads) * 100)} % from memory), ${writes} writes`);
    console.log(`disturbances: ${Object.entries(done).map(([name, count]) => `${count} × ${name}`).join(", ")}`);
    console.log(`the oldest value that was served had been replaced ${oldest.toFixed(0)} ms before; the lease is 2000 ms`);
    for (const problem of problems.slice(0, 20)) console.log(`WRONG: ${problem}`);
    console.log(problems.length === 0 ? "no value was wrong, and after quiet every process agreed with Redis" : `${problems.length} problems`);
    process.exitCode = problems.length === 0 ? 0 : 1;
  },
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);

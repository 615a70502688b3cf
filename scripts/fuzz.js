"use strict";
// npm run fuzz: hostile calls among honest ones, for a minute; `--seconds N` for another time. `--seed S --cases 1` repeats
// the case that a finding names. Ends with 1 where anything was found.

const { fuzz } = require("./fuzz/run.js");

/** A number after a name, or the default. */
function option(name, fallback) {
  const at = process.argv.indexOf(`--${name}`);
  const value = at > 0 ? Number(process.argv[at + 1]) : fallback;
  if (!(value >= 0)) {
    console.error(`--${name} takes a number from 0 on`);
    process.exit(1);
  }
  return value;
}

const seed = option("seed", Math.floor(Math.random() * 2 ** 31));
const onProblem = (found) => console.log(`FOUND with --seed ${found.seed} --cases 1: ${found.problem}`);

console.log(`the first seed is ${seed}`);
fuzz({ seed, cases: option("cases", Infinity), seconds: option("seconds", 60), onProblem }).then(
  ({ done, problems }) => {
    console.log(`${done} cases, ${problems.length} problems`);
    process.exitCode = problems.length === 0 ? 0 : 1;
  },
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);

"use strict";

// Runs cases one after another, so that the process that watches this one sees which of them was its last.
// Arguments: the first seed, the number of cases, the seconds, the file that always holds the current seed.

const fs = require("node:fs");

const lib = require("../..");
const { Case } = require("./case.js");

const [first, count, seconds] = process.argv.slice(2, 5).map(Number);
const note = fs.openSync(process.argv[5], "w");
const tell = (message) => fs.writeSync(1, `${JSON.stringify(message)}\n`);

let seed = first;
for (const event of ["unhandledRejection", "uncaughtException", "warning"]) {
  process.on(event, (error) => tell({ seed, problem: `${event}: ${error?.stack ?? String(error)}` }));
}

(async () => {
  const end = Date.now() + seconds * 1000;
  for (; seed < first + count && Date.now() < end; seed++) {
    fs.writeSync(note, String(seed).padEnd(20), 0);
    for (const problem of await new Case(lib, seed).run()) tell({ seed, problem });
  }
  tell({ done: seed - first });
})();

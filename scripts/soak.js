"use strict";
// npm run soak: load through a proxy on a server of its own, while one fault follows the other. One line a second tells how
// it goes. Runs until Ctrl-C, or for `--seconds N`. `--calm`: no faults. Ends with 1 where an answer was wrong, a call
// was not settled by its deadline, or calls did not succeed again after a fault.

const { ensureRedisServer } = require("./lib/tools.js");
const { soak } = require("./soak/run.js");

const args = process.argv.slice(2);
const at = args.indexOf("--seconds");
const seconds = at >= 0 ? Number(args[at + 1]) : Infinity;
if (!(seconds >= 1)) {
  console.error("--seconds takes a number from 1 on");
  process.exit(1);
}

const stop = new AbortController();
// The second Ctrl-C ends at once.
process.once("SIGINT", () => stop.abort());
process.once("SIGTERM", () => stop.abort());

ensureRedisServer();
soak({ seconds, calm: args.includes("--calm"), signal: stop.signal, print: (line) => console.log(line) }).then(
  (problems) => (process.exitCode = problems.length === 0 ? 0 : 1),
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);

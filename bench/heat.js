"use strict";

// A hot machine: a busy loop at idle priority on every core that the bench uses. It yields to everybody, but the core
// never goes to sleep, so that nobody waits for one to wake up.

const { spawn } = require("node:child_process");
const os = require("node:os");
const { which } = require("../scripts/lib/tools.js");

// The loop ends with its parent, also when that is killed: its parent process id changes.
const LOOP = "const p = process.ppid; for (;;) { for (let i = 0; i < 3e8; i++); if (process.ppid !== p) process.exit(); }";

/** The words before a command that make it yield to everything else. */
function idlePriority() {
  if (which("chrt")) return ["chrt", "-i", "0"];
  if (which("nice")) return ["nice", "-n", "19"];
  return [];
}

/** Starts the loops, one per core of `cores` (null: as many as there are); resolves with a function that ends them. */
async function heat(cores) {
  const pins = cores ? [...cores.server, ...cores.clients].map((core) => ["taskset", "-c", String(core)]) : Array(os.availableParallelism()).fill([]);
  const loops = [];
  const stop = () => {
    for (const loop of loops) loop.kill("SIGKILL");
    process.removeListener("exit", stop);
  };
  process.on("exit", stop);
  for (const pin of pins) {
    const [command, ...args] = [...pin, ...idlePriority(), process.execPath, "-e", LOOP];
    loops.push(spawn(command, args, { stdio: "ignore" }));
  }
  await Promise.all(loops.map((loop) => new Promise((resolve, reject) => loop.once("spawn", resolve).once("error", reject))));
  // Node's own start takes some 50 ms of a core, at ordinary speed.
  await new Promise((resolve) => setTimeout(resolve, 300));
  return stop;
}

module.exports = { heat, idlePriority };

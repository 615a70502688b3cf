"use strict";

// Starts a program, shows its output line by line as it comes, and keeps the lines.

const { spawn } = require("node:child_process");
const path = require("node:path");
const readline = require("node:readline");
const { root } = require("./tools.js");
const { family, told, kill } = require("./hang.js");

/** So long a program may say nothing. The longest silence is that of the addon's linking on a slow machine. */
const SILENCE_MS = 8 * 60_000;
/** So long it may take to close its output after its end, where something that it has started still holds it. */
const CLOSE_MS = 10_000;
let runs = 0;

/**
 * The environment of the suites: the developer's own settings of the package would point tests at a real server.
 */
function cleanEnvironment() {
  const env = { ...process.env };
  for (const name of Object.keys(env)) if (name.startsWith("CC_")) delete env[name];
  return env;
}

/**
 * Runs a program with no input. `show(line)` decides what becomes of a line of its output: true prints it.
 * Resolves with `{ code, lines, ms }`; a program that cannot be started has the code -1.
 *
 * One that says nothing for `silence` milliseconds hangs: what it has started is shown and ended, so that it can go on and
 * say whose test that was; after as much silence again it is ended itself. Its code is never 0 then. What outlives it is shown
 * and ended too.
 */
async function run(command, args, { env = {}, show = () => true, cwd = root, silence = SILENCE_MS } = {}) {
  const started = Date.now();
  const mark = `${process.pid}.${++runs}`;
  const child = spawn(command, args, {
    cwd,
    env: { ...cleanEnvironment(), ...env, BKN_RUN: mark },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines = [];
  const say = (line) => {
    lines.push(line);
    console.log(`  ${line}`);
  };
  const end = (processes, why) => {
    say(why);
    for (const one of processes) for (const line of told(one)) say(line);
    kill(processes);
  };
  const relatives = () => (child.pid ? family(child.pid, `BKN_RUN=${mark}`) : []);
  let warned = false;
  const hangs = () => {
    const others = relatives().filter(({ pid }) => pid !== child.pid);
    const why = `${path.basename(command)} has said nothing for ${Math.round(silence / 1000)} s.`;
    if (others.length > 0 && !warned) end(others, `${why} What it has started is ended:`);
    else end(relatives(), `${why} It is ended:`);
    if (warned || others.length === 0) child.kill("SIGKILL");
    warned = true;
    quiet.refresh();
  };
  const quiet = setTimeout(hangs, silence);
  const keep = (line) => {
    quiet.refresh();
    lines.push(line);
    if (show(line)) console.log(`  ${line}`);
  };
  const streams = [child.stdout, child.stderr];
  const closed = new Promise((resolve) => {
    child.once("error", (error) => {
      say(`${command} cannot be started: ${error.message}`);
      resolve(-1);
    });
    child.once("exit", () => {
      const outlived = setTimeout(() => {
        end(relatives(), `${path.basename(command)} has ended, and this has not:`);
        for (const stream of streams) stream.destroy();
      }, CLOSE_MS);
      child.once("close", () => clearTimeout(outlived));
    });
    child.once("close", (code, signal) => {
      if (signal) say(`${command} was ended by ${signal}`);
      resolve(code === null || (code === 0 && warned) ? -1 : code);
    });
  });
  for (const stream of streams) readline.createInterface({ input: stream }).on("line", keep);
  const code = await closed;
  clearTimeout(quiet);
  return { code, lines, ms: Date.now() - started };
}

/** The path of a program that a development dependency brought along. */
const bin = (name) => path.join(root, "node_modules", ".bin", name);

module.exports = { run, bin };

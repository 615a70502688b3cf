"use strict";

// Starts a program, shows its output line by line as it comes, and keeps the lines.

const { spawn } = require("node:child_process");
const path = require("node:path");
const readline = require("node:readline");
const { root } = require("./tools.js");

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
 */
async function run(command, args, { env = {}, show = () => true, cwd = root } = {}) {
  const started = Date.now();
  const child = spawn(command, args, {
    cwd,
    env: { ...cleanEnvironment(), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines = [];
  const keep = (line) => {
    lines.push(line);
    if (show(line)) console.log(`  ${line}`);
  };
  const closed = new Promise((resolve) => {
    child.once("error", (error) => {
      keep(`${command} cannot be started: ${error.message}`);
      resolve(-1);
    });
    child.once("close", (code, signal) => {
      if (signal) keep(`${command} was ended by ${signal}`);
      resolve(code === null ? -1 : code);
    });
  });
  for (const stream of [child.stdout, child.stderr]) readline.createInterface({ input: stream }).on("line", keep);
  const code = await closed;
  return { code, lines, ms: Date.now() - started };
}

/** The path of a program that a development dependency brought along. */
const bin = (name) => path.join(root, "node_modules", ".bin", name);

module.exports = { run, bin };

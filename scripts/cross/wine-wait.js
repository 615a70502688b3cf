"use strict";

// Runs one program of the system below Wine to its end: `wine-wait.js <program> [words…]`, for those who wait for a process.

const fs = require("node:fs");
const { NativeChild } = require("./wine-node.js");

const [program, ...args] = process.argv.slice(2);
const child = new NativeChild(program, args);
child.stdin.end();
child.stdout.on("data", (bytes) => fs.writeSync(1, bytes));
child.stderr.on("data", (bytes) => fs.writeSync(2, bytes));
child.once("error", (error) => {
  console.error(error.message);
  process.exit(127);
});
child.once("close", (code) => process.exit(code ?? 1));

"use strict";

// Runs scripts of support/child/ as processes of their own: what a process does at its end cannot be seen from inside.

const { spawn } = require("node:child_process");
const path = require("node:path");
const { root } = require("./addon.js");

const LIMIT_MS = 60_000;

/**
 * Starts `support/child/<name>.js`. Resolves, when it has ended, with `{ code, signal, stdout, stderr, lines }`;
 * `lines` are the lines of its output that are JSON. `onLine(line, child)` gets each as it comes.
 */
function runChild(name, { env = {}, args = [], nodeArgs = [], onLine } = {}) {
  const script = path.join(__dirname, "child", `${name}.js`);
  const clean = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("CC_")));
  const child = spawn(process.execPath, [...nodeArgs, script, ...args], {
    env: { ...clean, ...env, BKN_ROOT: root },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const result = { code: null, signal: null, stdout: "", stderr: "", lines: [] };
  let rest = "";
  child.stdout.setEncoding("utf8");
  child.stderr.setEncoding("utf8");
  child.stdin.on("error", () => {});
  child.stderr.on("data", (text) => (result.stderr += text));
  child.stdout.on("data", (text) => {
    result.stdout += text;
    const lines = (rest + text).split("\n");
    rest = lines.pop();
    for (const line of lines.filter((one) => one.startsWith("{"))) {
      const value = JSON.parse(line);
      result.lines.push(value);
      if (onLine) onLine(value, child);
    }
  });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`${name} did not end within ${LIMIT_MS} ms\n${result.stdout}\n${result.stderr}`));
    }, LIMIT_MS);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve(Object.assign(result, { code, signal }));
    });
  });
}

module.exports = { runChild };

"use strict";

// The parent's side of the scripts in __test__/kit/: each run of the kit is a process of its own, in an empty directory,
// because the kit writes below the one it is started in.

const { fork } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const { ensureNodeModules, kitFolder } = require("../../scripts/lib/tools.js");

/**
 * Starts `__test__/kit/<script>.js`, or the script of a full path, with `options`; resolves with `{ result, code, signal, stdout, stderr }` when it has
 * ended. `onMessage(message, child)` gets what it says meanwhile. `dir`: its directory, which is kept.
 */
async function runKit(script, options, { env = {}, onMessage = () => {}, dir } = {}) {
  ensureNodeModules(kitFolder);
  const cwd = dir ?? fs.mkdtempSync(path.join(os.tmpdir(), "bkn-kit-"));
  const clean = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("CC_")));
  try {
    const child = fork(path.resolve(kitFolder, `${script}.js`), [], { cwd, env: { ...clean, ...env }, stdio: ["ignore", "pipe", "pipe", "ipc"], serialization: "advanced" });
    const ended = { result: null, stdout: "", stderr: "" };
    child.stdout.on("data", (text) => (ended.stdout += text));
    child.stderr.on("data", (text) => (ended.stderr += text));
    let failure = null;
    child.on("message", (message) => {
      if (message.result) ended.result = message.result;
      else if (message.error) failure = message.error;
      else onMessage(message, child);
    });
    child.send(options);
    return await new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (code, signal) => {
        if (failure) reject(new Error(`${script}: ${failure}`));
        else resolve(Object.assign(ended, { code, signal }));
      });
    });
  } finally {
    if (!dir) fs.rmSync(cwd, { recursive: true, force: true });
  }
}

module.exports = { runKit };

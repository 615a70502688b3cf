"use strict";

// Runs cases in a process of their own against a Redis of their own; a crash or a hang is a finding with its seed.

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const readline = require("node:readline");

const { startRedis } = require("../../__test__/support/redis.js");

/** A case takes some milliseconds; one that takes so long hangs. */
const HANG_MS = 60_000;

/** One process; resolves with the number of cases that it got through, and its problems. */
async function part({ seed, cases, seconds, env, onProblem }) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bkn-fuzz-"));
  const note = path.join(folder, "seed");
  const clean = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith("CC_") || key === "CC_NEAR_CACHE"));
  const args = ["--expose-gc", path.join(__dirname, "child.js"), seed, cases, seconds, note].map(String);
  const child = spawn(process.execPath, args, { env: { ...clean, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  // The child notes each seed before its case; without a note it died at its start.
  const current = () => (fs.existsSync(note) && Number(fs.readFileSync(note, "utf8"))) || seed;
  let [done, words, hung] = [null, "", false];
  readline.createInterface({ input: child.stdout }).on("line", (line) => {
    if (!line.startsWith("{")) return void (words += `${line}\n`);
    const message = JSON.parse(line);
    if ("done" in message) done = message.done;
    else onProblem(message);
  });
  child.stderr.setEncoding("utf8").on("data", (text) => (words = (words + text).slice(-20_000)));

  let [last, since] = [null, Date.now()];
  const watch = setInterval(() => {
    const now = current();
    if (now !== last) [last, since] = [now, Date.now()];
    else if (Date.now() - since > HANG_MS) hung = child.kill("SIGKILL");
  }, 500);
  const [code, signal] = await new Promise((resolve) => child.once("close", (...end) => resolve(end)));
  clearInterval(watch);
  const at = current();
  fs.rmSync(folder, { recursive: true, force: true });
  if (done !== null && code === 0) {
    if (words.trim() !== "") onProblem({ seed: at, problem: `words on stderr: ${words}` });
    return { done, crashed: false };
  }
  onProblem({ seed: at, problem: hung ? `it hung for ${HANG_MS} ms` : `the process ended with ${signal ?? code}:\n${words}` });
  return { done: at - seed + 1, crashed: true };
}

/**
 * Runs cases from `seed` on until there were `cases` or the time is over. After a crash it goes on with the next seed.
 * Resolves with `{ done, problems }`; a problem is `{ seed, problem }`.
 */
async function fuzz({ seed, cases = Infinity, seconds, onProblem = () => {} }) {
  const server = await startRedis();
  const problems = [];
  const end = Date.now() + seconds * 1000;
  const keep = (problem) => {
    problems.push(problem);
    onProblem(problem);
  };
  let done = 0;
  try {
    for (let crashes = 0; done < cases && Date.now() < end && crashes < 10; ) {
      const left = Math.max((end - Date.now()) / 1000, 0.1);
      const result = await part({ seed: seed + done, cases: cases - done, seconds: left, env: server.env, onProblem: keep });
      done += result.done;
      crashes += result.crashed ? 1 : 0;
    }
  } finally {
    await server.stop();
  }
  return { done, problems };
}

module.exports = { fuzz };

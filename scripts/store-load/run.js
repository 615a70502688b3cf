"use strict";

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { setTimeout } = require("node:timers/promises");

/** Processes that write at the same time. */
const WRITERS = 3;
/** How often the log is looked at, in milliseconds. */
const LOOK_MS = 10;

function startWriter(name, env) {
  const child = spawn(process.execPath, [path.join(__dirname, "writer.js"), name], { env, stdio: ["pipe", "pipe", "pipe"] });
  const out = { words: "", told: "" };
  child.stdout.on("data", (data) => (out.told += data));
  child.stderr.on("data", (data) => (out.words += data));
  const ended = new Promise((resolve, reject) => {
    child.on("close", (code) => (code === 0 ? resolve(JSON.parse(out.told)) : reject(new Error(`a writer ended with ${code}: ${out.words}`))));
  });
  // It is awaited at the end.
  ended.catch(() => {});
  return { child, ended };
}

/**
 * Three processes write to one store for so long, and at most a minute longer until the log has begun anew, with open iterators. `{ writes, bytes, pages, mostBytes, turns }`: what was
 * acknowledged, how large the log was at most, and how often it had become smaller.
 */
async function load(ms) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bkn-load-"));
  const log = path.join(folder, "store.sqlite-wal");
  const writers = [];
  try {
    const env = { ...process.env, CC_STORE_PATH: folder };
    for (let i = 0; i < WRITERS; i++) writers.push(startWriter(`w${i}`, env));
    const end = performance.now() + ms;
    let [mostBytes, turns, last] = [0, 0, 0];
    const look = () => {
      const size = fs.statSync(log, { throwIfNoEntry: false })?.size ?? 0;
      mostBytes = Math.max(mostBytes, size);
      turns += Number(size < last);
      last = size;
    };
    const goesOn = () => performance.now() < end + (turns > 0 ? 0 : 60_000);
    while (goesOn() && writers.every(({ child }) => child.exitCode === null)) {
      look();
      await setTimeout(LOOK_MS);
    }
    for (const { child } of writers) child.stdin.end();
    const told = await Promise.all(writers.map(({ ended }) => ended));
    const sum = (name) => told.reduce((all, one) => all + one[name], 0);
    return { writes: sum("writes"), bytes: sum("bytes"), pages: sum("pages"), mostBytes, turns };
  } finally {
    for (const { child } of writers) child.kill("SIGKILL");
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

module.exports = { load };

"use strict";

const { execFileSync, spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const readline = require("node:readline");
const { setTimeout } = require("node:timers/promises");
const { Delays, beside } = require("./delays.js");

/** Why it cannot be measured here, or null: syncs are slowed down, and SQLite's lock is held, by small programs in C for Linux. */
function hindrance() {
  if (process.platform !== "linux") return "not Linux";
  try {
    execFileSync("cc", ["--version"], { stdio: "ignore" });
    return null;
  } catch {
    return "no C compiler";
  }
}

/** A process with lines of input and output. */
function talk(command, args, options) {
  const child = spawn(command, args, { ...options, stdio: ["pipe", "pipe", "pipe"] });
  let words = "";
  child.stderr.on("data", (data) => (words += data));
  child.stdin.on("error", () => {});
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = new Promise((resolve) => child.on("close", resolve));
  return {
    child,
    ended,
    say: (line) => void child.stdin.write(`${line}\n`),
    async hear() {
      const { value, done } = await lines.next();
      if (done) throw new Error(`${path.basename(args[0] ?? command)} has ended: ${words}`);
      return value;
    },
  };
}

/**
 * How long the loop of a process is held up while it uses a store for so long, and meanwhile `how` is the case: `quiet`, `stalled`
 * (each sync takes `stallMs` longer) or `locked` (another process holds the lock until the end). `{ mostMs, p999Ms, turns, reads,
 * answered, writes, store, worst, ownMs, missing }`; see load.js. `worst` has beside each delay how late this process was meanwhile, which has
 * nothing to do; `ownMs` is the most for which neither the machine nor V8's collections account.
 */
async function measure(how, ms, stallMs = 500) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bkn-loop-"));
  const [store, stall, library, holder] = ["store", "stall", "stall.so", "hold"].map((name) => path.join(folder, name));
  const others = [];
  const idle = new Delays();
  try {
    execFileSync("cc", ["-shared", "-fPIC", "-O2", "-o", library, path.join(__dirname, "stall.c"), "-ldl"]);
    execFileSync("cc", ["-O2", "-o", holder, path.join(__dirname, "hold.c")]);
    const env = { ...process.env, CC_STORE_PATH: store, CC_STORE_TIMEOUT_MS: String(ms + 600_000), LD_PRELOAD: library, BKN_STALL: stall, BKN_STALL_MS: String(stallMs) };
    const load = talk(process.execPath, [path.join(__dirname, "load.js")], { env });
    others.push(load.child);
    await load.hear();
    let lock = null;
    if (how === "locked") {
      lock = talk(holder, [path.join(store, "store.sqlite-shm")]);
      others.push(lock.child);
      await lock.hear();
    }
    if (how === "stalled") fs.writeFileSync(stall, "");
    idle.begin();
    load.say("begin");
    await setTimeout(ms);
    load.say("end");
    const told = JSON.parse(await load.hear());
    const meanwhile = idle.end();
    for (const delay of told.worst) delay.besideMs = beside(delay, meanwhile);
    fs.rmSync(stall, { force: true });
    lock?.child.stdin.end();
    const { missing } = JSON.parse(await load.hear());
    await load.ended;
    return { how, ...told, missing };
  } finally {
    idle.end();
    for (const child of others) child.kill("SIGKILL");
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

module.exports = { hindrance, measure };

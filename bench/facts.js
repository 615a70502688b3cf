"use strict";

// What one must know about the machine to judge the figures; nothing that names it.

const { execFileSync } = require("node:child_process");
const os = require("node:os");
const { run } = require("./server.js");

/** `server` is the Redis that takes part, where one does. */
async function machineFacts(server = null) {
  const info = server && String(await run(server, "INFO", "server"));
  const cpus = os.cpus();
  return {
    cpu: cpus[0] ? cpus[0].model.trim() : "unknown",
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release().split(/[-+]/)[0]} ${os.arch()}`,
    virtual: isVirtual(),
    node: process.version,
    ...(server && { redis: (/^redis_version:(\S+)/m.exec(info) || [])[1] || "unknown" }),
  };
}

/** Wake-ups cost several times as much on a virtual machine, so it matters. */
function isVirtual() {
  if (os.type() !== "Linux") return null;
  try {
    return /^Hypervisor vendor:/m.test(execFileSync("lscpu", { encoding: "utf8", env: { ...process.env, LC_ALL: "C" }, stdio: ["ignore", "pipe", "ignore"] }));
  } catch {
    return null;
  }
}

/** How much of all cores others use while the bench waits: 0 to 1. Asked between the states of the machine. */
async function foreignWork() {
  const look = () => os.cpus().reduce(({ idle, all }, { times }) => ({ idle: idle + times.idle, all: all + Object.values(times).reduce((a, b) => a + b) }), { idle: 0, all: 0 });
  const before = look();
  await new Promise((resolve) => setTimeout(resolve, 700));
  const after = look();
  return Number((1 - (after.idle - before.idle) / (after.all - before.all || 1)).toFixed(3));
}

module.exports = { machineFacts, foreignWork };

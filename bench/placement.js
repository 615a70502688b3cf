"use strict";

// Where client and server run. Left to the scheduler, a loop of single calls lands on one core or on two by chance and
// stays there for seconds, and that alone changes its time by a factor of four (16 µs or 60–90 µs on a virtual machine):
// waking a process on another core needs an interrupt. So the bench decides: on cores of their own, or on one core.

const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const { which } = require("../scripts/lib/tools.js");

const MOST_CLIENT_CORES = 3;

/** `1,4-6` → [1, 4, 5, 6]. */
function parseList(text) {
  return text.trim().split(",").flatMap((part) => {
    const [from, to = from] = part.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}

function siblings(core) {
  try {
    return parseList(fs.readFileSync(`/sys/devices/system/cpu/cpu${core}/topology/thread_siblings_list`, "utf8"));
  } catch {
    return [core];
  }
}

/** `{ server, clients }`: lists of cores; null where processes cannot be placed. */
function findCores() {
  if (process.platform !== "linux" || !which("taskset")) return null;
  let allowed;
  try {
    allowed = parseList(execFileSync("taskset", ["-c", "-p", String(process.pid)], { encoding: "utf8" }).split(":").pop());
  } catch {
    return null;
  }
  if (allowed.length < 2) return null;
  const server = allowed[0];
  const near = siblings(server);
  const far = allowed.filter((core) => !near.includes(core));
  // More than one for clients that bring threads of their own.
  const clients = (far.length > 0 ? far : allowed.slice(1)).slice(0, MOST_CLIENT_CORES);
  return { server: [server], clients };
}

/** Moves the processes; `how` is `apart` or `shared`. */
function place(cores, how, serverPid, clientPids) {
  if (!cores) return;
  const pin = (pid, list) => {
    if (pid) execFileSync("taskset", ["-a", "-c", "-p", list.join(","), String(pid)], { stdio: "ignore" });
  };
  pin(serverPid, cores.server);
  for (const pid of clientPids) pin(pid, how === "shared" ? cores.server : cores.clients);
}

module.exports = { findCores, place };

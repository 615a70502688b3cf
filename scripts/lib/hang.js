"use strict";

// A program that hangs: which processes are there because of it, what each is doing, and their end. Linux tells this in /proc;
// elsewhere nothing is found, and only the program itself can be ended.

const fs = require("node:fs");

const read = (file) => {
  try {
    return fs.readFileSync(file, "latin1");
  } catch {
    return "";
  }
};

const list = (folder) => {
  try {
    return fs.readdirSync(folder);
  } catch {
    return [];
  }
};

/** What a process is: its parent, state, command line, and where each of its threads waits. */
function look(pid) {
  const [, name, rest = ""] = /^\d+ \((.*)\) (.*)/s.exec(read(`/proc/${pid}/stat`)) ?? [];
  const [state, parent] = rest.split(" ");
  const words = read(`/proc/${pid}/cmdline`).split("\0").join(" ").trim() || `[${name}]`;
  const threads = list(`/proc/${pid}/task`).map((task) => {
    const at = (what) => read(`/proc/${pid}/task/${task}/${what}`).trim();
    return `${at("comm")}: ${at("wchan") || "?"}`;
  });
  return { pid, parent: Number(parent), state, words, threads };
}

/**
 * The processes that this one has started, with theirs, and those that have lost their parent since: these are known by a word of
 * the environment that they were given.
 */
function family(root, word) {
  const all = list("/proc").filter((name) => /^\d+$/.test(name)).map((name) => look(Number(name)));
  const found = new Set([root]);
  const belongs = ({ pid, parent }) => found.has(parent) || (pid !== process.pid && read(`/proc/${pid}/environ`).includes(word));
  for (let before = 0; before < found.size;) {
    before = found.size;
    for (const one of all) if (belongs(one)) found.add(one.pid);
  }
  return all.filter(({ pid }) => found.has(pid) && pid !== process.pid);
}

/** A line for each process, and for where its threads wait. */
function told({ pid, parent, state, words, threads }) {
  const counts = new Map();
  for (const thread of threads) counts.set(thread, (counts.get(thread) ?? 0) + 1);
  const waits = [...counts].map(([thread, count]) => (count > 1 ? `${count} × ${thread}` : thread));
  return [`  ${pid} (of ${parent}, ${state}) ${words.slice(0, 200)}`, `      ${waits.join(", ")}`];
}

/** Ends processes without a word. */
function kill(processes) {
  for (const { pid } of processes) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}

module.exports = { family, told, kill };

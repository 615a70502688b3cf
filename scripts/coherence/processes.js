"use strict";
// The processes of the coherence test, and what they have reported so far.

const { fork } = require("node:child_process");
const path = require("node:path");

const { SHARED, now } = require("./keys.js");

/** By then the server has carried out whatever a killed process had sent, and a cable that is held (HUNG_MS in disturb.js)
 * had kept back. */
const AFTER_DEATH_MS = 4000;
/** What it had not reported may have begun so long before its last report: longer than anything holds it up. */
const BEFORE_REPORT_MS = 3000;

/**
 * Starts one process for each environment. `history` gets their writes, `sightings` what they saw.
 * @param {{ environments: object[], history: object[], sightings: object[] }} options
 */
function startProcesses({ environments, history, sightings }) {
  const workers = [];
  const dead = [];
  const problems = [];
  const errors = {};

  function take(worker, message) {
    const by = worker.name;
    worker.counts = message.counts;
    worker.reported = message.at;
    for (const [key, id, start, end] of message.writes) {
      history.push({ key, id, start, end: end ?? Infinity, by, sure: end !== null });
    }
    for (const [key, id, at, until] of message.sightings) sightings.push({ key, id, at, until, by });
    worker.underway = message.underway;
    worker.errors = message.errors;
    worker.violations = message.violations;
  }

  function start(at, generation) {
    const name = `p${at}.${generation}`;
    const clean = Object.fromEntries(Object.entries(process.env).filter(([variable]) => !variable.startsWith("CC_")));
    const env = { ...clean, ...environments[at], CC_NEAR_CACHE: "on", COHERENCE_ME: name };
    const child = fork(path.join(__dirname, "worker.js"), { env });
    const unheard = { counts: {}, errors: {}, violations: [], underway: [], reported: now() };
    const worker = { name, generation, child, ...unheard, killed: false };
    worker.failed = new Promise((_, reject) => {
      child.once("exit", (code, signal) => {
        if (!worker.killed) reject(new Error(`${name} ended by itself: ${signal ?? code}`));
      });
    });
    // Whoever waits for the process hears of it.
    worker.failed.catch(() => {});
    child.on("message", (message) => {
      if (message.kind === "history") take(worker, message);
      if (message.kind !== "told") return;
      const others = workers.filter((other) => other !== worker && other.child.connected);
      // One of them may have been killed just now.
      for (const other of others) other.child.send({ told: message.key }, () => {});
    });
    workers[at] = worker;
  }
  environments.forEach((_, at) => start(at, 0));

  return {
    size: environments.length,
    /** Lets one stand still for a while; others go on. */
    block: (at, ms) => workers[at].child.send({ block: ms }),
    /** Sends a message to all, and waits for an answer of that kind from each. */
    ask(send, kind) {
      const answers = workers.map(async (worker) => {
        const answer = new Promise((resolve) => {
          worker.child.on("message", (message) => message.kind === kind && resolve(message));
        });
        worker.child.send(send);
        return Promise.race([answer, worker.failed]);
      });
      return Promise.all(answers);
    },
    /** Kills one, as a machine would that runs out of memory, and starts another in its place. */
    async replace(at) {
      const worker = workers[at];
      worker.killed = true;
      const gone = new Promise((resolve) => worker.child.once("exit", resolve));
      worker.child.kill("SIGKILL");
      await gone;
      dead.push(worker);
      // What it did since its last report is not known, but that it may have written.
      const [since, end] = [worker.reported - BEFORE_REPORT_MS, now() + AFTER_DEATH_MS];
      const unknown = { start: since, end, by: worker.name, sure: false };
      for (let key = 0; key < SHARED; key++) {
        for (const id of [null, `${worker.name}-unknown`]) history.push({ key, id, ...unknown });
      }
      // Nor is it known when, if ever, the server carried out what had no answer by that report.
      for (const { key, id, start } of worker.underway) history.push({ ...unknown, key, id, start });
      start(at, worker.generation + 1);
    },
    /** Whether an id is of a process that was killed. */
    isOfKilled: (id) => dead.some(({ name }) => id.startsWith(`${name}-`)),
    names: () => workers.map(({ name }) => name),
    count: (name) => [...workers, ...dead].reduce((sum, { counts }) => sum + (counts[name] ?? 0), 0),
    /** Rejections by code, and what the processes themselves found wrong. */
    complaints() {
      for (const worker of [...workers, ...dead]) {
        problems.push(...worker.violations.map((text) => `${worker.name}: ${text}`));
        for (const [code, count] of Object.entries(worker.errors)) errors[code] = (errors[code] ?? 0) + count;
      }
      return { problems, errors };
    },
    end() {
      for (const { child } of workers) {
        if (child.connected) child.send("end");
        setTimeout(() => child.kill("SIGKILL"), 3000).unref();
      }
    },
  };
}

module.exports = { startProcesses };

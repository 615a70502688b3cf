"use strict";
// Four processes read and write the same keys while the server is disturbed; then the truth is put together from what each
// of them saw.

const { fork } = require("node:child_process");
const path = require("node:path");

const { startRedis } = require("../../__test__/support/redis.js");

const KEYS = 40;
const LEASE_MS = 2000;
/** What a report's moments may be off by: calls begin a little before the engine looks at its clock. */
const SLACK_MS = 100;
const ALLOWED = ["REDIS_UNAVAILABLE", "REDIS_TIMEOUT"];

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const key = (number) => `signal_cache:x:s:S${number}`;
const any = (list) => list[Math.floor(Math.random() * list.length)];

/** What is done to the server, each by name. */
function disturbances(server) {
  const random = () => key(Math.floor(Math.random() * KEYS));
  return {
    "CLIENT KILL": () => server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
    FLUSHALL: () => server.command("FLUSHALL"),
    "CLIENT PAUSE": () => server.command("CLIENT", "PAUSE", "150", "ALL"),
    SIGSTOP: async () => {
      server.kill("SIGSTOP");
      await sleep(250);
      server.kill("SIGCONT");
    },
    restart: () => server.restart(),
    expiry: async () => {
      for (let i = 0; i < 10; i++) await server.command("PEXPIRE", random(), String(20 + i * 20));
    },
    "foreign SET": async () => {
      for (let i = 0; i < 10; i++) await server.command("SET", random(), `foreign-${process.hrtime.bigint()}`);
    },
    "foreign DEL": async () => {
      for (let i = 0; i < 10; i++) await server.command("DEL", random());
    },
  };
}

/** Ids that were returned longer than the lease after a later write had been answered. */
function stale(reports) {
  const writes = reports.flatMap((report) => report.writes);
  const byId = new Map(writes.map(([at, id, , end]) => [`${at} ${id}`, end]));
  const byKey = Array.from({ length: KEYS }, () => []);
  for (const [at, , start, end] of writes) byKey[at].push({ start, end });
  // For each write in the order of their beginnings: the earliest answer among it and all later ones.
  for (const list of byKey) {
    list.sort((a, b) => a.start - b.start);
    for (let i = list.length - 1, earliest = Infinity; i >= 0; i--) {
      earliest = Math.min(earliest, list[i].end);
      list[i].replacedBy = earliest;
    }
  }
  let oldest = 0;
  const found = [];
  for (const [at, id, seen] of reports.flatMap((report) => report.sightings)) {
    const answered = id === null ? undefined : byId.get(`${at} ${id}`);
    if (answered === undefined) continue;
    const next = byKey[at].find((write) => write.start > answered);
    const age = next === undefined ? 0 : seen - next.replacedBy;
    oldest = Math.max(oldest, age);
    if (age > LEASE_MS + SLACK_MS) found.push(`${key(at)} = ${id}, replaced ${age.toFixed(0)} ms before it was returned`);
  }
  return { oldest, found };
}

/**
 * Runs the test. Resolves with `{ problems, reads, writes, hits, oldest, done }`; `done` counts the disturbances.
 * @param {{ seconds: number, processes?: number, onSecond?: (line: string) => void }} options
 */
async function coherence({ seconds, processes = 4, onSecond = () => {} }) {
  const server = await startRedis();
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("CC_")));
  const workers = Array.from({ length: processes }, (_, i) => {
    const env = { ...clean, ...server.env, CC_NEAR_CACHE: "on", COHERENCE_ME: `p${i}`, COHERENCE_KEYS: String(KEYS) };
    const child = fork(path.join(__dirname, "worker.js"), { env });
    const worker = { child, tick: { reads: 0, writes: 0, hits: 0, errors: {} } };
    child.on("message", (message) => message.kind === "tick" && (worker.tick = message));
    return worker;
  });
  const hear = (kind, send) =>
    Promise.all(
      workers.map(
        ({ child }) =>
          new Promise((resolve, reject) => {
            const listen = (message) => {
              if (message.kind !== kind) return;
              child.off("message", listen);
              resolve(message);
            };
            child.on("message", listen);
            child.once("exit", (code) => reject(new Error(`a process ended with code ${code}`)));
            child.send(send);
          }),
      ),
    );
  const sum = (name) => workers.reduce((all, { tick }) => all + tick[name], 0);
  const done = {};
  try {
    const acts = disturbances(server);
    const end = Date.now() + seconds * 1000;
    let second = 0;
    while (Date.now() < end) {
      await sleep(100 + Math.random() * 300);
      // A restart costs its time; the others come as they fall.
      const name = any(Object.keys(acts).filter((one) => one !== "restart" || Math.random() < 0.3));
      await acts[name]();
      done[name] = (done[name] ?? 0) + 1;
      const passed = seconds - Math.ceil((end - Date.now()) / 1000);
      if (passed > second) {
        second = passed;
        onSecond(`${String(second).padStart(3)} s  ${sum("reads")} reads, ${sum("hits")} of them from memory, ${sum("writes")} writes; last: ${name}`);
      }
    }
    await hear("stopped", "stop");
    // Quiet: expiries that the server has not noticed yet are noticed when the keys are asked for.
    await sleep(400);
    for (let i = 0; i < KEYS; i++) await server.command("EXISTS", key(i));
    await sleep(200);
    const reports = await hear("report", "report");
    const truth = await server.command("MGET", ...Array.from({ length: KEYS }, (_, i) => key(i)));
    const { oldest, found } = stale(reports);
    const problems = found;
    for (const [index, report] of reports.entries()) {
      problems.push(...report.violations.map((text) => `process ${index}: ${text}`));
      report.held.forEach((id, i) => {
        const real = truth[i] === null ? null : String(truth[i]);
        if (id !== real) problems.push(`after quiet, process ${index} says ${key(i)} = ${id}, Redis ${real}`);
      });
      for (const [code, count] of Object.entries(report.errors)) {
        if (!ALLOWED.includes(code)) problems.push(`process ${index}: ${count} rejections with ${code}`);
      }
    }
    const total = (name) => reports.reduce((all, report) => all + (report[name].length ?? report[name]), 0);
    return { problems, reads: total("reads"), writes: total("writes"), hits: sum("hits"), oldest, done };
  } finally {
    for (const { child } of workers) {
      child.removeAllListeners("exit");
      if (child.connected) child.send("end");
      setTimeout(() => child.kill("SIGKILL"), 3000).unref();
    }
    await server.stop();
  }
}

module.exports = { coherence };

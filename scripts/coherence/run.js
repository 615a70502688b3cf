"use strict";
// Four processes read and write the same keys while the server and they themselves are disturbed; then the truth is put
// together from what each of them saw.

const { startRedis } = require("../../__test__/support/redis.js");
const { anySeed, chance: chanceOf } = require("../../__test__/support/random.js");
const { decideExpiries, disturbances } = require("./disturb.js");
const { judge } = require("./judge.js");
const { KEYS, key } = require("./keys.js");
const { startProcesses } = require("./processes.js");
const { startProxy } = require("./proxy.js");

const PROCESSES = 4;
const LEASE_MS = 2000;
/** For one cycle of the server, in which it may have told others and not yet us. */
const SLACK_MS = 100;
const ALLOWED = ["REDIS_UNAVAILABLE", "REDIS_TIMEOUT"];

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Answers after quiet that are not Redis's, and processes that did not answer from memory. */
function disagreements(names, reports, truth) {
  const problems = [];
  const real = truth.map((text) => (text === null ? null : String(text)));
  reports.forEach(({ rounds }, process) => {
    const who = `after quiet, ${names[process]}`;
    rounds.forEach(({ ids }, round) => ids.forEach((id, i) => {
      if (id !== real[i]) problems.push(`${who} says ${key(i)} = ${id} (round ${round}), Redis ${real[i]}`);
    }));
    // The first time asks for what is not known.
    const hits = Math.max(...rounds.slice(1).map((round) => round.hits));
    if (hits !== KEYS) problems.push(`${who} answered ${hits} of ${KEYS} known keys from memory`);
  });
  return problems;
}

/**
 * Runs the test for so many seconds, and until everything was done once. Resolves with what was found: see the end.
 * @param {{ seconds: number, seed?: number, onLine?: (line: string) => void }} options
 */
async function coherence({ seconds, seed = anySeed(), onLine = () => {} }) {
  const chance = chanceOf(seed);
  const server = await startRedis();
  // Half of the processes have a cable that can be held.
  const proxies = await Promise.all([startProxy(server.port), startProxy(server.port)]);
  const environments = Array.from({ length: PROCESSES }, (_, i) => {
    return i < proxies.length ? { ...server.env, CC_REDIS_PORT: String(proxies[i].port) } : server.env;
  });
  const history = [];
  const sightings = [];
  const processes = startProcesses({ environments, history, sightings });
  const order = [];
  try {
    const { acts, calm } = disturbances({ server, chance, history, proxies, processes });
    const names = Object.keys(acts);
    onLine(`seed ${seed}`);
    const begin = Date.now();
    let shown = 0;
    for (let left = []; Date.now() - begin < seconds * 1000 || order.length < names.length; ) {
      if (left.length === 0) {
        left = chance.shuffled(names);
        onLine(`order: ${left.join(", ")}`);
      }
      await sleep(100 + chance.below(300));
      const name = left.shift();
      await acts[name]();
      order.push(name);
      const passed = Math.floor((Date.now() - begin) / 1000);
      if (passed > shown) {
        shown = passed;
        const [reads, hits, writes] = ["reads", "hits", "writes"].map(processes.count);
        const counts = `${reads} reads, ${hits} of them from memory, ${writes} writes`;
        onLine(`${String(passed).padStart(3)} s  ${counts}; last: ${name}`);
      }
    }
    await calm();
    await processes.ask("stop", "stopped");
    // Quiet: expiries that the server has not noticed yet are noticed when the keys are asked for.
    await sleep(400);
    for (let i = 0; i < KEYS; i++) await server.command("EXISTS", key(i));
    await sleep(200);
    const reports = await processes.ask("hold", "held");
    const truth = await server.command("MGET", ...Array.from({ length: KEYS }, (_, i) => key(i)));

    decideExpiries(history);
    const bound = LEASE_MS + SLACK_MS;
    const verdict = judge({ writes: history, sightings, bound, lost: processes.isOfKilled });
    const { problems, errors } = processes.complaints();
    problems.push(...verdict.problems, ...disagreements(processes.names(), reports, truth));
    for (const [code, count] of Object.entries(errors)) {
      if (!ALLOWED.includes(code)) problems.push(`${count} rejections with ${code}`);
    }
    const done = Object.fromEntries(names.map((name) => [name, order.filter((one) => one === name).length]));
    const totals = ["reads", "hits", "writes", "told"].map((name) => [name, processes.count(name)]);
    const { oldest, judged } = verdict;
    return {
      seed,
      order,
      /** How often each disturbance was done. */
      done,
      problems,
      ...Object.fromEntries(totals),
      errors,
      /** How long before its read the oldest answer had been replaced, in milliseconds. */
      oldest,
      /** How many answers were held against the history. */
      judged,
      /** Expiries of which it is known that they came. */
      expiries: history.filter(({ unlessWrittenSince, sure }) => unlessWrittenSince !== undefined && sure).length,
    };
  } finally {
    processes.end();
    await Promise.all(proxies.map((proxy) => proxy.stop()));
    await server.stop();
  }
}

module.exports = { coherence };

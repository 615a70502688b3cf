"use strict";
// The soak: load, one fault after the other in random order, a line a second, and the sum at the end.

const { loadFresh } = require("../../__test__/support/addon.js");
const { Load, sleep } = require("../../__test__/support/load.js");
const { startProxy } = require("../../__test__/support/proxy.js");
const { startRedis } = require("../../__test__/support/redis.js");
const { faults } = require("./faults.js");

const WORKERS = 50;
const TIMEOUT_MS = 5000;
/** What a slow machine may add to a deadline. */
const SLACK_MS = 2000;
const QUIET_MS = [1000, 4000];
const ALLOWED = ["REDIS_UNAVAILABLE", "REDIS_TIMEOUT", "REDIS_REPLY", "REDIS_AUTH"];

const whole = (number) => Math.round(number).toLocaleString("en-US");
const ms = (number) => (number === undefined ? "–" : number < 10 ? `${number.toFixed(2)} ms` : `${whole(number)} ms`);
const memory = () => `${whole(process.memoryUsage().rss / 2 ** 20)} MiB`;
const listed = (errors) => Object.entries(errors).map(([code, count]) => `${whole(count)} ${code}`).join(", ");

const COLUMNS = [
  ["time", 7],
  ["calls/s", 9],
  ["p50", 10],
  ["p99", 10],
  ["state", 11],
  ["queue", 6],
  ["memory", 9],
];
const row = (cells, rest) => `${cells.map((cell, i) => String(cell).padStart(COLUMNS[i][1])).join(" ")}  ${rest}`;

/** What a shuffled list gives, one after the other, for ever: each once before any comes again. */
function* shuffled(list) {
  for (;;) {
    const rest = [...list];
    while (rest.length > 0) yield rest.splice(Math.floor(Math.random() * rest.length), 1)[0];
  }
}

/** Prints a line about each second that has passed. */
function tell({ lib, load, scene, print }) {
  const start = performance.now();
  let before = {};
  let lines = 0;
  return setInterval(() => {
    const window = load.latencies.splice(0).sort((a, b) => a - b);
    const errors = {};
    for (const [code, count] of Object.entries(load.errors)) {
      if (count > (before[code] ?? 0)) errors[code] = count - (before[code] ?? 0);
    }
    before = { ...load.errors };
    const { state, queued, inFlight } = lib.health().redis;
    if (lines++ % 20 === 0) print(row(COLUMNS.map(([name]) => name), "errors and faults"));
    const cells = [
      `${whole((performance.now() - start) / 1000)} s`,
      whole(window.length),
      ms(window[Math.floor(window.length * 0.5)]),
      ms(window[Math.floor(window.length * 0.99)]),
      state,
      whole(queued + inFlight),
      memory(),
    ];
    print(row(cells, [listed(errors), scene.now].filter(Boolean).join("  ← ")));
  }, 1000);
}

/** Fault after fault until it is over. Resolves with what each did: `{ times, worstRecovery }` by name. */
async function disturb({ acts, load, scene, problems, over }) {
  const done = {};
  for (const name of shuffled(Object.keys(acts))) {
    await over(QUIET_MS[0] + Math.random() * (QUIET_MS[1] - QUIET_MS[0]));
    if (over.yes) return done;
    scene.now = name;
    await acts[name]();
    const took = await load.recovered(performance.now(), 20_000).catch((error) => {
      problems.push(`after "${name}": ${error.message}`);
      return 20_000;
    });
    scene.now = "";
    const one = (done[name] ??= { times: 0, worst: 0 });
    one.times++;
    one.worst = Math.max(one.worst, took);
  }
  return done;
}

/** A pause that ends early when all is over. `over.yes` tells that. */
function until(seconds, signal) {
  const over = async (time) => {
    const end = performance.now() + time;
    while (!over.yes && performance.now() < end) await sleep(50);
  };
  const finish = () => {
    over.yes = true;
  };
  over.yes = signal.aborted;
  signal.addEventListener("abort", finish);
  if (seconds < Infinity) setTimeout(finish, seconds * 1000).unref();
  return over;
}

function judge(load, problems) {
  problems.push(...load.wrong.map((text) => `wrong answer: ${text}`));
  for (const [code, text] of Object.entries(load.messages)) {
    if (!ALLOWED.includes(code)) problems.push(`${load.errors[code]} × ${code}: ${text}`);
  }
  if (load.worstMs > TIMEOUT_MS + SLACK_MS) {
    problems.push(`a call took ${ms(load.worstMs)}; its deadline is ${ms(TIMEOUT_MS)}`);
  }
}

function conclude({ load, done, problems, print }) {
  print(`\n${whole(load.calls)} calls, rejected: ${listed(load.errors) || "none"}; slowest ${ms(load.worstMs)}, deadline ${ms(TIMEOUT_MS)}`);
  print(`memory ${memory()}`);
  for (const [name, { times, worst }] of Object.entries(done)) {
    print(`  ${`${times} ×`.padStart(5)} ${name.padEnd(38)} slowest recovery ${ms(worst)}`);
  }
  for (const problem of problems.slice(0, 20)) print(`PROBLEM: ${problem}`);
  print(problems.length === 0 ? "no answer was wrong, and every call was settled by its deadline" : `${problems.length} problems`);
}

/**
 * Runs it. Resolves with the problems that were found, as texts.
 * @param {{ seconds: number, calm: boolean, signal: AbortSignal, print: (line: string) => void }} options
 */
async function soak({ seconds, calm, signal, print }) {
  const problems = [];
  const unhandled = (error) => problems.push(`unhandled rejection: ${error?.stack ?? error}`);
  process.on("unhandledRejection", unhandled);
  const server = await startRedis({ password: "soak", detached: true });
  const proxy = await startProxy(server);
  const url = `redis://default:${server.password}@${proxy.host}:${proxy.port}`;
  const lib = loadFresh({ CC_REDIS_URL: url, CC_REDIS_TIMEOUT_MS: TIMEOUT_MS });
  const load = new Load(lib, { workers: WORKERS });
  load.keepLatencies = true;
  const scene = { now: "" };
  let timer;
  try {
    load.start();
    timer = tell({ lib, load, scene, print });
    const over = until(seconds, signal);
    const acts = faults({ server, proxy, load });
    const done = calm ? await over(Infinity).then(() => ({})) : await disturb({ acts, load, scene, problems, over });
    print("ending");
    await load.stop(TIMEOUT_MS + SLACK_MS).catch((error) => problems.push(error.message));
    judge(load, problems);
    conclude({ load, done, problems, print });
  } finally {
    clearInterval(timer);
    await lib.close();
    await proxy.stop();
    await server.stop();
    process.off("unhandledRejection", unhandled);
  }
  return problems;
}

module.exports = { soak };

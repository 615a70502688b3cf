"use strict";

// npm run test:faults: plays every case of the fault suite, each in a process of its own, and prints a table of what
// was injected, what was seen, the worst latency and the time of recovery. Takes minutes.
//
//   node __test__/faults/run.js                  all
//   node __test__/faults/run.js half-open close  those whose title or fault has one of these words
//   node __test__/faults/run.js --quick          those that are part of `npm test`

const { fork } = require("node:child_process");
const { ensureRedisServer } = require("../../scripts/lib/tools.js");
const { play } = require("./scene.js");

const GROUPS = ["server", "network", "names", "roles", "mass"];
const cases = GROUPS.flatMap((name) => require(`./cases/${name}.js`));

/** No case takes longer than that; a process that does hangs. */
const LIMIT_MS = 180_000;
/** A process that has nothing left to do ends by itself. */
const END_MS = 10_000;

/** Plays a case in a process of its own. Resolves with `{ report, failure }`. */
function inProcess(index) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("CC_")));
  const child = fork(__filename, ["--play", String(index)], { env, stdio: ["ignore", "inherit", "pipe", "ipc"] });
  const result = { report: { seen: [], worstMs: 0, recoveryMs: null }, failure: "" };
  let errors = "";
  let told = false;
  const fail = (text) => (result.failure ||= text);
  const kill = (text) => () => {
    fail(text);
    child.kill("SIGKILL");
  };
  let timer = setTimeout(kill(`it hung for ${LIMIT_MS / 1000} s`), LIMIT_MS);
  child.stderr.on("data", (text) => (errors += text));
  child.on("message", (message) => {
    told = true;
    Object.assign(result, message);
    clearTimeout(timer);
    timer = setTimeout(kill(`the process did not end by itself within ${END_MS / 1000} s`), END_MS);
  });
  return new Promise((resolve) => {
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (code !== 0) fail(`the process ended with ${signal ?? code}:\n${errors}`);
      else if (!told) fail(`the process ended in the middle of the case\n${errors}`);
      else if (errors !== "") fail(`the process complained:\n${errors}`);
      resolve(result);
    });
  });
}

/** The child's side. An unhandled rejection ends it with a code, and is seen by that. */
async function playOne(index) {
  const one = cases[index];
  const message = await play(one).then(
    (report) => ({ report, failure: "" }),
    (error) => ({ report: error.report, failure: error.message }),
  );
  process.send(message, () => process.disconnect());
}

const indent = (text) => text.replace(/^/gm, "      ");

function table(rows) {
  const ms = (number) => (number === null ? "–" : `${Math.round(number)} ms`);
  console.log("\n| case | injected | seen | worst latency | recovery |\n| --- | --- | --- | ---: | ---: |");
  for (const { one, report, failure } of rows) {
    const seen = [...(failure ? [`**failed:** ${failure.split("\n")[0]}`] : []), ...report.seen].join("; ");
    const cells = [one.title, one.injected, seen, ms(report.worstMs), ms(report.recoveryMs)];
    console.log(`| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`);
  }
}

async function main(args) {
  ensureRedisServer();
  const words = args.filter((arg) => !arg.startsWith("--")).map((word) => word.toLowerCase());
  const wanted = ({ title, injected, quick, linux }) => {
    if (linux && process.platform !== "linux") return false;
    if (args.includes("--quick") && !quick) return false;
    return words.length === 0 || words.some((word) => `${title} ${injected}`.toLowerCase().includes(word));
  };
  const rows = [];
  for (const [index, one] of cases.entries()) {
    if (!wanted(one)) continue;
    const started = Date.now();
    const { report, failure } = await inProcess(index);
    console.log(`${failure ? "✘" : "✔"} ${one.title} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    for (const line of report.seen) console.log(indent(line));
    if (failure) console.log(indent(failure));
    rows.push({ one, report, failure });
  }
  table(rows);
  const failed = rows.filter(({ failure }) => failure).length;
  console.log(`\n${rows.length - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && rows.length > 0 ? 0 : 1;
}

if (process.argv[2] === "--play") playOne(Number(process.argv[3]));
else main(process.argv.slice(2));

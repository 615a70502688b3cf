"use strict";

// npm test: builds, runs every suite, and ends with the line `N passed, N failed`.
//
//   node scripts/test.js                 everything
//   node scripts/test.js ava jest        only these suites (see SUITES), after a build
//   node scripts/test.js --no-build ava  without a build
//
// A suite that is a single check (formatting, lints, types) counts as one test. A failure does not stop the others.

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { root, kitFolder, which, ensureNodeModules, ensureRedisServer } = require("./lib/tools.js");
const { ensureMongod } = require("./lib/mongod.js");
const { run, bin } = require("./lib/run.js");
const reports = require("./lib/reports.js");
const onClusterLists = require("../__test__/support/not-on-cluster.js");
const { FILES, TESTS, VARIABLES } = require("../__test__/support/not-on-store.js");
const { specFiles, loadedSpecs } = require("./lib/coverage.js");
const { lintWorkflows } = require("./lib/workflows.js");

const temp = fs.mkdtempSync(path.join(os.tmpdir(), "bkn-test-"));
process.on("exit", () => fs.rmSync(temp, { recursive: true, force: true }));

const specLog = path.join(temp, "specs.log");
const GENERATED = ["index.d.ts", "index.d.mts", "global.d.ts", "Cargo.lock", "package-lock.json"];

/** So long ava may report no test. */
const AVA_SILENCE_MS = 6 * 60_000;

/** A check that passes when the program ends with 0. */
const check = (command, args) => async () => {
  const { code } = await run(command, args);
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, files: [] };
};

/** A runner's counts; it must have run something, and its exit code must agree. */
function judged(report, code) {
  const failed = code !== 0 && report.failed === 0 ? 1 : report.failed;
  if (failed > report.failed) console.log(`  the runner ended with code ${code} although no test failed`);
  if (report.passed + report.failed > 0) return { ...report, failed };
  console.log("  no test was executed");
  return { ...report, failed: Math.max(failed, 1) };
}

async function cargoTest() {
  const args = ["test", "--locked", "--no-fail-fast"];
  // The many lines of passing tests only hide the others.
  const show = (line) => !/^test .* \.\.\. ok$/.test(line) && line.trim() !== "";
  const { code, lines } = await run("cargo", args, { show, env: { BKN_SPEC_LOG: specLog } });
  return judged(reports.cargo(lines), code);
}

/** ava, on all files of its configuration or on these, with the environment as it is or with more in it. */
const ava = ({ files = [], config = [], env = {} } = {}) => async () => {
  let passed = 0;
  // TAP gives a failing test's details as an indented block after its line.
  const show = (line) => {
    if (/^ok \d+/.test(line)) return ++passed % 100 === 0 && (console.log(`  ${passed} passed`), false);
    return !/^(TAP version|\d+\.\.\d+|# |\s*$)/.test(line);
  };
  // ava's own limit is off: its TAP reporter dies of a test that hangs, and one test that may take long switches it off for good.
  const words = ["--tap", "--timeout", "2h", ...config, ...files];
  const { code, lines } = await run(bin("ava"), words, { show, silence: AVA_SILENCE_MS, env: { BKN_SPEC_LOG: specLog, ...env } });
  const report = reports.tap(lines, "__test__");
  // The plan is TAP's last word.
  if (!lines.some((line) => /^1\.\.\d+$/.test(line))) {
    console.log("  ava did not come to its end");
    report.failed += 1;
  }
  return judged(report, code);
};

const jest = (config) => async () => {
  const output = path.join(temp, "jest.json");
  const args = ["--config", `__test__/jest/${config}`, "--json", "--outputFile", output, "--silent"];
  // The report itself goes to stdout as well, as one long line.
  const show = (line) => !line.startsWith("{") && !line.startsWith("Test results written");
  const { code } = await run(bin("jest"), args, { show, env: { BKN_SPEC_LOG: specLog } });
  return judged(reports.jest(output, root), code);
};

async function types() {
  const report = { passed: 0, failed: 0, files: [] };
  const folder = "__test__/types";
  for (const config of [
    `${folder}/tsconfig.json`,
    `${folder}/tsconfig.classic.json`,
    `${folder}/tsconfig.bundler.json`,
    `${folder}/tsconfig.payloads.json`,
    `${folder}/tsconfig.payloads-esm.json`,
    "__test__/jest/tsconfig.json",
  ]) {
    console.log(`  ${config}`);
    const { code, lines } = await run(bin("tsc"), ["-p", config, "--listFiles"], { show: (line) => /error TS/.test(line) });
    report[code === 0 ? "passed" : "failed"] += 1;
    report.files.push(...lines.filter((line) => path.isAbsolute(line)).map((line) => path.relative(root, line)));
  }
  return judged(report, report.failed ? 1 : 0);
}

/** In a checkout that must be complete, what is generated was also committed. */
async function committed() {
  const inside = await run("git", ["rev-parse", "--is-inside-work-tree"], { show: () => false });
  if (inside.code !== 0) {
    console.log("  skipped: this is no git checkout, there is nothing to compare with");
    return { passed: 0, failed: 0, skipped: 1, files: [] };
  }
  return check("git", ["diff", "--exit-code", "--stat", "--", ...GENERATED])();
}

/**
 * What is not run again without the near cache: files that turn it on themselves or count on it, and those about rows, candles, the
 * embedded store, the network, the process and the package, which never see it.
 */
const CACHE_BLIND = new RegExp(
  String.raw`^__test__/(near|faults|sentinel|redis-cluster|mongo|candle|store|kit|copy|demo|tls|acl|pack|build|binary|release|cross|cli|compose|` +
    String.raw`circles|ports|slices|declarations|differences|documents|workers|exit)\b`,
);
const withoutNear = specFiles().filter((file) => /^__test__\/[^/]+\.spec\.js$/.test(file) && !CACHE_BLIND.test(file));

/** What runs on the embedded store too; __test__/support/not-on-store.js says why the others do not. */
const onStore = specFiles().filter((file) => /\.spec\.js$/.test(file) && !(path.relative("__test__", file) in FILES));
/** Names there that no file has: a list that nobody keeps. */
const gone = [FILES, TESTS, VARIABLES].flatMap(Object.keys).filter((name) => !specFiles().includes(path.join("__test__", name)));

async function avaOnStore() {
  for (const name of gone) console.log(`  __test__/support/not-on-store.js names ${name}, which is not there`);
  const report = await ava({ files: onStore, config: ["--config", "ava.store.config.mjs"] })();
  return { ...report, failed: report.failed + gone.length };
}

/** Of what runs on a Redis Cluster too, the quick part; __test__/support/not-on-cluster.js says why others do not. */
async function avaOnCluster() {
  const { FILES: files, TESTS: tests, QUICK } = onClusterLists;
  const named = [...Object.keys(files), ...Object.keys(tests), ...QUICK];
  const unknown = named.filter((name) => !specFiles().includes(path.join("__test__", name)));
  for (const name of unknown) console.log(`  __test__/support/not-on-cluster.js names ${name}, which is not there`);
  const report = await ava({ files: QUICK.map((name) => path.join("__test__", name)), config: ["--config", "ava.cluster.config.mjs"] })();
  return { ...report, failed: report.failed + unknown.length };
}

/** Licences, versions and sources of the crates. Advisories need the network: `cargo deny check advisories`. */
async function deny() {
  if (which("cargo-deny")) {
    return check("cargo", ["deny", "--locked", "--log-level", "error", "check", "licenses", "bans", "sources"])();
  }
  console.log("  skipped: cargo-deny is not installed (cargo install --locked cargo-deny)");
  return { passed: 0, failed: 0, skipped: 1, files: [] };
}

async function workflows() {
  const { files, problems } = await lintWorkflows();
  for (const problem of problems) console.log(`  ${problem}`);
  return judged({ passed: problems.length > 0 ? 0 : files.length, failed: problems.length, files: [] }, problems.length);
}

const build = check(process.execPath, ["cli/main.js", "build"]);

const SUITES = {
  fmt: ["cargo fmt", check("cargo", ["fmt", "--check"])],
  clippy: ["cargo clippy", check("cargo", ["clippy", "--locked", "--all-targets", "--", "-D", "warnings"])],
  deny: ["cargo deny", deny],
  rust: ["cargo test", cargoTest],
  generated: ["declarations in step with the table", check(process.execPath, ["scripts/generate.js", "--check"])],
  committed: ["generated files are committed", committed],
  lint: ["eslint", check(bin("eslint"), ["."])],
  workflows: ["actionlint", workflows],
  licences: ["licences of the crates", check(process.execPath, ["scripts/licences.js", "--check"])],
  types: ["types", types],
  ava: ["ava: the API", ava()],
  // Nothing that callers see may depend on the near cache but speed.
  "ava-off": ["ava: the API without the near cache", ava({ files: withoutNear, env: { CC_NEAR_CACHE: "off" } })],
  // The embedded store in the place of the servers: what callers see is the same.
  "ava-store": ["ava: the API on the embedded store", avaOnStore],
  // A Redis Cluster in the place of the one server: so it is there.
  "ava-cluster": ["ava: the API on a Redis Cluster", avaOnCluster],
  jest: ["jest: a drop-in project", jest("jest.config.js")],
  "jest-store": ["jest: a drop-in project on the embedded store", jest("jest.store.config.js")],
};

/** Compares the spec files on disk with those that the runners report. */
function coverage(files) {
  const ran = new Set([...files, ...loadedSpecs(specLog)]);
  const idle = specFiles().filter((file) => !ran.has(file));
  for (const file of idle) console.log(`  ${file} was run by nobody`);
  if (idle.length === 0) console.log(`  ${specFiles().length} spec files, each was run`);
  return { passed: idle.length === 0 ? 1 : 0, failed: idle.length === 0 ? 0 : 1, files: [] };
}

/** A suite's counts in words. What was skipped is named, also single assertions: it is neither passed nor failed. */
function told({ passed, failed, skipped, assertions }) {
  const also = [skipped && `${skipped} skipped`, assertions && `${assertions} assertions skipped`].filter(Boolean);
  return [`${passed} passed`, `${failed} failed`, ...also].join(", ");
}

function mark({ passed, failed }) {
  if (failed) return "✘";
  return passed ? "✔" : "–";
}

async function main(args) {
  const chosen = args.filter((arg) => !arg.startsWith("--"));
  const unknown = chosen.filter((name) => !(name in SUITES));
  if (unknown.length > 0) throw new Error(`no such suite: ${unknown.join(", ")}; there are ${Object.keys(SUITES).join(", ")}`);
  ensureRedisServer();
  ensureNodeModules();
  ensureNodeModules(kitFolder);
  // Fetched once, before test files that run side by side all want it.
  ensureMongod();

  const results = [];
  const step = async (title, action) => {
    console.log(`\n== ${title}`);
    const started = Date.now();
    let result;
    try {
      result = await action();
    } catch (error) {
      console.log(`  ${error.stack}`);
      result = { passed: 0, failed: 1, files: [] };
    }
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    console.log(`-- ${title}: ${told(result)} (${seconds} s)`);
    results.push({ title, skipped: 0, ...result });
  };

  if (!args.includes("--no-build")) await step("build", build);
  for (const [name, [title, action]] of Object.entries(SUITES)) {
    if (chosen.length === 0 || chosen.includes(name)) await step(title, action);
  }
  if (chosen.length === 0) await step("every spec file ran", () => coverage(results.flatMap((one) => one.files)));

  const sum = (key) => results.reduce((total, one) => total + one[key], 0);
  console.log("\n== summary");
  for (const one of results) {
    console.log(`  ${mark(one)} ${one.title}: ${told(one)}`);
    // Named again here: what stands further up in a long log is easily lost.
    for (const line of one.told ?? []) console.log(`      ${line}`);
  }
  console.log(`\n${sum("passed")} passed, ${sum("failed")} failed`);
  return sum("failed") === 0 ? 0 : 1;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    console.error(error.message);
    console.log("\n0 passed, 1 failed");
    process.exit(1);
  },
);

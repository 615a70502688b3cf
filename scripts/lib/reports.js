"use strict";

// Counts of passed, failed and skipped tests and what is told of those that failed, read from what each runner writes for machines.

const fs = require("node:fs");
const path = require("node:path");
const { root } = require("./tools.js");

/** cargo test: one line `test name ... ok` for each test. */
function cargo(lines) {
  const report = { passed: 0, failed: 0, skipped: 0, files: [], told: [] };
  for (const line of lines) {
    const target = /^\s*Running (?:unittests )?(\S+\.rs)/.exec(line);
    if (target) report.files.push(target[1]);
    const result = /^test (.*) \.\.\. (ok|FAILED|ignored)\b/.exec(line);
    if (!result) continue;
    report[{ ok: "passed", FAILED: "failed", ignored: "skipped" }[result[2]]] += 1;
    if (result[2] === "FAILED") report.told.push(result[1]);
  }
  return report;
}

/**
 * TAP, as ava writes it: `ok 3 - services › a title`. Titles begin with the name of the file, without its extension,
 * where there is more than one file; `adapters › lists › a title` is of a file in a folder.
 */
function tap(lines, folder) {
  const report = { passed: 0, failed: 0, skipped: 0, assertions: 0, files: [], told: [] };
  const files = new Set();
  let isFailed = false;
  for (const line of lines) {
    // What is known of a failed test stands indented below it.
    if (isFailed && line.startsWith("    ")) report.told.push(line);
    // Those of tests that were executed for the rest: see __test__/support/on-store.js.
    report.assertions += Number(/^#\s+assertions skipped: (\d+)$/.exec(line)?.[1] ?? 0);
    const result = /^(not )?ok \d+(?: - (.*))?$/.exec(line);
    if (!result) continue;
    const [, not, title = ""] = result;
    isFailed = Boolean(not);
    // What is skipped or still to do was not executed.
    if (/ # (SKIP|TODO)\b/i.test(title)) {
      report.skipped += 1;
      continue;
    }
    report[not ? "failed" : "passed"] += 1;
    if (not) report.told.push(title);
    const [first, second, ...rest] = title.split(" › ");
    const nested = path.join(folder, first, `${second}.spec.js`);
    if (rest.length > 0 && fs.existsSync(path.join(root, nested))) files.add(nested);
    else if (second !== undefined) files.add(path.join(folder, `${first}.spec.js`));
  }
  report.files = [...files];
  return report;
}

/** jest --json --outputFile. A file that could not be loaded counts as one failure. */
function jest(file, root) {
  if (!fs.existsSync(file)) return { passed: 0, failed: 0, files: [], told: [] };
  const json = JSON.parse(fs.readFileSync(file, "utf8"));
  const broken = json.testResults.filter((one) => one.status === "failed" && one.assertionResults.length === 0);
  return {
    passed: json.numPassedTests,
    failed: json.numFailedTests + broken.length,
    skipped: json.numPendingTests + json.numTodoTests,
    files: json.testResults.map((one) => path.relative(root, one.name)),
    told: [
      ...broken.map((one) => path.relative(root, one.name)),
      ...json.testResults.flatMap((one) => one.assertionResults.filter(({ status }) => status === "failed").map(({ fullName }) => fullName)),
    ],
  };
}

module.exports = { cargo, tap, jest };

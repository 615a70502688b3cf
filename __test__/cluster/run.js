"use strict";

// npm run test:cluster: several servers and their ways to fail, each case on servers of its own, with a table at the end. Takes minutes.
//
//   node __test__/cluster/run.js                 all
//   node __test__/cluster/run.js killed sentinel those whose title has one of these words
//   node __test__/cluster/run.js --quick         those that are part of `npm test`
//   node __test__/cluster/run.js specs           the spec files of maps and services alone, with a cluster in the place of their Redis

const path = require("node:path");
const { parseArgs } = require("node:util");
const { specFiles } = require("../../scripts/lib/coverage.js");
const { ensureMongod } = require("../../scripts/lib/mongod.js");
const { run, bin } = require("../../scripts/lib/run.js");
const { ensureRedisServer } = require("../../scripts/lib/tools.js");
const { FILES } = require("../support/not-on-cluster.js");

const CASES = ["sentinel", "redis-cluster", "mongo"].flatMap((group) => require(`./cases/${group}.js`));
const COLUMNS = ["calls", "hits", "lost", "wrong", "stale", "lostByRedis", "seconds", "pause"];
const HEADS = ["calls", "answered from memory", "lost", "wrong", "stale", "lost by Redis", "seconds until writes went on after the promotion", "longest pause of writes"];
const show = (report) => COLUMNS.map((column) => (["seconds", "pause"].includes(column) ? report[column].toFixed(2) : String(report[column] ?? "–")));

/** What callers see of maps and services is the same on a cluster: their spec files run there. Whether all passed. */
async function specsPass() {
  const files = specFiles().filter((file) => /\.spec\.js$/.test(file) && !(path.relative("__test__", file) in FILES));
  console.log(`\n${files.length} spec files, with a cluster in the place of their Redis`);
  ensureMongod();
  const show = (line) => !/^(ok \d+|TAP version|# |\s*$)/.test(line);
  const { code } = await run(bin("ava"), ["--tap", "--timeout", "2h", "--config", "ava.cluster.config.mjs", ...files], { show });
  return code === 0;
}

async function main() {
  const { values, positionals: words } = parseArgs({ options: { quick: { type: "boolean" } }, allowPositionals: true });
  await ensureRedisServer();
  const chosen = CASES.filter(({ title, quick }) => (quick || !values.quick) && (words.length === 0 || words.some((word) => title.includes(word))));
  const lines = [];
  let failed = 0;
  for (const one of chosen) {
    console.log(one.title);
    try {
      const report = await one.run();
      lines.push([one.title, ...show(report)]);
      console.log(`  ${show(report).map((text, at) => `${HEADS[at]} ${text}`).join(", ")}`);
    } catch (error) {
      failed++;
      console.log(`  FAILED: ${error.message}`);
      lines.push([one.title, "FAILED", ...COLUMNS.slice(1).map(() => "")]);
    }
  }
  console.log(`\n| case | ${HEADS.join(" | ")} |\n| --- |${" ---: |".repeat(HEADS.length)}`);
  for (const line of lines) console.log(`| ${line.join(" | ")} |`);
  const withSpecs = !values.quick && (words.length === 0 || words.includes("specs"));
  if (withSpecs && !(await specsPass())) failed++;
  const count = chosen.length + Number(withSpecs);
  console.log(`\n${count - failed} passed, ${failed} failed`);
  return failed > 0 || count === 0 ? 1 : 0;
}

// A case that has failed may have left its load at work.
main().then((code) => process.exit(code));

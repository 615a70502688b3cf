"use strict";

// The core of the suite, on the binary that the package finds: what must hold on every Node and every platform. It says less
// than `npm test`, and needs neither Rust nor git.
//
//   node scripts/core.js                 with this Node
//   node scripts/core.js --node <file>   with another one
//   node scripts/core.js --without-mongo what needs no MongoDB; --without-servers: what needs neither that nor Redis

const { parseArgs } = require("node:util");
const fs = require("node:fs");
const path = require("node:path");
const { ensureNodeModules, ensureRedisServer, kitFolder, root } = require("./lib/tools.js");
const { ensureMongod } = require("./lib/mongod.js");
const { run } = require("./lib/run.js");
const reports = require("./lib/reports.js");

const REDIS = [
  ...["base-map", "values", "context", "containers", "services", "iterate", "scan", "ttl", "logging", "config", "connection"],
  ...["reentrancy", "workers", "exit", "near-cache", "near-own", "near-foreign", "tls"],
];
const MONGO = [
  ...["mongo-crud", "mongo-services", "mongo-bulk", "mongo-documents", "mongo-cursors", "mongo-outage", "candle-cache", "candle-cache-writes"],
  ...["adapters/kits", "adapters/contract", "adapters/setup", "adapters/lists"],
];
/** Loading, and the embedded store: what needs no servers. */
const ALONE = ["binary", "store", "store-calls", "store-rows", "store-candles"];
const EVERYTHING = [...ALONE, ...REDIS, ...MONGO];

/** Runs the core with a Node (path of its program), more environment and on these files; resolves with the counts. */
async function core(node, { env = {}, files = EVERYTHING, title } = {}) {
  const specs = files.map((name) => path.join("__test__", `${name}.spec.js`));
  // ava passes over a file that is not there while others are.
  const gone = specs.filter((file) => !fs.existsSync(path.join(root, file)));
  if (gone.length > 0) throw new Error(`the core names spec files that are not there: ${gone.join(", ")}`);
  const show = (line) => !/^(ok \d|TAP version|\d+\.\.\d+|# |\s*$)/.test(line);
  const ava = path.join(root, "node_modules", "ava", "entrypoints", "cli.mjs");
  const { code, lines, ms } = await run(node, [ava, "--tap", ...specs], { show, env });
  const report = reports.tap(lines, "__test__");
  // The plan is TAP's last word.
  const ended = lines.some((line) => /^1\.\.\d+$/.test(line)) && (code === 0) === (report.failed === 0);
  if (!ended) report.failed += 1;
  console.log(`${title ?? node}: ${report.passed} passed, ${report.failed} failed (${(ms / 1000).toFixed(0)} s)`);
  return report;
}

async function main(args) {
  const options = { node: { type: "string" }, "without-mongo": { type: "boolean" }, "without-servers": { type: "boolean" } };
  const { values } = parseArgs({ args, options });
  const redis = !values["without-servers"];
  const mongo = redis && !values["without-mongo"];
  ensureNodeModules();
  if (redis) ensureRedisServer();
  if (mongo) {
    ensureNodeModules(kitFolder);
    ensureMongod();
  }
  const files = [...ALONE, ...(redis ? REDIS : []), ...(mongo ? MONGO : [])];
  const { passed, failed } = await core(values.node ?? process.execPath, { files, title: values.node ?? `Node ${process.version}` });
  console.log(`\n${passed} passed, ${failed} failed`);
  return passed > 0 && failed === 0 ? 0 : 1;
}

module.exports = { core, EVERYTHING };

if (require.main === module) {
  main(process.argv.slice(2)).then(
    (code) => process.exit(code),
    (error) => {
      console.error(error.message);
      process.exit(1);
    },
  );
}

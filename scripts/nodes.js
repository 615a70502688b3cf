"use strict";

// npm run test:nodes: the core of the suite (scripts/core.js) on every Node that the package is for, on Linux on x64. The Nodes are
// fetched once.
//
//   node scripts/nodes.js [version…]   major versions, 20 22 24 26 where none is named; `musl`: a Node for musl, with the binary of
//                                      `npm run build:all -- linux-x64-musl`

const fs = require("node:fs");
const path = require("node:path");
const { core, MONGO, REDIS } = require("./core.js");
const { ensureMongod } = require("./lib/mongod.js");
const { fetchMuslNode, fetchNode, versionsFor } = require("./lib/nodes.js");
const { ensureNodeModules, ensureRedisServer, kitFolder, root } = require("./lib/tools.js");

const SYSTEM = "linux-x64";
const LOADER = "/lib/ld-musl-x86_64.so.1";

/** A Node for musl, and where it finds the binary. */
function musl() {
  if (!fs.existsSync(LOADER)) throw new Error(`${LOADER} is missing; install it with: sudo apt-get install -y musl`);
  const binary = path.join(root, "target", "binaries", "backtest-kit-native.linux-x64-musl.node");
  if (!fs.existsSync(binary)) throw new Error("the binary is missing; make it with: npm run build:all -- linux-x64-musl");
  return { node: fetchMuslNode("x64"), env: { NAPI_RS_NATIVE_LIBRARY_PATH: binary } };
}

async function main(names) {
  if (process.platform !== "linux" || process.arch !== "x64") throw new Error("the Nodes that this fetches are for Linux on x64");
  const known = [...versionsFor(SYSTEM).map(String), "musl"];
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`there is no Node ${unknown.join(", ")} here, but ${known.join(", ")}`);
  ensureRedisServer();
  ensureNodeModules();
  ensureNodeModules(kitFolder);
  ensureMongod();
  const sum = { passed: 0, failed: 0 };
  for (const name of names.length > 0 ? names : known.slice(0, -1)) {
    const { node, env } = name === "musl" ? musl() : { node: fetchNode(SYSTEM, name) };
    const { passed, failed } = await core(node, { env, files: [...REDIS, ...MONGO], title: `Node ${name}` });
    sum.passed += passed;
    sum.failed += failed;
  }
  console.log(`\n${sum.passed} passed, ${sum.failed} failed`);
  return sum.passed > 0 && sum.failed === 0 ? 0 : 1;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    console.error(error.message);
    process.exit(1);
  },
);

"use strict";

// npm run test:nodes: the core of the suite (scripts/core.js) on every Node that the package is for. It runs on Linux on x64, and
// fetches the Nodes once.
//
//   node scripts/nodes.js [name…]   major versions, 20 22 24 26 where none is named
//   node scripts/nodes.js musl      a Node for musl, with the binary of `npm run build:all -- linux-x64-musl`
//   node scripts/nodes.js arm64     a Node for arm64 under qemu, with that of `npm run build:all -- linux-arm64-gnu`: slowly, and only
//                                   files that do not depend on time
//   node scripts/nodes.js arm64-musl  the same on a Node for musl, with that of `npm run build:all -- linux-arm64-musl`
//   node scripts/nodes.js windows   a Node for Windows under Wine, with that of `npm run build:all -- win32-x64-gnu`

const fs = require("node:fs");
const path = require("node:path");
const { binaryName } = require("../js/platform.js");
const { core, EVERYTHING } = require("./core.js");
const { emulatedNode } = require("./cross/qemu.js");
const { drive, wineNode } = require("./cross/wine.js");
const { ensureMongod } = require("./lib/mongod.js");
const { fetchMuslNode, fetchNode, versionsFor } = require("./lib/nodes.js");
const { ensureNodeModules, ensureRedisServer, kitFolder, root } = require("./lib/tools.js");

const SYSTEM = "linux-x64";
const LOADER = "/lib/ld-musl-x86_64.so.1";
/** What runs under qemu, where all is twenty times slower and each program a process of its own takes seconds to start. */
const EMULATED = ["store-rows", "values", "context", "services", "iterate", "ttl", "near-own", "mongo-crud", "mongo-services", "mongo-documents"];

/** Puts the binary that was built for a foreign Node where the package looks for it first, as `name`; returns what removes it. */
function placeBinary(platform, name = platform) {
  const binary = path.join(root, "target", "binaries", binaryName(platform));
  if (!fs.existsSync(binary)) throw new Error(`${path.relative(root, binary)} is missing; make it with: npm run build:all -- ${platform}`);
  const placed = path.join(root, binaryName(name));
  fs.copyFileSync(binary, placed);
  return () => fs.rmSync(placed);
}

const FOREIGN = {
  musl() {
    if (!fs.existsSync(LOADER)) throw new Error(`${LOADER} is missing; install it with: sudo apt-get install -y musl`);
    return { node: fetchMuslNode("x64"), stop: placeBinary("linux-x64-musl") };
  },
  arm64: () => ({ node: emulatedNode("glibc"), files: EMULATED, stop: placeBinary("linux-arm64-gnu") }),
  "arm64-musl": () => ({ node: emulatedNode("musl"), files: EMULATED, stop: placeBinary("linux-arm64-musl") }),
  async windows() {
    const { node, env, stop } = await wineNode(22);
    const remove = placeBinary("win32-x64-gnu", "win32-x64-msvc");
    const servers = { REDIS_SERVER: drive(ensureRedisServer()), MONGOD: drive(ensureMongod()) };
    return { node, env: { ...env, ...servers }, stop: () => (stop(), remove()) };
  },
};

async function main(names) {
  if (process.platform !== "linux" || process.arch !== "x64") throw new Error("the Nodes that this fetches are for Linux on x64");
  const versions = versionsFor(SYSTEM).map(String);
  const known = [...versions, ...Object.keys(FOREIGN)];
  const unknown = names.filter((name) => !known.includes(name));
  if (unknown.length > 0) throw new Error(`there is no Node ${unknown.join(", ")} here, but ${known.join(", ")}`);
  ensureRedisServer();
  ensureNodeModules();
  ensureNodeModules(kitFolder);
  ensureMongod();
  const sum = { passed: 0, failed: 0 };
  for (const name of names.length > 0 ? names : versions) {
    const { node, env, files = EVERYTHING, stop } = (await FOREIGN[name]?.()) ?? { node: fetchNode(SYSTEM, name) };
    try {
      const { passed, failed } = await core(node, { env, files, title: `Node ${name}` });
      sum.passed += passed;
      sum.failed += failed;
    } finally {
      stop?.();
    }
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

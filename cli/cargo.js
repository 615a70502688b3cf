"use strict";
// Builds the addon with cargo. Uses nothing but Node, because a package that is installed where no binary fits builds itself
// with it.

const { execFileSync, spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const { binaryName } = require("../js/platform.js");
const { Failure } = require("./failure.js");

const root = path.join(__dirname, "..");

/**
 * Builds the library of the crate in a folder, in release mode; returns the path of what Node can load. Where that is, only
 * cargo knows: its configuration and environment may name another target or another folder. A cargo that fails has said why.
 */
function buildLibrary(crate) {
  const words = ["build", "--release", "--lib", "--locked", "--message-format=json-render-diagnostics"];
  let out;
  try {
    out = execFileSync("cargo", words, { cwd: crate, stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1 << 28, encoding: "utf8" });
  } catch (error) {
    throw new Failure(`cargo build did not succeed (${error.signal ?? `code ${error.status}`}): its own words stand above`, { cause: error });
  }
  const messages = out.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  const manifest = fs.realpathSync(path.join(crate, "Cargo.toml"));
  const own = messages.filter(({ reason, manifest_path: file }) => reason === "compiler-artifact" && file === manifest);
  const files = own.filter(({ target }) => target.crate_types.includes("cdylib")).flatMap(({ filenames }) => filenames);
  const built = files.find((file) => /\.(so|dylib|dll)$/.test(file));
  if (built === undefined) {
    throw new Failure(`cargo built no library that Node can load${files.length > 0 ? `, but ${files.join(", ")}` : ""}`);
  }
  return built;
}

/** Removes what was set aside before the new binary came, but for what a process has loaded: the next build tries again. */
function sweep(target) {
  const folder = path.dirname(target);
  for (const name of fs.readdirSync(folder).filter((one) => one.startsWith(`${path.basename(target)}.old-`))) {
    try {
      fs.rmSync(path.join(folder, name));
    } catch {
      // It is loaded.
    }
  }
}

/** Puts the binary where it is wanted. By a copy and a rename: a process that has the old one loaded keeps it. */
function place(library, target) {
  try {
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.copyFileSync(library, `${target}.new`);
    // Windows renames a library that a process has loaded, but neither replaces nor removes it.
    if (process.platform === "win32" && fs.existsSync(target)) fs.renameSync(target, `${target}.old-${process.pid}`);
    fs.renameSync(`${target}.new`, target);
    sweep(target);
  } catch (error) {
    throw new Failure(`${target} cannot be written (${error.code}); --out names another file`, { cause: error });
  }
}

/** Builds in release mode; returns the path of the binary, by default the one that the package looks for in itself. */
function build(target = path.join(root, binaryName())) {
  if (!fs.existsSync(path.join(root, "Cargo.toml")) || /\.zip[\\/]/.test(root)) {
    throw new Failure(`${root} holds no source that cargo can read; with Yarn's Plug'n'Play, \`yarn unplug backtest-kit-native\` first`);
  }
  if (spawnSync("cargo", ["--version"]).status !== 0) {
    throw new Failure("backtest-kit-native is built with Rust, and cargo was not found: install it from https://rustup.rs");
  }
  place(buildLibrary(root), target);
  return target;
}

module.exports = { build, buildLibrary, place };

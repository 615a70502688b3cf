"use strict";
// Builds the addon for this platform and puts it where js/binding.js looks for it. Uses nothing but Node and cargo, so
// that a package which is installed where no prebuilt binary fits can build itself.

const { execFileSync, spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const { binaryName } = require("../js/platform.js");

const root = path.join(__dirname, "..");

/**
 * Builds the library of the crate in a folder, in release mode; returns the path of what Node can load. Where that is, only
 * cargo knows: its configuration and environment may name another target or another folder.
 */
function buildLibrary(crate) {
  const words = ["build", "--release", "--lib", "--locked", "--message-format=json-render-diagnostics"];
  const out = execFileSync("cargo", words, { cwd: crate, stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1 << 28, encoding: "utf8" });
  const messages = out.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
  const manifest = fs.realpathSync(path.join(crate, "Cargo.toml"));
  const own = messages.filter(({ reason, manifest_path: file }) => reason === "compiler-artifact" && file === manifest);
  const files = own.filter(({ target }) => target.crate_types.includes("cdylib")).flatMap(({ filenames }) => filenames);
  const built = files.find((file) => /\.(so|dylib)$/.test(file));
  if (built === undefined) {
    throw new Error(`cargo built no library that Node can load${files.length > 0 ? `, but ${files.join(", ")}` : ""}`);
  }
  return built;
}

/** Builds in release mode; returns the path of the binary. Throws an Error that says what to do. */
function build() {
  if (spawnSync("cargo", ["--version"]).status !== 0) {
    throw new Error("backtest-kit-native is built with Rust, and cargo was not found: install it from https://rustup.rs");
  }
  const target = path.join(root, binaryName());
  // A copy and a rename: a process that has the old binary loaded keeps it.
  fs.copyFileSync(buildLibrary(root), `${target}.new`);
  fs.renameSync(`${target}.new`, target);
  return target;
}

module.exports = { build, buildLibrary };

if (require.main === module) {
  try {
    console.log(`built ${path.relative(root, build())}`);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}

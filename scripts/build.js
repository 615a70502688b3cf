"use strict";
// Builds the addon for this platform and puts it where js/binding.js looks for it. Uses nothing but Node and cargo, so
// that a package which is installed where no prebuilt binary fits can build itself.

const { execFileSync, spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const { binaryName } = require("../js/platform.js");

const root = path.join(__dirname, "..");

/** Builds in release mode; returns the path of the binary. Throws an Error that says what to do. */
function build() {
  if (spawnSync("cargo", ["--version"]).status !== 0) {
    throw new Error("backtest-kit-native is built with Rust, and cargo was not found: install it from https://rustup.rs");
  }
  execFileSync("cargo", ["build", "--release", "--lib", "--locked"], { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  const metadata = JSON.parse(
    execFileSync("cargo", ["metadata", "--format-version=1", "--no-deps", "--locked"], { cwd: root, maxBuffer: 1 << 26 }),
  );
  const suffix = process.platform === "darwin" ? "dylib" : "so";
  const built = path.join(metadata.target_directory, "release", `libbacktest_kit_native.${suffix}`);
  const target = path.join(root, binaryName());
  // A copy and a rename: a process that has the old binary loaded keeps it.
  fs.copyFileSync(built, `${target}.new`);
  fs.renameSync(`${target}.new`, target);
  return target;
}

module.exports = { build };

if (require.main === module) {
  try {
    console.log(`built ${path.relative(root, build())}`);
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}

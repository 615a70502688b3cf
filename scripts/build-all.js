"use strict";

// npm run build:all: the binaries for other machines too, into target/binaries.
//
//   node scripts/build-all.js [platform…]   all that this machine can build, where none is named
//
// On Linux (x64) it builds for Linux: x64 and arm64, for glibc 2.17 and for musl; and win32-x64-gnu, where that is named, with MinGW: it
// proves the port to Windows and is not published. On macOS it builds for both kinds of Mac, on Windows for Windows.

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { binaryName } = require("../js/platform.js");
const { rustFor } = require("./cross/rust.js");
const { zig } = require("./cross/zig.js");
const { root, which } = require("./lib/tools.js");
const { binaryProblems } = require("./release/checks.js");
const { GLIBC_FLOOR, MINGW, TARGETS } = require("./release/targets.js");

const targetFolder = path.join(root, "target", "cross");
const binaries = path.join(root, "target", "binaries");
/** Of crates with code in C, and the linker. */
const MINGW_COMPILER = "x86_64-w64-mingw32-gcc";
/** What cargo calls the library. */
const LIBRARIES = { linux: "libbacktest_kit_native.so", darwin: "libbacktest_kit_native.dylib", win32: "backtest_kit_native.dll" };

/**
 * A folder with a library of Node's in which there is nothing: the build of the napi crate asks for one with MinGW, although all that
 * it needs of Node is looked up when the addon is loaded.
 */
function emptyNode() {
  const folder = path.join(targetFolder, "empty-node");
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(path.join(folder, "libnode.dll"), "");
  fs.writeFileSync(path.join(folder, "libnode.a"), "!<arch>\n");
  return folder;
}

/** The program and words that build for a target, and more environment. `words` go to cargo. */
function commandFor({ triple, os, libc }, words) {
  const build = ["--release", "--lib", "--locked", "--target-dir", targetFolder, ...words];
  if (triple === MINGW.triple && !which(MINGW_COMPILER)) throw new Error("MinGW is missing; install it with: sudo apt-get install -y gcc-mingw-w64-x86-64");
  if (os !== "linux") {
    return { command: "cargo", args: ["build", ...build, "--target", triple], env: triple === MINGW.triple ? { LIBNODE_PATH: emptyNode() } : {} };
  }
  const { compiler, zigbuild } = zig();
  const flags = `CARGO_TARGET_${triple.toUpperCase().replaceAll("-", "_")}_RUSTFLAGS`;
  return {
    command: zigbuild,
    args: ["zigbuild", ...build, "--target", libc === "glibc" ? `${triple}.${GLIBC_FLOOR}` : triple],
    // What Node loads must share its C library; for musl, Rust would link one into the file, and make no such library at all.
    env: { CARGO_ZIGBUILD_ZIG_PATH: compiler, ...(libc === "musl" && { [flags]: "-C target-feature=-crt-static" }) },
  };
}

function build(target) {
  const rust = rustFor(target.triple);
  const { command, args, env } = commandFor(target, rust.words);
  console.log(`== ${target.platform}: ${rust.describe}`);
  const started = Date.now();
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, ...rust.env, ...env } });
  if (status !== 0) throw new Error(`${target.platform} could not be built: ${error?.message ?? `${path.basename(command)} ended with code ${status}`}`);
  const library = path.join(targetFolder, target.triple, "release", LIBRARIES[target.os]);
  const problems = target.os === "darwin" ? [] : binaryProblems(fs.readFileSync(library), target);
  if (problems.length > 0) throw new Error(problems.join("; "));
  const file = path.join(binaries, binaryName(target.platform));
  fs.mkdirSync(binaries, { recursive: true });
  fs.copyFileSync(library, `${file}.new`);
  fs.renameSync(`${file}.new`, file);
  console.log(`-- ${path.relative(root, file)}: ${(fs.statSync(file).size / 1e6).toFixed(1)} MB (${((Date.now() - started) / 1000).toFixed(0)} s)`);
}

function main(names) {
  const possible = [...TARGETS.filter(({ os }) => os === process.platform), ...(process.platform === "linux" ? [MINGW] : [])];
  const unknown = names.filter((name) => !possible.some(({ platform }) => platform === name));
  if (unknown.length > 0) {
    console.error(`${unknown.join(", ")} cannot be built here; there are ${possible.map(({ platform }) => platform).join(", ")}`);
    return 2;
  }
  let failed = 0;
  for (const target of possible.filter((one) => (names.length === 0 ? one !== MINGW : names.includes(one.platform)))) {
    try {
      build(target);
    } catch (error) {
      failed += 1;
      console.error(`-- ${target.platform}: ${error.message}`);
    }
  }
  return failed === 0 ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));

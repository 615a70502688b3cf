"use strict";

// How the addon is found by those who build it: where cargo has put the library, and which binary is this platform's.

const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { serial: test } = require("ava");
const { buildLibrary } = require("../cli/cargo.js");
const { binaryName } = require("../js/platform.js");
const { folderFor } = require("./support/folder.js");

/** The target that cargo builds for of its own accord. */
const host = () => /^host: (.*)$/m.exec(execFileSync("rustc", ["-vV"], { encoding: "utf8" }))[1];

/** A crate like ours, but with next to nothing in it. */
function crateFor(t) {
  const dir = folderFor(t);
  const manifest = '[package]\nname = "backtest-kit-native"\nversion = "0.1.0"\nedition = "2021"\n\n[lib]\ncrate-type = ["cdylib", "lib"]\n';
  fs.mkdirSync(path.join(dir, "src"));
  fs.writeFileSync(path.join(dir, "Cargo.toml"), manifest);
  fs.writeFileSync(path.join(dir, "Cargo.lock"), 'version = 3\n\n[[package]]\nname = "backtest-kit-native"\nversion = "0.1.0"\n');
  fs.writeFileSync(path.join(dir, "src", "lib.rs"), "#[no_mangle]\npub extern \"C\" fn answer() -> i32 {\n    42\n}\n");
  return dir;
}

/** Sets variables for one test. */
function setFor(t, variables) {
  const before = Object.keys(variables).map((name) => [name, process.env[name]]);
  t.teardown(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
}

const NONE = { CARGO_BUILD_TARGET: undefined, CARGO_TARGET_DIR: undefined, CARGO_BUILD_TARGET_DIR: undefined };

for (const [name, prepare] of Object.entries({
  "where nothing is set": () => ({}),
  "where CARGO_BUILD_TARGET is set": () => ({ CARGO_BUILD_TARGET: host() }),
  "where cargo's configuration names a target": (dir) => {
    fs.mkdirSync(path.join(dir, ".cargo"));
    fs.writeFileSync(path.join(dir, ".cargo", "config.toml"), `[build]\ntarget = "${host()}"\n`);
    return {};
  },
  "where CARGO_TARGET_DIR is set": (dir) => ({ CARGO_TARGET_DIR: path.join(dir, "elsewhere") }),
})) {
  test(`what cargo has built is found ${name}, when it is new and when it was there`, (t) => {
    const dir = crateFor(t);
    setFor(t, { ...NONE, ...prepare(dir) });
    const built = buildLibrary(dir);
    t.true(fs.statSync(built).isFile());
    t.regex(path.basename(built), /^libbacktest_kit_native\.(so|dylib)$/);
    t.true(built.startsWith(fs.realpathSync(dir)), built);
    t.is(buildLibrary(dir), built);
  });
}

test("a crate that does not compile is an error, and no older library is taken for it", (t) => {
  const dir = crateFor(t);
  setFor(t, NONE);
  buildLibrary(dir);
  fs.writeFileSync(path.join(dir, "src", "lib.rs"), "this is no Rust");
  t.throws(() => buildLibrary(dir), { message: /cargo build/ });
});

test("looking for the platform's binary leaves process.report as it was, whatever happens", (t) => {
  const { report } = process;
  const before = report.excludeNetwork;
  t.teardown(() => (report.excludeNetwork = before));
  for (const own of [false, true]) {
    report.excludeNetwork = own;
    t.regex(binaryName(), /^backtest-kit-native\..*\.node$/);
    t.is(report.excludeNetwork, own);
    const { getReport } = report;
    report.getReport = () => {
      throw new Error("no report");
    };
    try {
      if (process.platform === "linux") t.throws(binaryName, { message: "no report" });
    } finally {
      report.getReport = getReport;
    }
    t.is(report.excludeNetwork, own);
  }
});

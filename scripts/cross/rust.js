"use strict";

// A Rust compiler with the standard library for a target. rustup has both where it can fetch targets. Elsewhere they come from
// Debian: its compiler for browsers (rustc-web) with its source, from which cargo builds a standard library for targets that
// Debian has none for. A standard library works with no compiler but the one that made it, so all of Debian's packages are of one
// version, and unpacked into one folder; nothing is installed.

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { cached, program } = require("../lib/cache.js");
const { which } = require("../lib/tools.js");

/** Whether rustup has, or can fetch, the standard library of a target. */
function rustupHas(triple) {
  return which("rustup") !== null && spawnSync("rustup", ["target", "add", triple], { stdio: "ignore", timeout: 120_000 }).status === 0;
}

/** apt-get with lists of its own, so that packages for arm64 are seen without the system being told of that architecture. */
function aptIn(folder) {
  for (const name of ["lists/partial", "archives/partial"]) fs.mkdirSync(path.join(folder, name), { recursive: true });
  const options = [
    `Dir::State::lists=${folder}/lists`,
    `Dir::Cache::archives=${folder}/archives`,
    `Dir::Cache::pkgcache=`,
    `Dir::Cache::srcpkgcache=`,
    "APT::Architectures::=amd64",
    "APT::Architectures::=arm64",
    "APT::Sandbox::User=",
  ].flatMap((option) => ["-o", option]);
  return (command, ...words) => program(command, [...options, ...words], { cwd: folder });
}

/** Unpacks Debian's compiler, its standard libraries and their source. apt-get checks each against Debian's signed lists. */
function unpackDebian(folder) {
  const fetched = path.join(folder, "fetched");
  const apt = aptIn(fetched);
  apt("apt-get", "-q", "update");
  const closure = apt("apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances", "rustc-web");
  const needed = closure.split("\n").filter((name) => /^(rustc-web|libstd-rust-web-[\w.]+|libllvm\d+)$/.test(name));
  apt("apt-get", "-q", "download", ...new Set([...needed, "rust-web-src", "libstd-rust-web-dev:arm64"]));
  const archives = fs.readdirSync(fetched).filter((name) => name.endsWith(".deb"));
  const versions = new Set(archives.filter((name) => name.includes("rust")).map((name) => name.split("_")[1]));
  if (versions.size !== 1) throw new Error(`Debian's packages of Rust are of several versions: ${[...versions].join(", ")}`);
  for (const name of archives) program("dpkg-deb", ["-x", path.join(fetched, name), folder]);
  fs.rmSync(fetched, { recursive: true });
  // Its own libraries lie beside it, and not where the system looks.
  const wrapper = '#!/bin/sh\nhere=$(dirname "$0")\nlibraries=$here/usr/lib/x86_64-linux-gnu\nexport LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"\nexec "$here/usr/bin/rustc" "$@"\n';
  fs.writeFileSync(path.join(folder, "rustc"), wrapper, { mode: 0o755 });
}

/**
 * How cargo is to be called for a target: more environment, and more words. `describe` tells which compiler it is.
 */
function rustFor(triple) {
  if (rustupHas(triple)) return { env: {}, words: [], describe: "rustup's toolchain" };
  if (process.arch !== "x64" || !which("apt-get") || !which("dpkg-deb")) {
    throw new Error(`there is no standard library for ${triple}: rustup cannot fetch one, and this is no Debian on x64`);
  }
  const folder = cached("rust-web", unpackDebian);
  const ready = fs.existsSync(path.join(folder, "usr", "lib", "rustlib", triple, "lib"));
  return {
    env: { RUSTC: path.join(folder, "rustc"), ...(!ready && { RUSTC_BOOTSTRAP: "1" }) },
    words: ready ? [] : ["-Z", "build-std=std,panic_unwind"],
    describe: `Debian's rustc-web${ready ? "" : ", with a standard library built from its source"}`,
  };
}

module.exports = { rustFor };

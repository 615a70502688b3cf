"use strict";

// A Rust compiler with the standard library for a target. The compiler that is there may have it (rustup target add). Elsewhere both
// come from Debian: its compiler for browsers (rustc-web) with its source, from which cargo builds a standard library for targets
// that Debian has none for. A standard library works with no compiler but the one that made it, so all of Debian's packages are
// of one version, and unpacked into one folder; nothing is installed.

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { cached } = require("../lib/cache.js");
const { root, which } = require("../lib/tools.js");
const { debianPackages } = require("./debian.js");

/** Whether the compiler on PATH has the standard library of a target. */
function hasLibrary(triple) {
  const { stdout } = spawnSync("rustc", ["--print", "target-libdir", "--target", triple], { encoding: "utf8", cwd: root });
  return Boolean(stdout) && fs.existsSync(stdout.trim());
}

/** Unpacks Debian's compiler, its standard libraries and their source. */
function unpackDebian(folder) {
  const archives = debianPackages(folder, (apt) => {
    const needed = apt.closure("rustc-web").filter((name) => /^(rustc-web|libstd-rust-web-[\w.]+|libllvm\d+)$/.test(name));
    return [...needed, "rust-web-src", "libstd-rust-web-dev:arm64"];
  });
  const versions = new Set(archives.filter((name) => name.includes("rust")).map((name) => name.split("_")[1]));
  if (versions.size !== 1) throw new Error(`Debian's packages of Rust are of several versions: ${[...versions].join(", ")}`);
  // Its own libraries lie beside it, and not where the system looks.
  const wrapper = '#!/bin/sh\nhere=$(dirname "$0")\nlibraries=$here/usr/lib/x86_64-linux-gnu\nexport LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"\nexec "$here/usr/bin/rustc" "$@"\n';
  fs.writeFileSync(path.join(folder, "rustc"), wrapper, { mode: 0o755 });
}

/**
 * How cargo is to be called for a target: more environment, and more words. `describe` tells which compiler it is.
 */
function rustFor(triple) {
  if (hasLibrary(triple)) return { env: {}, words: [], describe: "the compiler that is there" };
  if (process.arch !== "x64" || !which("apt-get") || !which("dpkg-deb")) {
    throw new Error(`there is no standard library for ${triple}: try rustup target add ${triple}; another way there is on Debian for x64 only`);
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

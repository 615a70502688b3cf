"use strict";

// Packages of Debian, unpacked into a folder and not installed.

const fs = require("node:fs");
const path = require("node:path");
const { program } = require("../lib/cache.js");

/**
 * apt-get with lists of its own, so that packages for arm64 are seen without the system being told of that architecture. It checks
 * each package against Debian's signed lists.
 */
function aptIn(folder) {
  for (const name of ["lists/partial", "archives/partial"]) fs.mkdirSync(path.join(folder, name), { recursive: true });
  const options = [
    `Dir::State::lists=${folder}/lists`,
    `Dir::Cache::archives=${folder}/archives`,
    "Dir::Cache::pkgcache=",
    "Dir::Cache::srcpkgcache=",
    "APT::Architectures::=amd64",
    "APT::Architectures::=arm64",
    "APT::Sandbox::User=",
  ].flatMap((option) => ["-o", option]);
  const run = (command, ...words) => program(command, [...options, ...words], { cwd: folder });
  const without = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"].map((kind) => `--no-${kind}`);
  return {
    run,
    /** The names of a package and all that it depends on. */
    closure: (name) => run("apt-cache", "depends", "--recurse", ...without, name).split("\n").filter((line) => /^\S/.test(line)),
  };
}

/** Unpacks packages into a folder: those that `choose(apt)` names. Returns the names of their archives. */
function debianPackages(folder, choose) {
  const fetched = path.join(folder, "fetched");
  const apt = aptIn(fetched);
  apt.run("apt-get", "-q", "update");
  apt.run("apt-get", "-q", "download", ...new Set(choose(apt)));
  const archives = fs.readdirSync(fetched).filter((name) => name.endsWith(".deb"));
  for (const name of archives) program("dpkg-deb", ["-x", path.join(fetched, name), folder]);
  fs.rmSync(fetched, { recursive: true });
  return archives;
}

module.exports = { debianPackages };

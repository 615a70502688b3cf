"use strict";

// Which crates are in the binary, as cargo tells it: for the licences and for the list of components (SBOM).

const { execFileSync } = require("node:child_process");
const { root } = require("../lib/tools.js");
const { TARGETS } = require("./targets.js");

function cargo(words) {
  const options = { cwd: root, encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "inherit"] };
  return execFileSync("cargo", [words[0], "--locked", ...words.slice(1)], options);
}

const byName = (a, b) => (a.name === b.name ? a.version.localeCompare(b.version) : a.name < b.name ? -1 : 1);

/**
 * What is linked into the binary for one target: this crate and `crates`, sorted by name, each with `dependsOn`, the crates
 * that it calls. Build scripts and macros run while it is built, and are not in it.
 */
function linkedCrates(triple) {
  // `metadata` has all about a crate, but names optional ones too that no feature asks for; `tree` knows which are built.
  const tree = cargo(["tree", "--target", triple, "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]);
  const built = new Set([...tree.matchAll(/^(\S+) v(\S+)/gm)].map(([, name, version]) => `${name} ${version}`));
  const { packages, resolve } = JSON.parse(cargo(["metadata", "--format-version", "1", "--filter-platform", triple]));
  const made = packages.filter(({ name, version }) => built.has(`${name} ${version}`));
  const packageOf = new Map(made.map((one) => [one.id, one]));
  const nodeOf = new Map(resolve.nodes.map((one) => [one.id, one]));
  for (const one of made) {
    const calls = nodeOf.get(one.id).deps.filter(({ dep_kinds: kinds }) => kinds.some(({ kind }) => kind === null));
    one.dependsOn = calls.map((dep) => packageOf.get(dep.pkg)).filter((dep) => dep !== undefined).sort(byName);
  }
  return { own: packageOf.get(resolve.root), crates: made.filter(({ id }) => id !== resolve.root).sort(byName) };
}

/** The crates of the binaries for all platforms, each once. */
function allCrates() {
  const all = new Map(TARGETS.flatMap(({ triple }) => linkedCrates(triple).crates.map((one) => [one.id, one])));
  return [...all.values()].sort(byName);
}

module.exports = { linkedCrates, allCrates };

"use strict";

// What must be so before anything is published: versions, changelog, and what each binary asks of its system. Pure but for
// `readTree`.

const fs = require("node:fs");
const path = require("node:path");
const { root } = require("../lib/tools.js");
const { readElf, glibcNeeded } = require("./elf.js");
const { readPe } = require("./pe.js");
const { GLIBC_FLOOR } = require("./targets.js");

/** The most that a platform's package may take, packed, in bytes. */
const MAX_PACKED = 5_500_000;

/** The texts that a release is judged by. */
function readTree() {
  const read = (file) => fs.readFileSync(path.join(root, file), "utf8");
  return {
    manifest: read("package.json"),
    lock: read("package-lock.json"),
    crate: read("Cargo.toml"),
    crateLock: read("Cargo.lock"),
    changelog: read("CHANGELOG.md"),
  };
}

/** The sections of a changelog by their titles: `0.1.0` also where its date stands behind it. */
function sections(changelog) {
  const parts = changelog.split(/^## /m).slice(1);
  return new Map(parts.map((part) => [/^\[?([^\]\s]+)/.exec(part)[1], part.slice(part.indexOf("\n")).trim()]));
}

/** What keeps this tree from being released, a sentence each. `tag` is that of the release, where there is one already. */
function treeProblems({ manifest, lock, crate, crateLock, changelog }, tag) {
  const { version } = JSON.parse(manifest);
  const locked = JSON.parse(lock);
  const inLock = /name = "backtest-kit-native"\nversion = "([^"]+)"/.exec(crateLock)?.[1];
  const versions = {
    "package-lock.json": locked.version,
    "package-lock.json's own package": locked.packages[""].version,
    "Cargo.toml": /^version = "([^"]+)"/m.exec(crate)?.[1],
    "Cargo.lock": inLock,
  };
  const problems = Object.entries(versions)
    .filter(([, other]) => other !== version)
    .map(([file, other]) => `package.json has version ${version}, ${file} ${other}`);
  const written = sections(changelog);
  if (!written.get(version)) problems.push(`CHANGELOG.md has no section ${version}`);
  if (written.get("Unreleased")) problems.push(`CHANGELOG.md has changes under "Unreleased" that belong to ${version}`);
  if (tag !== undefined && tag !== `v${version}`) problems.push(`the tag is ${tag}, package.json has version ${version}`);
  return problems;
}

/**
 * What systems have without anything being installed: on Linux the C library, and GCC's unwinder, which Node itself needs; on Windows
 * its own libraries, to which the C library of Visual Studio does not belong.
 */
const SYSTEM = {
  glibc: /^(lib(c|m|dl|pthread|rt)\.so\.\d|libgcc_s\.so\.1|ld-linux-(x86-64|aarch64)\.so\.\d)$/,
  musl: /^(libc\.so|libc\.musl-\w+\.so\.1|libgcc_s\.so\.1)$/,
  win32: /^(kernel32|ntdll|ws2_32|advapi32|bcrypt|bcryptprimitives|crypt32|ncrypt|ktmw32|secur32|iphlpapi|userenv|oleaut32|msvcrt|api-ms-win-(core|crt)-[\w-]+)\.dll$/i,
};

const newer = (one, other) => {
  const [a, b] = [one, other].map((version) => version.split(".").map(Number));
  const at = a.findIndex((part, index) => part !== (b[index] ?? 0));
  return at >= 0 && a[at] > (b[at] ?? 0);
};

/** What keeps a binary for Linux or Windows from being published for its target, a sentence each. */
function binaryProblems(bytes, { os: system, cpu, libc }) {
  const found = system === "win32" ? readPe(bytes) : readElf(bytes);
  const problems = [];
  if (found.machine !== cpu) problems.push(`it is built for ${found.machine}`);
  for (const library of found.libraries.filter((one) => !SYSTEM[libc ?? system].test(one))) problems.push(`it needs ${library}`);
  const needed = libc === "glibc" ? glibcNeeded(found) : null;
  if (needed !== null && newer(needed, GLIBC_FLOOR)) problems.push(`it needs glibc ${needed}, and may ask for ${GLIBC_FLOOR}`);
  return problems;
}

module.exports = { MAX_PACKED, readTree, treeProblems, binaryProblems };

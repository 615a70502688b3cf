"use strict";

// The release: what keeps one from being published, what its packages say of themselves, and that users of npm, pnpm and Yarn can
// install it.

const { execFile } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { serial: test } = require("ava");
const { binaryName, packageName, platformName } = require("../js/platform.js");
const { binaryProblems, readTree, treeProblems } = require("../scripts/release/checks.js");
const { glibcNeeded, readElf } = require("../scripts/release/elf.js");
const { readPe } = require("../scripts/release/pe.js");
const { choose } = require("../scripts/release/licences.js");
const { packPlatform, packPublished } = require("../scripts/release/pack.js");
const { TARGETS } = require("../scripts/release/targets.js");
const { root } = require("./support/addon.js");
const { folderFor } = require("./support/folder.js");

const { version } = require("../package.json");
const host = TARGETS.find(({ platform }) => platform === platformName());

/** Unpacks a tarball; returns the folder of what was in it. */
function unpack(t, file) {
  const folder = folderFor(t);
  require("node:child_process").execFileSync("tar", ["xzf", file, "-C", folder]);
  return path.join(folder, "package");
}

const json = (...parts) => JSON.parse(fs.readFileSync(path.join(...parts), "utf8"));

/** This tree as it would be on the day of its release. */
function readyTree() {
  const tree = readTree();
  return { ...tree, changelog: `# Changelog\n\n## Unreleased\n\n## ${version} - 2026-01-01\n\n- All of it.\n` };
}

test("a tree whose files agree on the version can be released, also under its tag", (t) => {
  t.deepEqual(treeProblems(readyTree()), []);
  t.deepEqual(treeProblems(readyTree(), `v${version}`), []);
});

test("each place with another version, a missing section, changes without one and a foreign tag are problems of their own", (t) => {
  const tree = readyTree();
  const other = (name, from, to) => treeProblems({ ...tree, [name]: tree[name].replace(from, to) });
  t.regex(other("manifest", `"version": "${version}"`, '"version": "9.9.9"')[0], /^package\.json has version 9\.9\.9, package-lock\.json/);
  t.deepEqual(other("crate", `version = "${version}"`, 'version = "9.9.9"'), [`package.json has version ${version}, Cargo.toml 9.9.9`]);
  t.deepEqual(other("crateLock", `name = "backtest-kit-native"\nversion = "${version}"`, 'name = "backtest-kit-native"\nversion = "9.9.9"'), [
    `package.json has version ${version}, Cargo.lock 9.9.9`,
  ]);
  t.deepEqual(other("lock", `"version": "${version}"`, '"version": "9.9.9"'), [`package.json has version ${version}, package-lock.json 9.9.9`]);
  t.deepEqual(other("changelog", `## ${version}`, "## 9.9.9"), [`CHANGELOG.md has no section ${version}`]);
  t.deepEqual(other("changelog", "## Unreleased\n", "## Unreleased\n\n- More.\n"), [
    `CHANGELOG.md has changes under "Unreleased" that belong to ${version}`,
  ]);
  t.deepEqual(treeProblems(tree, "v9.9.9"), [`the tag is v9.9.9, package.json has version ${version}`]);
});

// Skipped, and named so in the results, only where the binary is of another kind: macOS has no ELF files, and musl no versions of
// glibc.
const onGnu = host?.libc === "glibc" ? test : test.skip;

onGnu("what a Linux binary needs is read from it", (t) => {
  const elf = readElf(fs.readFileSync(path.join(root, binaryName())));
  t.is(elf.machine, process.arch);
  t.true(elf.libraries.includes("libc.so.6"));
  t.regex(glibcNeeded(elf), /^2\.\d+$/);
  t.is(glibcNeeded({ needs: { "libc.so.6": ["GLIBC_2.9", "GLIBC_2.17", "GLIBC_2.2.5"], "libgcc_s.so.1": ["GCC_4.2.0"] } }), "2.17");
  t.throws(() => readElf(Buffer.from("no library".repeat(10))), { message: /no 64-bit/ });
});

onGnu("a binary for another machine, one that needs more than the system's libraries, and one that needs a newer glibc are not published", (t) => {
  // Node's own binary is all of it: it needs the C++ library, and a glibc of 2018 or newer.
  const node = fs.readFileSync(process.execPath);
  const problems = binaryProblems(node, { ...host, cpu: "mips" });
  t.true(problems.includes(`it is built for ${process.arch}`), problems.join());
  t.true(problems.includes("it needs libstdc++.so.6"), problems.join());
  t.regex(problems.at(-1), /^it needs glibc 2\.\d+, and may ask for 2\.17$/);
});

/** A library for Windows with nothing in it but what it names: `libraries` at once, `delayed` when they are first used. */
function windowsLibrary({ machine = 0x8664, libraries = [], delayed = [] }) {
  const [START, OPTIONAL, SECTION, ADDRESS, OFFSET] = [0x80, 0x98, 0x188, 0x5000, 0x200];
  const bytes = Buffer.alloc(0x2000);
  bytes.write("MZ");
  bytes.writeUInt32LE(START, 60);
  bytes.write("PE\0\0", START, "latin1");
  bytes.writeUInt16LE(machine, START + 4);
  bytes.writeUInt16LE(1, START + 6);
  bytes.writeUInt16LE(SECTION - OPTIONAL, START + 20);
  bytes.writeUInt16LE(0x20b, OPTIONAL);
  [ADDRESS, 0x1000, OFFSET].forEach((word, index) => bytes.writeUInt32LE(word, SECTION + 12 + index * 4));
  let text = OFFSET + 0x800;
  const tables = [
    { names: libraries, index: 1, at: OFFSET, size: 20, name: 12 },
    { names: delayed, index: 13, at: OFFSET + 0x400, size: 32, name: 4 },
  ];
  for (const { names, index, at, size, name } of tables) {
    if (names.length > 0) bytes.writeUInt32LE(at - OFFSET + ADDRESS, OPTIONAL + 112 + index * 8);
    for (const [number, one] of names.entries()) {
      bytes.writeUInt32LE(text - OFFSET + ADDRESS, at + number * size + name);
      text += bytes.write(`${one}\0`, text, "latin1");
    }
  }
  return bytes;
}

test("a Windows binary that is for another machine, or needs what Windows does not bring, is not published", (t) => {
  const target = TARGETS.find(({ platform }) => platform === "win32-x64-msvc");
  const libraries = ["KERNEL32.dll", "ws2_32.dll", "api-ms-win-core-synch-l1-2-0.dll", "ncrypt.dll", "ktmw32.dll"];
  t.deepEqual(readPe(windowsLibrary({ libraries, delayed: ["crypt32.dll"] })), { machine: "x64", libraries: [...libraries, "crypt32.dll"] });
  t.deepEqual(readPe(windowsLibrary({})).libraries, []);
  t.deepEqual(binaryProblems(windowsLibrary({ libraries, delayed: ["crypt32.dll"] }), target), []);
  const other = windowsLibrary({ machine: 0xaa64, libraries: ["VCRUNTIME140.dll", ...libraries], delayed: ["node.exe"] });
  t.deepEqual(binaryProblems(other, target), ["it is built for arm64", "it needs VCRUNTIME140.dll", "it needs node.exe"]);
  t.throws(() => readPe(Buffer.from("no library".repeat(40))), { message: /no 64-bit file for Windows/ });
  t.throws(() => readPe(fs.readFileSync(path.join(root, "package.json"))), { message: /no 64-bit file for Windows/ });
});

test("of licences to choose from the shortest is taken, of those that hold together all", (t) => {
  t.deepEqual(choose("Apache-2.0 OR MIT"), ["MIT"]);
  t.deepEqual(choose("MIT/Apache-2.0"), ["MIT"]);
  t.deepEqual(choose("(MIT OR Apache-2.0) AND Unicode-3.0"), ["MIT", "Unicode-3.0"]);
  t.deepEqual(choose("Apache-2.0 AND ISC"), ["Apache-2.0", "ISC"]);
  t.throws(() => choose("GPL-3.0"), { message: /no licence of GPL-3\.0 is known/ });
});

test("a platform's package names its platform, and holds the binary, its licences and the list of its components", (t) => {
  const { file, files } = packPlatform(host, path.join(root, binaryName()), folderFor(t));
  const folder = unpack(t, file);
  const manifest = json(folder, "package.json");
  t.is(manifest.name, packageName(platformName()));
  t.is(manifest.version, version);
  t.deepEqual([manifest.os, manifest.cpu, manifest.libc], [[host.os], [host.cpu], host.libc && [host.libc]]);
  t.deepEqual([...files].sort(), ["LICENSE", "README.md", "THIRD-PARTY.md", binaryName(), "package.json", "sbom.cdx.json"].sort());
  t.is(typeof require(folder).createEngine, "function");

  const sbom = json(folder, "sbom.cdx.json");
  t.is(sbom.bomFormat, "CycloneDX");
  t.is(sbom.metadata.component.purl, `pkg:npm/${manifest.name}@${version}`);
  const refs = new Set(sbom.components.map((one) => one["bom-ref"]));
  t.true([...refs].some((ref) => ref.startsWith("pkg:cargo/mongodb@")));
  const licences = fs.readFileSync(path.join(folder, "THIRD-PARTY.md"), "utf8");
  for (const { name, version: of, hashes } of sbom.components) {
    t.regex(hashes[0].content, /^[0-9a-f]{64}$/, name);
    t.true(licences.includes(`| ${name} | ${of} |`), `THIRD-PARTY.md lacks ${name}`);
  }
  for (const { dependsOn } of sbom.dependencies) t.deepEqual(dependsOn.filter((ref) => !refs.has(ref)), []);
});

test("the root package names every platform's package at just its version, and brings neither binary nor scripts", (t) => {
  const { file, files } = packPublished(folderFor(t));
  const manifest = json(unpack(t, file), "package.json");
  t.deepEqual(manifest.optionalDependencies, Object.fromEntries(TARGETS.map(({ platform }) => [packageName(platform), version])));
  t.deepEqual([manifest.scripts, manifest.devDependencies, manifest.overrides], [undefined, undefined, undefined]);
  t.deepEqual(files.filter((name) => name.endsWith(".node")), []);
  t.true(files.includes("cli/main.js"));
});

test("npm, pnpm and Yarn install the release into an empty project, where setup() and ioc work on real servers", async (t) => {
  t.timeout(10 * 60_000);
  const out = folderFor(t);
  const { code, stdout } = await new Promise((resolve) => {
    execFile(process.execPath, [path.join(root, "scripts", "release.js"), "--dry-run", "--out", out], { cwd: root }, (error, text) => {
      resolve({ code: error === null ? 0 : error.code, stdout: text });
    });
  });
  t.is(code, 0, stdout);
  for (const manager of ["npm", "pnpm", "yarn"]) t.regex(stdout, new RegExp(`✔ ${manager}: installed in`), stdout);
});

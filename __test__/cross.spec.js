"use strict";

// Binaries and Nodes for other platforms: how they are built for, and what makes a Node for a newer musl run on an older one.

const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const test = require("ava");
const { withoutRelr } = require("../scripts/cross/relr.js");
const { which } = require("../scripts/lib/tools.js");
const { TARGETS } = require("../scripts/release/targets.js");
const { folderFor } = require("./support/folder.js");

// A table of pointers is what needs a relocation for each of its entries; the gap makes the packed form begin anew.
const LIBRARY = `
static int numbers[200];
int *table[200] = { [0] = &numbers[0], [1] = &numbers[1], [2] = &numbers[2], [70] = &numbers[70], [199] = &numbers[199] };
int right(void) {
  for (int i = 0; i < 200; i++) {
    int *wanted = i < 3 || i == 70 || i == 199 ? &numbers[i] : 0;
    if (table[i] != wanted) return i;
  }
  return -1;
}
`;

// Skipped, and named so in the results, only where the library that it rewrites cannot be made or looked at: without a C compiler,
// readelf or python3, or on a system whose libraries are no ELF files. The script runs on Linux alone.
const canLink = process.platform === "linux" && which("cc") && which("readelf") && which("python3");

(canLink ? test : test.skip)("packed relocations are written out as ordinary ones, and the library works", (t) => {
  const folder = folderFor(t);
  const [source, packed, plain] = ["lib.c", "packed.so", "plain.so"].map((name) => path.join(folder, name));
  fs.writeFileSync(source, LIBRARY);
  execFileSync("cc", ["-shared", "-fPIC", "-O0", "-Wl,-Bsymbolic", "-Wl,--build-id", "-Wl,-z,pack-relative-relocs", "-o", packed, source]);
  const dynamic = (file) => execFileSync("readelf", ["-dW", file], { encoding: "utf8" });
  t.regex(dynamic(packed), /\(RELR\)/);

  fs.writeFileSync(plain, withoutRelr(fs.readFileSync(packed)));
  t.notRegex(dynamic(plain), /\(RELR/);
  const answer = (file) => execFileSync("python3", ["-c", "import ctypes, sys; print(ctypes.CDLL(sys.argv[1]).right())", file], { encoding: "utf8" }).trim();
  t.is(answer(packed), "-1");
  t.is(answer(plain), "-1");
  // There is nothing left to be done.
  t.deepEqual(withoutRelr(fs.readFileSync(plain)), fs.readFileSync(plain));
});

test("each platform is there once, by the name that Node and npm compare", (t) => {
  const toolchain = ({ os: system, libc }) => ({ glibc: "gnu", musl: "musl" })[libc] ?? (system === "win32" ? "msvc" : undefined);
  for (const target of TARGETS) t.is(target.platform, [target.os, target.cpu, toolchain(target)].filter(Boolean).join("-"));
  t.is(new Set(TARGETS.map(({ triple }) => triple)).size, TARGETS.length);
  const { os: systems, cpu } = require("../package.json");
  t.deepEqual([...new Set(TARGETS.map((target) => target.os))].sort(), [...systems].sort());
  t.deepEqual([...new Set(TARGETS.map((target) => target.cpu))].sort(), [...cpu].sort());
});

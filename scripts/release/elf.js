"use strict";

// What a Linux binary asks of the system that loads it: its machine, the libraries it names, the versions of symbols it
// needs. Read from the file itself, so that a binary for another machine can be judged too. 64-bit and little-endian only.

const DYNAMIC = 6;
const VERSION_NEEDS = 0x6ffffffe;
const DT_NEEDED = 1;
const MACHINES = { 62: "x64", 183: "arm64" };

const text = (bytes, at) => bytes.toString("latin1", at, bytes.indexOf(0, at));

/** The sections as `{ type, offset, size, link, info }`; `link` is the section of their strings. */
function sections(bytes) {
  const start = Number(bytes.readBigUInt64LE(40));
  const size = bytes.readUInt16LE(58);
  return Array.from({ length: bytes.readUInt16LE(60) }, (_, index) => {
    const at = start + index * size;
    return {
      type: bytes.readUInt32LE(at + 4),
      offset: Number(bytes.readBigUInt64LE(at + 24)),
      size: Number(bytes.readBigUInt64LE(at + 32)),
      link: bytes.readUInt32LE(at + 40),
      info: bytes.readUInt32LE(at + 44),
    };
  });
}

/** The versions in the section `.gnu.version_r`, as `{ library: [version, …] }`. */
function versionNeeds(bytes, all) {
  const section = all.find(({ type }) => type === VERSION_NEEDS);
  const needs = {};
  let at = section?.offset;
  for (let left = section?.info ?? 0; left > 0; left--) {
    const strings = all[section.link].offset;
    const library = text(bytes, strings + bytes.readUInt32LE(at + 4));
    let entry = at + bytes.readUInt32LE(at + 8);
    needs[library] = [];
    for (let count = bytes.readUInt16LE(at + 2); count > 0; count--) {
      needs[library].push(text(bytes, strings + bytes.readUInt32LE(entry + 8)));
      entry += bytes.readUInt32LE(entry + 12);
    }
    at += bytes.readUInt32LE(at + 12);
  }
  return needs;
}

/** `{ machine, libraries, needs }` of a shared library; throws where the bytes are none. */
function readElf(bytes) {
  if (bytes.length < 64 || bytes.readUInt32BE(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) {
    throw new Error("this is no 64-bit little-endian ELF file");
  }
  const all = sections(bytes);
  const dynamic = all.find(({ type }) => type === DYNAMIC);
  const libraries = [];
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
    if (Number(bytes.readBigInt64LE(at)) === DT_NEEDED) {
      libraries.push(text(bytes, all[dynamic.link].offset + Number(bytes.readBigUInt64LE(at + 8))));
    }
  }
  const machine = MACHINES[bytes.readUInt16LE(18)] ?? `machine ${bytes.readUInt16LE(18)}`;
  return { machine, libraries, needs: versionNeeds(bytes, all) };
}

/** The newest version of glibc that is asked for, as "2.17"; null where none is. */
function glibcNeeded({ needs }) {
  const versions = Object.values(needs).flat().filter((one) => /^GLIBC_\d/.test(one)).map((one) => one.slice(6));
  const number = (version) => version.split(".").reduce((sum, part, index) => sum + Number(part) / 1000 ** index, 0);
  return versions.sort((a, b) => number(a) - number(b)).at(-1) ?? null;
}

module.exports = { readElf, glibcNeeded };

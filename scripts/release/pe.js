"use strict";

// What a Windows binary asks of the system that loads it: its machine, and the libraries it names. Read from the file itself, so that
// it can be judged elsewhere. 64-bit only.

const MACHINES = { 0x8664: "x64", 0xaa64: "arm64" };
/** Tables of imports by their number among the directories: how far apart entries are, and where in each the library's name is. */
const IMPORTS = { 1: { size: 20, name: 12 }, 13: { size: 32, name: 4 } };

/** `{ machine, libraries }` of a library or program; throws where the bytes are none. */
function readPe(bytes) {
  const start = bytes.length >= 64 ? bytes.readUInt32LE(60) : 0;
  const whole = start > 0 && start + 264 <= bytes.length && bytes.toString("latin1", start, start + 4) === "PE\0\0";
  if (!whole || bytes.readUInt16LE(start + 24) !== 0x20b) throw new Error("this is no 64-bit file for Windows");
  const optional = start + 24;
  const sections = Array.from({ length: bytes.readUInt16LE(start + 6) }, (_, index) => {
    const at = optional + bytes.readUInt16LE(start + 20) + index * 40;
    return { address: bytes.readUInt32LE(at + 12), size: bytes.readUInt32LE(at + 16), offset: bytes.readUInt32LE(at + 20) };
  });
  const inFile = (address) => {
    const section = sections.find((one) => address >= one.address && address < one.address + one.size);
    return address - section.address + section.offset;
  };
  const libraries = [];
  for (const [index, { size, name }] of Object.entries(IMPORTS)) {
    const table = bytes.readUInt32LE(optional + 112 + index * 8);
    for (let at = table && inFile(table); at && bytes.readUInt32LE(at + name) !== 0; at += size) {
      const text = inFile(bytes.readUInt32LE(at + name));
      libraries.push(bytes.toString("latin1", text, bytes.indexOf(0, text)));
    }
  }
  const machine = bytes.readUInt16LE(start + 4);
  return { machine: MACHINES[machine] ?? `machine ${machine}`, libraries };
}

module.exports = { readPe };

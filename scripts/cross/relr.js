"use strict";

// Libraries with packed relocations (DT_RELR), as newer Alpine builds them, for an older loader of musl: Debian's 1.2.3 passes
// them over, and the program jumps into nothing. They are written out as ordinary ones, in a table at the end of the file that
// a segment of its own maps. 64-bit and little-endian only.

const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_NOTE = 4;
const DT = { RELA: 7n, RELASZ: 8n, RELRSZ: 35n, RELR: 36n, RELRENT: 37n, DEBUG: 21n };
const RELATIVE = { 62: 8n, 183: 1027n };
const PAGE = 0x10000;

/** The addresses that packed relocations name. */
function* unpack(words) {
  let at = 0n;
  for (const word of words) {
    if ((word & 1n) === 0n) {
      yield word;
      at = word + 8n;
      continue;
    }
    for (let bit = 1n; bit < 64n; bit++) if ((word >> bit) & 1n) yield at + (bit - 1n) * 8n;
    at += 63n * 8n;
  }
}

/** The bytes of the library with ordinary relocations in place of packed ones; the same bytes where it has none. */
function withoutRelr(bytes) {
  const headers = Number(bytes.readBigUInt64LE(32));
  const segments = Array.from({ length: bytes.readUInt16LE(56) }, (_, index) => {
    const at = headers + index * bytes.readUInt16LE(54);
    const word = (offset) => Number(bytes.readBigUInt64LE(at + offset));
    return { at, type: bytes.readUInt32LE(at), offset: word(8), address: word(16), size: word(32), memory: word(40) };
  });
  const inFile = (address) => {
    const segment = segments.find((one) => one.type === PT_LOAD && address >= one.address && address < one.address + one.size);
    return address - segment.address + segment.offset;
  };
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC);
  const entries = new Map();
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) entries.set(bytes.readBigInt64LE(at), at);
  if (!entries.has(DT.RELR)) return bytes;
  const value = (tag) => Number(bytes.readBigUInt64LE(entries.get(tag) + 8));

  const packed = Array.from({ length: value(DT.RELRSZ) / 8 }, (_, index) => bytes.readBigUInt64LE(inFile(value(DT.RELR)) + index * 8));
  const addresses = [...unpack(packed)];
  const rows = Buffer.alloc(addresses.length * 24);
  addresses.forEach((address, index) => {
    rows.writeBigUInt64LE(address, index * 24);
    rows.writeBigUInt64LE(RELATIVE[bytes.readUInt16LE(18)], index * 24 + 8);
    rows.writeBigUInt64LE(bytes.readBigUInt64LE(inFile(Number(address))), index * 24 + 16);
  });
  const old = inFile(value(DT.RELA));
  const table = Buffer.concat([rows, bytes.subarray(old, old + value(DT.RELASZ))]);

  const offset = Math.ceil(bytes.length / PAGE) * PAGE;
  const end = Math.max(...segments.filter(({ type }) => type === PT_LOAD).map((one) => one.address + one.memory));
  const address = Math.ceil(end / PAGE) * PAGE;
  const made = Buffer.alloc(offset + table.length);
  bytes.copy(made);
  table.copy(made, offset);
  const note = segments.find(({ type }) => type === PT_NOTE).at;
  made.writeUInt32LE(PT_LOAD, note);
  made.writeUInt32LE(4, note + 4);
  [offset, address, address, table.length, table.length, PAGE].forEach((word, index) => made.writeBigUInt64LE(BigInt(word), note + 8 + index * 8));
  made.writeBigUInt64LE(BigInt(address), entries.get(DT.RELA) + 8);
  made.writeBigUInt64LE(BigInt(table.length), entries.get(DT.RELASZ) + 8);
  // A tag that loaders pass over in a library.
  for (const tag of [DT.RELR, DT.RELRSZ, DT.RELRENT]) made.writeBigInt64LE(DT.DEBUG, entries.get(tag));
  return made;
}

module.exports = { withoutRelr };

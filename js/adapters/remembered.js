"use strict";
// What this process last read or wrote of a list's entries, so that only what is new or changed is sent.
//
// The kit hands over its whole list after each event. An entry that it has from us, or has given us, need not be sent again;
// and must not be, since another process may have changed the row meanwhile. This memory is of one connection and its
// database, whoever asks: the kit drops its adapters and makes new ones as it pleases.

const { createHash } = require("node:crypto");

const codec = require("../codec.js");
const { native } = require("../engine.js");
const { unboxed } = require("../payload.js");
const { isUnchanged, pictureOf } = require("./unchanged.js");

/** 128 bits of a hash of what is stored, as text. */
function hashOf(payload) {
  const bytes = codec().serialize({ payload: unboxed(payload) }, { ignoreUndefined: false });
  return createHash("sha256").update(bytes).digest("latin1").slice(0, 16);
}

/** Objects that were encoded once: `{ hash, picture }`. */
const encoded = new WeakMap();

/** The hash that an object had when it was last encoded; undefined where it never was. */
const lastHash = (object) => encoded.get(object)?.hash;

/** The hash of an object as it is; null where it has no bytes, which is said when it is sent. */
function hash(object) {
  const before = encoded.get(object);
  if (before !== undefined && isUnchanged(object, before.picture)) {
    return before.hash;
  }
  try {
    const now = hashOf(object);
    const picture = pictureOf(object);
    if (picture !== null) {
      encoded.set(object, { hash: now, picture });
    }
    return now;
  } catch {
    return null;
  }
}

/** The entries of one list in one database. */
class Remembered {
  constructor() {
    /** By id: `{ hash, call }`, with the number of the last call that had it in its list. */
    this.known = new Map();
    /** Writes that are not answered yet, by id. */
    this.writing = new Map();
    /** Calls are numbered. */
    this.calls = 0;
  }
}

/** The lists of the connection that is open. */
let lists = { closes: native.closes, byName: new Map() };

/** What is remembered of a list. It ends with the connection. */
function listOf(name) {
  if (lists.closes !== native.closes) {
    lists = { closes: native.closes, byName: new Map() };
  }
  if (!lists.byName.has(name)) {
    lists.byName.set(name, new Remembered());
  }
  return lists.byName.get(name);
}

module.exports = { hash, lastHash, listOf };

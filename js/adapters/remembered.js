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
const { DIFFERENT, UNSURE, compare, objectOf, pictureOf } = require("./unchanged.js");

/** 128 bits of a hash of what is stored, as text; null where an object has no bytes, which is said when it is sent. */
function hashOf(payload) {
  try {
    const bytes = codec().serialize({ payload: unboxed(payload) }, { ignoreUndefined: false });
    return createHash("sha256").update(bytes).digest("latin1").slice(0, 16);
  } catch {
    return null;
  }
}

/** An entry as it was last read or written. */
class Known {
  /** `final`: it never changes, so its id is all there is to know. */
  constructor(id, object, final, row) {
    this.id = id;
    this.object = object;
    /** Its picture, or a hash where it has none. */
    this.picture = final ? null : pictureOf(object);
    this.hash = final || this.picture !== null ? null : hashOf(object);
    /** The id of its row, where a read has told. */
    this.row = row;
    /** The last call that had it in its list, by its number, and its place there. */
    this.call = 0;
    this.place = 0;
    /** Its write has failed, so nobody knows what is stored. */
    this.lost = false;
  }

  /** Whether an object is stored as this one. Where it is, it is compared with from now on. */
  fits(object) {
    const found = this.picture === null ? UNSURE : compare(object, this.picture);
    if (found === UNSURE) {
      return this.hasBytesOf(object);
    }
    if (found === DIFFERENT) {
      return false;
    }
    this.object = object;
    return true;
  }

  hasBytesOf(object) {
    const now = hashOf(object);
    if (now === null || now !== (this.hash ?? hashOf(objectOf(this.picture)))) {
      return false;
    }
    this.object = object;
    this.picture = pictureOf(object);
    this.hash = this.picture === null ? now : null;
    return true;
  }
}

/** The entries of one list in one database. */
class Remembered {
  constructor() {
    /** By id. */
    this.known = new Map();
    /** The list that was read or written last: its objects, and what is known of each. */
    this.objects = [];
    this.entries = [];
    /** Writes that are not answered yet, by id. */
    this.writing = new Map();
    /** Calls are numbered. */
    this.calls = 0;
  }

  /** From now on this is the last list, that of the call with this number. */
  turnTo(objects, entries, call) {
    this.objects = objects;
    this.entries = entries;
    for (let place = 0; place < entries.length; place++) {
      entries[place].place = place;
      entries[place].call = Math.max(entries[place].call, call);
    }
  }

  /** Forgets an entry whose write has failed. */
  lose(one) {
    one.lost = true;
    if (this.known.get(one.id) === one) {
      this.known.delete(one.id);
    }
  }

  /**
   * Remembers what the call of that number has read: Known by Known. Of what was written since it was sent, the write
   * counts.
   */
  read(call, found) {
    const entries = this.entries.filter((one) => !one.lost && (one.call > call || this.writing.has(one.id)));
    const newer = new Set(entries.map((one) => one.id));
    const all = [...entries, ...found.filter((one) => !newer.has(one.id))];
    this.known = new Map(all.map((one) => [one.id, one]));
    this.turnTo(
      all.map((one) => one.object),
      all,
      call,
    );
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

module.exports = { Known, listOf };

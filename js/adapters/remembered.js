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
const { Turns } = require("./order.js");
const { SAME, UNSURE, compare, objectOf, pictureOf } = require("./unchanged.js");

/** 128 bits of a hash of what is stored, as text; null where an object has no bytes, which is said when it is sent. */
function hashOf(payload) {
  try {
    const bytes = codec().serialize({ payload: unboxed(payload) }, { ignoreUndefined: false });
    return createHash("sha256").update(bytes).digest("latin1").slice(0, 16);
  } catch {
    return null;
  }
}

/** The id of an entry as it is stored. What is no id is refused when it is sent. */
const idOf = (entry) => (typeof entry?.id === "number" ? String(entry.id) : entry?.id);

/** Stands in a list for an object that nothing is known of any more. */
const NOBODY = Symbol("nobody");

/** An entry as it was last read or written. */
class Known {
  /** `final`: it never changes, so its id is all there is to know. */
  constructor(id, object, final, row) {
    this.id = id;
    /** Its picture, or a hash where it has none. */
    this.picture = final ? null : pictureOf(object);
    this.hash = final || this.picture !== null ? null : hashOf(object);
    /** The id of its row, where a read has told. */
    this.row = row;
    /** The last call that had it in its list, by its number, and its place there. */
    this.call = 0;
    this.place = 0;
    /** Nobody knows what is stored: its write has failed, or its object has another id now. */
    this.lost = false;
  }

  /** Whether an object is stored as this one. */
  fits(object) {
    const found = this.picture === null ? UNSURE : compare(object, this.picture);
    return found === UNSURE ? this.hasBytesOf(object) : found === SAME;
  }

  hasBytesOf(object) {
    const now = hashOf(object);
    if (now === null || now !== (this.hash ?? hashOf(objectOf(this.picture)))) {
      return false;
    }
    this.picture = pictureOf(object);
    this.hash = this.picture === null ? now : null;
    return true;
  }
}

/** What is under way of one list. */
class Order {
  constructor() {
    /** Its writes that are not answered yet, by id. */
    this.writing = new Map();
    /** Whether a call is at work: any user code that is called meanwhile is called by it. */
    this.isAtWork = false;
    /** Calls that came while another one was at work. */
    this.behind = new Turns();
  }

  get isOver() {
    return this.writing.size === 0 && !this.isAtWork && this.behind.last === null;
  }
}

/** The entries of one list in one database. */
class Remembered {
  constructor(order = new Order()) {
    /** By id. Each is in the last list. */
    this.known = new Map();
    /** The list that was read or written last: its objects, and what is known of each. */
    this.objects = [];
    this.entries = [];
    this.order = order;
    this.writing = order.writing;
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

  /** Forgets an entry. */
  lose(one) {
    one.lost = true;
    if (this.known.get(one.id) === one) {
      this.known.delete(one.id);
    }
    if (this.entries[one.place] === one) {
      this.objects[one.place] = NOBODY;
    }
  }

  /** Forgets what was known of objects that have another id by now. */
  loseRenamed() {
    const renamed = this.entries.filter((one, place) => !one.lost && idOf(this.objects[place]) !== one.id);
    renamed.forEach((one) => this.lose(one));
  }

  /** A read is sent: what `read` is told of it. One that comes from within a call is before what that one writes. */
  asRead() {
    const call = this.order.isAtWork ? this.calls - 1 : ++this.calls;
    return { call, writing: new Set(this.writing.keys()) };
  }

  /**
   * Remembers what was read: objects, and Known by Known. Of what was written since it was sent, or was under way then, the write
   * counts: the server may have carried out either first.
   */
  read({ call, writing }, objects, found) {
    const isNewer = (one) => !one.lost && (one.call > call || writing.has(one.id) || this.writing.has(one.id));
    const kept = this.entries.filter(isNewer);
    const newer = new Set(kept.map((one) => one.id));
    const isNew = (_, place) => !newer.has(found[place].id);
    const before = kept.map((one) => this.objects[one.place]);
    const all = [...kept, ...found.filter(isNew)];
    this.known = new Map(all.map((one) => [one.id, one]));
    this.turnTo([...before, ...objects.filter(isNew)], all, call);
  }
}

/** The lists of the connection that is open. */
let lists = { closes: native.closes, byName: new Map() };

/** What is remembered of a list. It ends with the connection, but for what is under way: later writes wait for it. */
function listOf(name) {
  if (lists.closes !== native.closes) {
    const busy = [...lists.byName].filter(([, list]) => !list.order.isOver);
    lists = { closes: native.closes, byName: new Map(busy.map(([name, list]) => [name, new Remembered(list.order)])) };
  }
  if (!lists.byName.has(name)) {
    lists.byName.set(name, new Remembered());
  }
  return lists.byName.get(name);
}

module.exports = { Known, idOf, listOf };

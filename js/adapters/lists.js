"use strict";
// Adapters that are handed the kit's whole list after each event: storage, notification, log.

const { log } = require("../base-crud.js");
const { instances } = require("../db-services.js");
const { native } = require("../engine.js");
const { makeError } = require("../errors.js");
const { setting } = require("../kits.js");
const { OPS, ask, rowsOf, table } = require("../mongo.js");
const { contextClass, define } = require("./adapter.js");
const { copyOf } = require("./order.js");
const { hash, lastHash, listOf } = require("./remembered.js");

/** So many entries are compared before anything is sent; of longer lists, what is surely to be sent goes first. */
const AT_ONCE = 64;

/**
 * One row a class: `id` is the field of the collection that holds an entry's id, `least` how many entries a read returns at
 * least, `variable` the kit's name for how many it wants, and `final` whether an entry never changes.
 */
const LISTS = [
  { class: "Storage", collection: "storage-items", id: "signalId", by: ["backtest"], list: "listByMode", least: 1_000, variable: "CC_MAX_SIGNALS" },
  {
    ...{ class: "Notification", collection: "notification-items", id: "notificationId", by: ["backtest"] },
    ...{ list: "listByMode", least: 500, variable: "CC_MAX_NOTIFICATIONS" },
  },
  { class: "Log", collection: "log-items", id: "entryId", by: [], list: "listAll", least: 1_000, variable: "CC_MAX_LOG_LINES", final: true },
];

/** The id of an entry as it is stored. What is no id is refused when it is sent. */
const idOf = (entry) => (typeof entry?.id === "number" ? String(entry.id) : entry?.id);

/** The rows of a read, the oldest first; what was written in the same millisecond in the order of its making. */
function inOrder(rows) {
  const compare = (a, b) => a.createDate - b.createDate || (a.id < b.id ? -1 : 1);
  return rows.sort(compare);
}

/** One call that writes a list. */
class Writing {
  constructor(list, upsert) {
    this.list = list;
    this.upsert = upsert;
    this.call = ++list.calls;
    /** What the call waits for. */
    this.waits = new Set();
  }

  /** Leaves an entry out. If an earlier call is still writing it, that one's outcome is ours. */
  leave(id) {
    const write = this.list.writing.get(id);
    if (write !== undefined) {
      this.waits.add(write);
    }
  }

  /** Writes entries, in one tick and so in one command: at once, or when what is under way of the same ids is through. */
  send(entries) {
    const { known, writing } = this.list;
    const before = [...entries.keys()].map((id) => writing.get(id)).filter((write) => write !== undefined);
    const through = before.length === 0 ? null : Promise.allSettled(before);
    for (const [id, { entry, now }] of entries) {
      const kept = through === null ? entry : copyOf(entry);
      const write = through === null ? this.upsert(id, entry) : through.then(() => this.upsert(id, kept));
      const remembered = { hash: now, call: this.call };
      known.set(id, remembered);
      writing.set(id, write);
      this.waits.add(write);
      const end = (failed) => {
        if (writing.get(id) === write) {
          writing.delete(id);
        }
        if (failed && known.get(id) === remembered) {
          known.delete(id);
        }
      };
      write.then(
        () => end(false),
        () => end(true),
      );
    }
    return through === null;
  }
}

/** Writes what is new or changed of `entries`. */
async function writeList(list, entries, final, upsert) {
  const { known } = list;
  const writing = new Writing(list, upsert);
  const surely = new Map();
  /** Objects that were as they are known when they were last looked at. */
  const doubtful = [];
  for (const entry of entries) {
    const id = idOf(entry);
    const before = known.get(id);
    if (before?.call === writing.call || surely.has(id)) {
      // An id comes twice: the last one counts.
      return writeList(list, [...new Map(entries.map((one) => [idOf(one), one])).values()], final, upsert);
    }
    if (before === undefined) {
      surely.set(id, { entry, now: final ? null : hash(entry) });
      continue;
    }
    before.call = writing.call;
    if (final) {
      writing.leave(id);
    } else if (lastHash(entry) === before.hash) {
      doubtful.push(entry);
    } else {
      compare(entry, id, before, surely, writing);
    }
  }
  forget(list, entries.length - surely.size, writing.call);
  const early = surely.size > 0 && doubtful.length > AT_ONCE;
  if (early && writing.send(surely)) {
    // The server works on it while the others are compared.
    native.engine.mongoFlush();
  }
  const changed = early ? new Map() : surely;
  for (const entry of doubtful) {
    const id = idOf(entry);
    compare(entry, id, known.get(id), changed, writing);
  }
  writing.send(changed);
  await all(writing.waits);
}

/** Resolves or rejects when all promises have: with the first failure in their order. */
async function all(promises) {
  const outcomes = await Promise.allSettled(promises);
  const failed = outcomes.find(({ status }) => status === "rejected");
  if (failed !== undefined) {
    throw failed.reason;
  }
}

/** Sends an entry that is not as it is known, and leaves out one that is. */
function compare(entry, id, before, changed, writing) {
  const now = hash(entry);
  if (now !== null && now === before.hash) {
    writing.leave(id);
  } else {
    changed.set(id, { entry, now });
  }
}

/** Forgets the ids that are not in a list of which `kept` were known. */
function forget({ known }, kept, call) {
  if (known.size > kept) {
    for (const [id, one] of known) {
      if (one.call !== call) {
        known.delete(id);
      }
    }
  }
}

/** Remembers what was read. Of what was written since the read was sent, the write counts. */
function remember(list, rows, call, idField, final) {
  const { known, writing } = list;
  const read = new Map([...known].filter(([id, one]) => one.call > call || writing.has(id)));
  for (const row of rows) {
    const id = row[idField];
    if (!read.has(id)) {
      read.set(id, { hash: final ? null : hash(row.payload), call });
    }
  }
  list.known = read;
}

function listClass(row) {
  const { class: name, collection, id, by, least, variable, final = false } = row;
  const number = table.findIndex((one) => one.collection === collection);
  const { service } = table[number];
  const db = instances[service];
  const Class = contextClass(name, by);
  const scopeOf = (instance) => by.map((part) => Boolean(instance[part]));
  const remembered = (scope) => listOf(JSON.stringify([collection, ...scope]));

  define(Class, {
    async [`read${name}Data`]() {
      const scope = scopeOf(this);
      const list = remembered(scope);
      const call = ++list.calls;
      const key = Object.fromEntries(by.map((part, i) => [part, scope[i]]));
      log(db, "log", `${service} ${row.list}`, ...(by.length === 0 ? [] : [key]));
      const query = { sort: { createDate: -1 }, limit: Math.max(least, setting(variable)), fields: { [id]: 1, payload: 1, createDate: 1 } };
      const rows = inOrder(rowsOf(await ask(OPS.rows, number, { k: key, by, filter: {}, ...query })));
      remember(list, rows, call, id, final);
      return rows.map(({ payload }) => payload);
    },

    async [`write${name}Data`](entries) {
      if (!Array.isArray(entries)) {
        throw makeError("INVALID_VALUE", "TypeError", `Persist${name}Instance: it writes an array`);
      }
      const scope = scopeOf(this);
      await writeList(remembered(scope), entries, final, (key, entry) => db.upsert(...scope, key, entry));
    },
  });
  return Class;
}

module.exports = Object.fromEntries(LISTS.map((row) => [`Persist${row.class}Instance`, listClass(row)]));

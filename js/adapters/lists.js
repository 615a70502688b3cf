"use strict";
// Adapters that are handed the kit's whole list after each event: storage, notification, log.

const { log } = require("../logger-service.js");
const { instances, writers } = require("../db-services.js");
const { makeError } = require("../errors.js");
const { setting } = require("../kits.js");
const { OPS, ask, rowsOf, table } = require("../mongo.js");
const { contextClass, defineCalls } = require("./adapter.js");
const { writeList } = require("./list-writing.js");
const { Known, listOf } = require("./remembered.js");

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

/** The rows of a read, the oldest first; what was written in the same millisecond in the order of its making. */
function inOrder(rows) {
  const compare = (a, b) => a.createDate - b.createDate || (a.id < b.id ? -1 : 1);
  return rows.sort(compare);
}

function listClass(row) {
  const { class: name, collection, id, by, least, variable, final = false } = row;
  const number = table.findIndex((one) => one.collection === collection);
  const { service } = table[number];
  const db = instances[service];
  const write = writers[service];
  const Class = contextClass(name, by);
  const scopeOf = (instance) => by.map((part) => Boolean(instance[part]));
  const remembered = (scope) => listOf(JSON.stringify([collection, ...scope]));

  defineCalls(Class, {
    async [`read${name}Data`]() {
      const scope = scopeOf(this);
      const list = remembered(scope);
      const asked = list.asRead();
      const key = Object.fromEntries(by.map((part, i) => [part, scope[i]]));
      log(db, "log", `${service} ${row.list}`, ...(by.length === 0 ? [] : [key]));
      const query = { sort: { createDate: -1 }, limit: Math.max(least, setting(variable)), fields: { [id]: 1, payload: 1, createDate: 1 } };
      const rows = inOrder(rowsOf(await ask(OPS.rows, number, { k: key, by, filter: {}, ...query })));
      const objects = rows.map(({ payload }) => payload);
      const found = rows.map((row) => new Known(row[id], row.payload, final, row.id));
      list.read(asked, objects, found);
      return objects;
    },

    async [`write${name}Data`](entries) {
      if (!Array.isArray(entries)) {
        throw makeError("INVALID_VALUE", "TypeError", `Persist${name}Instance: it writes an array`);
      }
      const scope = scopeOf(this);
      const upsert = (key, entry, known) => write(db, [...scope, key, entry], known);
      // A list of its own: the kit goes on with its one.
      await writeList(remembered(scope), [...entries], final, upsert);
    },
  });
  return Class;
}

module.exports = Object.fromEntries(LISTS.map((row) => [`Persist${row.class}Instance`, listClass(row)]));

"use strict";
// Adapters of which each context is one row, written whole.

const { instances } = require("../db-services.js");
const { contextClass, define, defineCalls } = require("./adapter.js");
const { writeRow } = require("./order.js");

const NOTHING = () => null;
/** What the kit expects where nothing was written yet. */
const EMPTY_OBJECT = () => ({});
const EMPTY_LIST = () => [];

const BY_CONTEXT = ["symbol", "strategyName", "exchangeName"];
const BY_SIGNAL = ["signalId", "bucketName"];

/**
 * One row a class. `context` names the constructor's arguments, and `noun` the methods. `more` further parts of the key come
 * with each call; where a row is `dated`, its logical time comes last.
 */
const ROWS = [
  { class: "Signal", service: "signalDbService", context: BY_CONTEXT },
  { class: "Schedule", service: "scheduleDbService", context: BY_CONTEXT },
  { class: "Strategy", service: "strategyDbService", context: BY_CONTEXT },
  {
    ...{ class: "Risk", noun: "Position", service: "riskDbService", context: ["riskName", "exchangeName"] },
    ...{ field: "positions", empty: EMPTY_LIST, dated: true },
  },
  { class: "Partial", service: "partialDbService", context: BY_CONTEXT, more: 1, empty: EMPTY_OBJECT, dated: true },
  { class: "Breakeven", service: "breakevenDbService", context: BY_CONTEXT, more: 1, empty: EMPTY_OBJECT, dated: true },
  { class: "Recent", service: "recentDbService", context: [...BY_CONTEXT, "frameName", "backtest"], dated: true },
  { class: "State", service: "stateDbService", context: BY_SIGNAL, dated: true, disposable: true },
  {
    ...{ class: "Dictionary", service: "dictionaryDbService", context: ["signalId", "dictionaryName"] },
    ...{ dated: true, disposable: true },
  },
  {
    ...{ class: "Session", service: "sessionDbService", dated: true, disposable: true },
    // Kits before 18 name a session by the first three.
    ...{ context: ["strategyName", "exchangeName", "frameName", "symbol", "backtest"], least: 3 },
  },
];

function snapshotClass(row) {
  const { class: name, noun = name, service, context, least, more = 0, field = "payload", empty = NOTHING, dated } = row;
  const db = instances[service];
  const Class = contextClass(name, context, least);
  /** The parts of a key: those of the instance, and those of a call. */
  const keyOf = (instance, args) => [
    ...context.filter((part) => Object.hasOwn(instance, part)).map((part) => instance[part]),
    ...args.slice(0, more),
  ];

  defineCalls(Class, {
    async [`read${noun}Data`](...args) {
      const found = await db.findByContext(...keyOf(this, args));
      return found === null ? empty() : (found[field] ?? empty());
    },

    async [`write${noun}Data`](data, ...args) {
      const key = keyOf(this, args);
      const when = dated ? [args[more]] : [];
      return writeRow(service, key, data, (value) => db.upsert(...key, value, ...when));
    },
  });
  if (row.disposable) {
    define(Class, { dispose() {} });
  }
  return Class;
}

module.exports = Object.fromEntries(ROWS.map((row) => [`Persist${row.class}Instance`, snapshotClass(row)]));

"use strict";
// What users give to BaseCRUD and the lists: dtos, filters, sorts, bounds. The codec leaves functions and symbols out; they
// are refused where the call would mean something else without them: a filter without its function finds everything.

const { types } = require("node:util");

const { makeError, withCode } = require("./errors.js");
const { isPlain, mapped, unboxed } = require("./payload.js");

/** The most rows of findAll and of most lists, as in the original. */
const FIND_ALL_LIMIT = 1000;

const refuse = (message) => makeError("INVALID_VALUE", "TypeError", message);

/** What the codec leaves out. */
const isLeftOut = (value) => typeof value === "function" || typeof value === "symbol";

/** The word for a value that is not what was asked for. */
function kindOf(value) {
  if (value === null || value === undefined) {
    return String(value);
  }
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  return typeof value === "object" ? `of type ${tag}` : `a ${typeof value}`;
}

/** A value that is stored as a whole field. Within a payload the original leaves functions out, and so do we. */
function stored(value, what) {
  if (isLeftOut(value)) {
    throw refuse(`${what} is a ${typeof value}, which cannot be stored`);
  }
  return unboxed(value);
}

/** A condition, with boxed values as plain ones. The codec would leave parts of it out, so these are refused. */
function compared(value, what) {
  if (isLeftOut(value)) {
    throw refuse(`${what} is a ${typeof value}, which MongoDB cannot compare with anything`);
  }
  if (typeof value !== "object" || value === null || value._bsontype !== undefined || typeof value.toBSON === "function") {
    return value;
  }
  if (types.isBoxedPrimitive(value)) {
    return value.valueOf();
  }
  if (types.isDate(value) || types.isRegExp(value) || ArrayBuffer.isView(value)) {
    return value;
  }
  const [symbol] = Object.getOwnPropertySymbols(value);
  if (symbol !== undefined) {
    throw refuse(`${what} has the name ${String(symbol)}, which MongoDB does not know`);
  }
  if (types.isMap(value)) {
    return new Map([...value].map(([name, one]) => [name, compared(one, `${what}.${name}`)]));
  }
  const copy = mapped(value, (one, name) => {
    // JavaScript that the server runs may be given as a function.
    return name === "$where" && typeof one === "function" ? String(one) : compared(one, `${what}.${name}`);
  });
  return isPlain(value) ? copy : value;
}

/** The same. A value that contains itself is left to the codec, which reports it. Getters may throw anything. */
function condition(value, what) {
  try {
    return compared(value, what);
  } catch (error) {
    if (error instanceof RangeError) {
      return value;
    }
    throw withCode(error, "INVALID_VALUE", `reading ${what} failed`);
  }
}

/** A plain object. A Promise, a Set or a Date is refused: it would count as an empty object. */
function named(value, what) {
  if (Object.prototype.toString.call(value) !== "[object Object]") {
    throw refuse(`${what} is ${kindOf(value)}; it must be an object`);
  }
  return value;
}

/** A filter. Without one, everything is found. */
function filterOf(filter = {}) {
  return condition(named(filter, "the filter"), "the filter");
}

/** A sort: an object, text, or a list of texts; or null. */
function sortOf(sort) {
  const isTexts = Array.isArray(sort) && sort.every((text) => typeof text === "string");
  return isTexts ? sort.join(" ") : condition(sort ?? null, "the sort");
}

/** An id; where none is given, null, which no row has. */
function idOf(id) {
  return condition(id ?? null, "_id");
}

/** A dto as a row of a schema: its fields without those that are undefined. */
function rowOf(dto, schema) {
  const given = Object.entries(named(dto, "the dto")).filter(([field, value]) => counts(field, value, schema));
  return Object.fromEntries(given.map(([field, value]) => [field, stored(value, field)]));
}

/** Whether a dto's field counts. Methods that are no fields of the schema are left out. */
function counts(field, value, schema) {
  return value !== undefined && (!isLeftOut(value) || schema.has(field.split(".", 1)[0]));
}

/** Operators whose values are stored; those of the others are conditions, or say how to compute something. */
const STORING = ["$set", "$setOnInsert"];
/** Operators that do something even where the value is undefined, and then refuse it. The others pass such a field over. */
const MINDING = ["$inc", "$pop", "$rename", "$currentDate"];

/** What an operator of an update is given. */
function operatorOf(name, fields) {
  if (typeof fields !== "object" || fields === null || Array.isArray(fields) || !isPlain(fields)) {
    return condition(fields, name);
  }
  const given = Object.entries(fields).filter(([, value]) => value !== undefined || MINDING.includes(name));
  const read = STORING.includes(name) ? stored : condition;
  return Object.fromEntries(given.map(([path, value]) => [path, read(value, `${path} of ${name}`)]));
}

/** A dto as an update of a schema's rows: fields and operators. An `id` in it is no field. */
function changeOf(dto, schema) {
  const given = Object.entries(named(dto, "the dto")).filter(([name, value]) => {
    return name.startsWith("$") ? name !== "$set" || value !== undefined : name !== "id" && counts(name, value, schema);
  });
  return Object.fromEntries(
    given.map(([name, value]) => [name, name.startsWith("$") ? operatorOf(name, value) : stored(value, name)]),
  );
}

/** A bound: a whole number, or the text of one, not negative. */
function bounded(given, name) {
  const number = typeof given === "string" && /^\d+$/.test(given) ? Number(given) : given;
  if (!Number.isInteger(number) || number < 0) {
    const what = typeof given === "number" ? given : kindOf(given);
    throw refuse(`${name} is ${what}; it must be a whole number, not negative`);
  }
  return number;
}

/** The bounds of a page; what is not given is none. */
function pageOf(pagination) {
  const { limit, offset } = named(pagination, "the pagination");
  return { limit: bounded(limit ?? 0, "limit"), skip: bounded(offset ?? 0, "offset") };
}

/**
 * The limit of a list, from the argument after its own. Only an object with a limit is one: `buckets.map(listKeys)` gives
 * other things there.
 */
function limitOf(options, most) {
  const isOptions = Object.prototype.toString.call(options) === "[object Object]";
  return isOptions && options.limit !== undefined ? bounded(options.limit, "limit") : most;
}

module.exports = { FIND_ALL_LIMIT, bounded, changeOf, filterOf, idOf, limitOf, pageOf, rowOf, sortOf, stored };

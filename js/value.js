"use strict";
// What `set` writes for a value, and the text of a key.

const { types } = require("node:util");

const { makeError, withCode } = require("./errors.js");

const objectToString = Object.prototype.toString;

function refuse(what, cause) {
  return makeError("INVALID_VALUE", "TypeError", `The value is ${what}, which has no text that get() could return`, cause);
}

function json(value) {
  let text;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw withCode(error, "INVALID_VALUE", "the value has no JSON text");
  }
  if (text === undefined) {
    throw refuse("without JSON text (its toJSON returns undefined)");
  }
  return text;
}

function objectText(value) {
  if (ArrayBuffer.isView(value)) {
    return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  if (types.isAnyArrayBuffer(value)) {
    return Buffer.from(value);
  }
  if (types.isDate(value)) {
    if (Number.isNaN(value.getTime())) {
      throw refuse("an invalid Date");
    }
    return value.toISOString();
  }
  for (const [is, what] of UNSTORABLE) {
    if (is(value)) {
      throw refuse(what);
    }
  }
  if (Array.isArray(value) || typeof value.toString !== "function") {
    return json(value);
  }
  const text = String(value);
  // `[object Object]` is no text that somebody meant. Comparing texts also finds objects of another realm.
  return text === objectToString.call(value) ? json(value) : text;
}

const UNSTORABLE = [
  [types.isMap, "a Map"],
  [types.isSet, "a Set"],
  [types.isWeakMap, "a WeakMap"],
  [types.isWeakSet, "a WeakSet"],
  [types.isPromise, "a Promise (was an await forgotten?)"],
];

/**
 * The bytes of a value, as text or Buffer. Throws INVALID_VALUE where it has none.
 * COMPATIBILITY.md lists where this differs from the original.
 */
function encodeValue(value) {
  switch (typeof value) {
    case "string":
      return value;
    case "undefined":
      return "";
    case "symbol":
    case "function":
      throw refuse(`a ${typeof value}`);
    case "object":
      if (value === null) {
        return "";
      }
      try {
        return objectText(value);
      } catch (error) {
        throw withCode(error, "INVALID_VALUE", "the value has no text");
      }
    default:
      return String(value);
  }
}

/** The text of a key: what a template string makes of it, as in the original. Throws INVALID_CONTEXT. */
function keyText(key) {
  if (typeof key === "string") {
    return key;
  }
  try {
    return `${key}`;
  } catch (error) {
    throw withCode(error, "INVALID_CONTEXT", "the key has no text");
  }
}

module.exports = { encodeValue, keyText };

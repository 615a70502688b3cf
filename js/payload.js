"use strict";

const { types } = require("node:util");

const { withCode } = require("./errors.js");

/** What `change(value, key)` makes of an array's or object's values: itself where it changes nothing, else a copy. */
function mapped(value, change) {
  let copy = null;
  for (const key of Object.keys(value)) {
    const before = value[key];
    const after = change(before, key);
    if (after !== before && !Object.is(after, before)) {
      copy ??= Array.isArray(value) ? [...value] : { ...value };
      copy[key] = after;
    }
  }
  return copy ?? value;
}

/**
 * A payload with `new Number(1)`, `new String("s")` and `new Boolean(true)` as plain values, as the original stores them;
 * the codec would take them for objects.
 */
function unboxed(value) {
  if (typeof value !== "object" || value === null) {
    return value;
  }
  if (types.isBoxedPrimitive(value)) {
    return value.valueOf();
  }
  return isPlain(value) ? mapped(value, unboxed) : value;
}

/** An array, or a plain object. */
function isPlain(value) {
  if (Array.isArray(value)) {
    return true;
  }
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** The same. A value that contains itself is left to the codec, which reports it. Getters may throw anything. */
function plainPayload(value) {
  try {
    return unboxed(value);
  } catch (error) {
    if (error instanceof RangeError) {
      return value;
    }
    throw withCode(error, "INVALID_VALUE", "reading the value failed");
  }
}

module.exports = { isPlain, mapped, unboxed: plainPayload };

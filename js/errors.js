"use strict";

/** Errors that were made here. A `code` alone does not tell, because a user's getter may throw an error with one. */
const ours = new WeakSet();

/** Those of them that waiting does not mend, although others of their code may pass. */
const final = new WeakSet();

/** Codes of a store that cannot be used; waiting for it does not mend it. */
const STORE_FAILURES = ["STORE_UNAVAILABLE", "STORE_FULL", "STORE_CORRUPT", "STORE_TIMEOUT", "STORE_VERSION"];

const CLASSES = { Error, TypeError, RangeError };

/**
 * Makes an error of this realm with a code.
 * @param {string} code one of the codes in index.d.ts
 * @param {"Error" | "TypeError" | "RangeError"} className
 * @param {string} message
 * @param {unknown} [cause] text becomes an Error, so that a cause always has a message
 * @param {boolean} [isFinal] whether waiting does not mend it, whatever its code
 */
function makeError(code, className, message, cause, isFinal = false) {
  const options = cause === undefined ? undefined : { cause: typeof cause === "string" ? new Error(cause) : cause };
  const error = new CLASSES[className](message, options);
  error.code = code;
  ours.add(error);
  if (isFinal) {
    final.add(error);
  }
  return error;
}

/**
 * An error with a code: the given one if we made it, else a TypeError with `code` whose cause it is.
 * Whatever somebody's getter, proxy or toString throws goes through here.
 */
function withCode(error, code, attempt) {
  if (ours.has(error)) {
    return error;
  }
  let why = "";
  try {
    why = error instanceof Error ? error.message : String(error);
  } catch {
    // An object that cannot be shown is still the cause.
  }
  return makeError(code, "TypeError", why === "" ? attempt : `${why} (${attempt})`, error);
}

module.exports = { STORE_FAILURES, final, ours, makeError, withCode };

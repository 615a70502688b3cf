"use strict";

// Every statement that the demo makes is checked; what is not as it should be is said at once and fails the demo.

const { isDeepStrictEqual, inspect } = require("node:util");
const { paint, print } = require("./screen.js");

const done = { passed: 0, failed: [] };

const short = (value) => inspect(value, { breakLength: Infinity, depth: 3 }).slice(0, 300);

/** Whether `actual` is `wanted`; prints the difference where it is not. */
function check(what, actual, wanted = true) {
  if (isDeepStrictEqual(actual, wanted)) {
    done.passed++;
    return true;
  }
  done.failed.push(what);
  print(paint.red(`✘ ${what}: ${short(actual)} instead of ${short(wanted)}`));
  return false;
}

/** A mark for a table. */
const sign = (fine) => (fine ? paint.green("✔") : paint.red("✘"));

module.exports = { check, sign, done };

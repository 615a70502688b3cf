"use strict";

// Golden cases as data (spec/*.json). Loading one leaves its name in the file that BKN_SPEC_LOG names: scripts/test.js
// fails when a file of spec/ was loaded by nobody.

const fs = require("node:fs");
const path = require("node:path");
const { ObjectId } = require("bson");

const folder = path.resolve(__dirname, "..", "..", "spec");

/** The content of spec/<name>.json. */
function loadSpec(name) {
  const file = `${name}.json`;
  const spec = JSON.parse(fs.readFileSync(path.join(folder, file), "utf8"));
  if (process.env.BKN_SPEC_LOG) fs.appendFileSync(process.env.BKN_SPEC_LOG, `${file}\n`);
  return spec;
}

/**
 * The value of a JavaScript expression from a spec file. It is evaluated in the realm of the caller's module (jest has
 * one for each test file), so that `Date`, `Error` and `Promise` are those of the test; `ObjectId` is bson's.
 */
function evaluate(expression) {
  return new Function("ObjectId", `"use strict"; return (${expression});`)(ObjectId);
}

module.exports = { loadSpec, evaluate };

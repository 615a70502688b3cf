"use strict";

const fs = require("node:fs");
const path = require("node:path");

/** The version of an installed package, read from the file: not every package exports its package.json. */
function versionOf(name, folder = path.resolve(__dirname, "..", "..")) {
  const file = path.join(folder, "node_modules", name, "package.json");
  return JSON.parse(fs.readFileSync(file, "utf8")).version;
}

module.exports = { versionOf };

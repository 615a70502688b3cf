"use strict";

// Which spec files are there, and whether each was executed: a spec that nobody runs looks like one that passes.

const fs = require("node:fs");
const path = require("node:path");
const { root } = require("./tools.js");

function walk(folder) {
  if (!fs.existsSync(path.join(root, folder))) return [];
  return fs.readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "node_modules" ? [] : walk(file);
    return [file];
  });
}

/** Every file that holds tests or golden cases, relative to the project. */
function specFiles() {
  const isTest = (file) => /\.(spec|test)\.[cm]?[jt]sx?$/.test(file);
  const isType = (file) => path.dirname(file) === path.join("__test__", "types") && /\.m?ts$/.test(file);
  return [
    ...walk("spec").filter((file) => file.endsWith(".json")),
    ...walk("__test__").filter((file) => isTest(file) || isType(file)),
    ...walk("tests").filter((file) => file.endsWith(".rs") && path.dirname(file) === "tests"),
  ].sort();
}

/** The names that loaders of golden cases left in the log, as paths of spec files. */
function loadedSpecs(log) {
  if (!fs.existsSync(log)) return [];
  const names = fs.readFileSync(log, "utf8").split("\n").filter(Boolean);
  return [...new Set(names)].map((name) => path.join("spec", name));
}

module.exports = { specFiles, loadedSpecs };

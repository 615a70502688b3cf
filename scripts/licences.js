"use strict";

// npm run licences: writes THIRD-PARTY.md, the licences of the crates in the binary.
//
//   node scripts/licences.js [--check]   --check only compares

const fs = require("node:fs");
const path = require("node:path");
const { root } = require("./lib/tools.js");
const { allCrates } = require("./release/crates.js");
const { thirdParty } = require("./release/licences.js");

const file = path.join(root, "THIRD-PARTY.md");

function main(args) {
  const text = thirdParty(allCrates());
  if (!args.includes("--check")) {
    fs.writeFileSync(file, text);
  } else if (!fs.existsSync(file) || fs.readFileSync(file, "utf8") !== text) {
    console.error("THIRD-PARTY.md is not that of Cargo.lock; make it anew with: npm run licences");
    return 1;
  }
  return 0;
}

process.exitCode = main(process.argv.slice(2));

"use strict";
// Runs when the package is installed. Where the package brings a binary for this platform, nothing is to be done;
// elsewhere the addon is built from its source, which needs Rust.

const fs = require("node:fs");
const path = require("node:path");

const { binaryName } = require("../js/platform.js");

const root = path.join(__dirname, "..");

function isCheckout() {
  return fs.existsSync(path.join(root, ".git"));
}

if (!fs.existsSync(path.join(root, binaryName())) && !isCheckout()) {
  try {
    require("./build.js").build();
    // What the build leaves behind is many times larger than the package.
    fs.rmSync(path.join(root, "target"), { recursive: true, force: true });
  } catch (error) {
    console.error(`backtest-kit-native brings no binary for ${binaryName()} and could not build one.\n${error.message}`);
    process.exitCode = 1;
  }
}

"use strict";
// Loads the addon's binary.

const fs = require("node:fs");
const path = require("node:path");

const { binaryName } = require("./platform.js");

function load() {
  // Bun exports libuv's functions and aborts the process when they are called, so ask before, not after.
  if (process.versions.bun || process.versions.deno || !process.versions.uv) {
    throw new Error("backtest-kit-native runs on Node.js only: it works inside Node's own event loop");
  }
  const name = binaryName();
  const file = path.join(__dirname, "..", name);
  if (!fs.existsSync(file)) {
    throw new Error(
      `backtest-kit-native has no binary for this platform (${name}). ` +
        "Build it with `npm rebuild backtest-kit-native`, or in a checkout with `npm run build`; both need Rust.",
    );
  }
  return require(file);
}

const addon = load();

module.exports = {
  createEngine: addon.createEngine,
  /** The table of cache services: one row a service, as src/services/table.rs declares it. */
  services: () => JSON.parse(addon.services()),
  /** The table of collections: one row a db service, as src/mongo/table.rs declares it. */
  collections: () => JSON.parse(addon.collections()),
};

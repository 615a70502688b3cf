"use strict";
// The addon, on a Node that it can run on.

const { loadBinary } = require("./binary.js");

function load() {
  // Bun exports libuv's functions and aborts the process when they are called, so ask before, not after.
  if (process.versions.bun || process.versions.deno || !process.versions.uv) {
    throw new Error("backtest-kit-native runs on Node.js only: it works inside Node's own event loop");
  }
  // Electron has Node's event loop turn inside another one, and keeps buffers in a cage of its own.
  if (process.versions.electron) {
    throw new Error(
      "backtest-kit-native runs on Node.js only: it works inside Node's own event loop, and has not been tried in Electron's. " +
        "Run it in a process of Node's, started with child_process.",
    );
  }
  return loadBinary();
}

const addon = load();

module.exports = {
  createEngine: addon.createEngine,
  /** The table of cache services: one row a service, as src/services/table.rs declares it. */
  services: () => JSON.parse(addon.services()),
  /** The table of collections: one row a db service, as src/mongo/table.rs declares it. */
  collections: () => JSON.parse(addon.collections()),
  /** For the command line; see src/napi/store_tools.rs. */
  storeFacts: addon.storeFacts,
  storeBackup: addon.storeBackup,
  rowDigests: addon.rowDigests,
};

"use strict";

// backtest-kit's own file adapters, where they have a like call: a signal of a context, written and read. One file each.

const path = require("node:path");
const { createRequire } = require("node:module");
const { kitFolder } = require("../../scripts/lib/tools.js");
const { versionOf } = require("./version.js");
const { STRATEGY, EXCHANGE, payloadOf } = require("./store-data.js");

const load = createRequire(path.join(kitFolder, "package.json"));

async function open({ storePath }) {
  // It writes below the working directory.
  process.chdir(storePath);
  const { PersistSignalAdapter } = load("backtest-kit");
  PersistSignalAdapter.useJson();
  return {
    version: versionOf("backtest-kit", kitFolder),
    store: {
      ops: {
        upsert: (i) => PersistSignalAdapter.writeSignalData(payloadOf(i), `SYM${i}`, STRATEGY, EXCHANGE),
        findByContext: (i) => PersistSignalAdapter.readSignalData(`SYM${i}`, STRATEGY, EXCHANGE),
      },
      state: () => null,
    },
    close: () => {},
  };
}

module.exports = { open };

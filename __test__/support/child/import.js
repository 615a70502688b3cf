"use strict";

// What importing does to a process: nothing that shows.

const names = () => Object.getOwnPropertyNames(globalThis).concat(Object.getOwnPropertySymbols(globalThis).map(String));
const before = new Set(names());
const lib = require(process.env.BKN_ROOT);
const added = names().filter((name) => !before.has(name));
const ioc = typeof globalThis.ioc;

import("backtest-kit-native").then(async (imported) => {
  const afterImport = names().filter((name) => !before.has(name));
  const set = require("backtest-kit-native/global");
  const same = globalThis.ioc === lib.ioc;
  const sameImported = imported.ioc === lib.ioc;
  console.log(JSON.stringify({ added, ioc, afterImport, same, sameImported, set: typeof set }));
});

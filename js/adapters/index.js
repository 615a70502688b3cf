"use strict";
// The classes that backtest-kit makes its persistence of, in the order of `ioc`.

const { table } = require("../mongo.js");

const all = {
  ...require("./buckets.js"),
  ...require("./candles.js"),
  ...require("./lists.js"),
  ...require("./snapshots.js"),
};

const names = table.map((row) => `Persist${row.class.replace(/DbService$/, "")}Instance`);

module.exports = { classes: Object.fromEntries(names.map((name) => [name, all[name]])) };

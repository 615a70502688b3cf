"use strict";

// The kit, as it is published, on the release of functools-kit that can be had. There `trycatch` does not hand the arguments
// of the failed call to its fallback, which the kit counts on: without them every error that it only wants to report, an
// unanswered read of candles for one, would end the backtest.

const functools = require("functools-kit");

const { trycatch } = functools;
functools.trycatch = (run, options = {}) => {
  const { fallback } = options;
  if (!fallback) return trycatch(run, options);
  return (...args) => trycatch(run, { ...options, fallback: (error) => fallback(error, ...args) })(...args);
};

module.exports = require("backtest-kit");

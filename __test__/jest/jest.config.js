"use strict";

// A backtest-kit project's own tests, as such a project runs them.

const path = require("node:path");

const root = path.resolve(__dirname, "..", "..");

module.exports = {
  rootDir: __dirname,
  testMatch: ["<rootDir>/*.spec.ts"],
  testEnvironment: "node",
  transform: { "\\.ts$": ["@swc/jest", { jsc: { parser: { syntax: "typescript" }, target: "es2022" } }] },
  moduleNameMapper: {
    "^backtest-kit-native$": path.join(root, "index.js"),
    "^backtest-kit-native/global$": path.join(root, "global.js"),
    "^backtest-kit$": "<rootDir>/support/backtest-kit.js",
    // di-kit ships as an ES module only, which jest cannot `require`; this loads its real source.
    "^di-kit$": "<rootDir>/support/di-kit.js",
  },
  // All files in one process, one after the other: they share the loaded addon, as files of one jest worker do.
  maxWorkers: 1,
  testTimeout: 30_000,
};

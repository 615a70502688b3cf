"use strict";

// The same files on the embedded store, but for what is about servers: see __test__/support/not-on-store.js.

const base = require("./jest.config.js");
const { JEST_FILES } = require("../support/not-on-store.js");

module.exports = {
  ...base,
  testPathIgnorePatterns: [...Object.keys(JEST_FILES).map((file) => `/${file.replace(".", "\\.")}$`)],
  setupFilesAfterEnv: ["<rootDir>/support/on-store.js"],
};

"use strict";

// The real di-kit, made loadable by `require`: its source is an ES module.

const fs = require("node:fs");
const path = require("node:path");
const { transformSync } = require("@swc/core");

const file = path.resolve(__dirname, "..", "..", "..", "node_modules", "di-kit", "index.mjs");
const { code } = transformSync(fs.readFileSync(file, "utf8"), { module: { type: "commonjs" }, filename: file });

new Function("exports", code)(exports);

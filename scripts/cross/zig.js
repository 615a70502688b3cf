"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { cached, unpackWheels } = require("../lib/cache.js");

const requirements = path.join(__dirname, "requirements.txt");

/** Paths of `zig` and `cargo-zigbuild`, fetched where they are missing. */
function zig() {
  const hash = crypto.createHash("sha256").update(fs.readFileSync(requirements)).digest("hex").slice(0, 12);
  const folder = cached(`zig-${hash}`, (work) => {
    unpackWheels(requirements, work);
    for (const file of programs(work)) fs.chmodSync(file, 0o755);
  });
  const [compiler, zigbuild] = programs(folder);
  return { compiler, zigbuild };
}

function programs(folder) {
  const data = fs.readdirSync(folder).find((name) => /^cargo_zigbuild-.*\.data$/.test(name));
  return [path.join(folder, "ziglang", "zig"), path.join(folder, data, "scripts", "cargo-zigbuild")];
}

module.exports = { zig };

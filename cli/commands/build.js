"use strict";

const fs = require("node:fs");
const path = require("node:path");

const { build } = require("../cargo.js");

const root = path.join(__dirname, "..", "..");

module.exports = {
  summary: "build the binary for this machine from the source in this package",
  usage: "build [--out <file>] [--keep]",
  help: `Needed only where npm has no binary for your platform. It takes Rust 1.88 or newer (https://rustup.rs), a C compiler, and
some minutes; cargo fetches what it needs from crates.io. The binary goes into the package itself, where it is found before
any other, until the package is installed anew.`,
  options: {
    out: { type: "string", value: "<file>", help: "put it into this file instead; NAPI_RS_NATIVE_LIBRARY_PATH has it loaded" },
    keep: { type: "boolean", help: "leave cargo's folder target/, for a quicker next time; it takes more than a gigabyte" },
  },
  run({ out, keep }) {
    const file = build(out === undefined ? undefined : path.resolve(out));
    // In an installed package nobody looks for it, or would ever empty it.
    if (!keep && !fs.existsSync(path.join(root, ".git"))) {
      fs.rmSync(path.join(root, "target"), { recursive: true, force: true });
    }
    console.log(`built ${path.relative(process.cwd(), file)}`);
  },
};

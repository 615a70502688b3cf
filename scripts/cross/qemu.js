"use strict";

// A Node for arm64 on a machine for x64: qemu's emulation of one program, with Debian's C and C++ libraries for arm64. All of it is
// unpacked, and not installed. Programs for x64 that it starts (redis-server, mongod) run natively.

const fs = require("node:fs");
const path = require("node:path");
const { cached } = require("../lib/cache.js");
const { fetchNode } = require("../lib/nodes.js");
const { debianPackages } = require("./debian.js");

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Path of a program that runs Node of a major version for arm64. */
function emulatedNode(major) {
  const node = fetchNode("linux-arm64", major);
  const folder = cached("qemu-arm64", (work) => {
    debianPackages(work, () => ["qemu-user-static", "libc6:arm64", "libstdc++6:arm64", "libgcc-s1:arm64"]);
  });
  const wrapper = path.join(folder, `node-${major}`);
  const words = [path.join(folder, "usr", "bin", "qemu-aarch64-static"), "-L", folder, node, "--require", path.join(__dirname, "emulated-node.js")];
  fs.writeFileSync(wrapper, `#!/bin/sh\nBKN_EMULATED_NODE=${quoted(wrapper)} exec ${words.map(quoted).join(" ")} "$@"\n`, { mode: 0o755 });
  return wrapper;
}

module.exports = { emulatedNode };

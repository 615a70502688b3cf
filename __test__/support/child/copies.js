"use strict";

// The addon more than once in a process, in the way that the first argument names: all copies work side by side, also after one
// of them was closed and collected. The second is an empty folder for them, which outlives the process: Windows removes no
// library that is loaded.

const fs = require("node:fs");
const path = require("node:path");

const root = process.env.BKN_ROOT;
const [way, folder] = process.argv.slice(2);

const binary = require(path.join(root, "js", "platform.js")).binaryName();
const PARTS = ["package.json", "index.js", "js", binary];

/** The package at another path; `place` puts the binary there. */
function installed(name, place) {
  const target = path.join(folder, name);
  fs.mkdirSync(target);
  for (const part of PARTS.slice(0, 3)) fs.cpSync(path.join(root, part), path.join(target, part), { recursive: true });
  place(path.join(root, binary), path.join(target, binary));
  return target;
}

const forget = (keep) => {
  for (const file of Object.keys(require.cache)) if (!keep(file)) delete require.cache[file];
};

const ways = {
  "at two paths": () => [require(root), require(installed("copy", fs.copyFileSync))],
  "by a symbolic link": () => [require(root), require(installed("link", fs.symlinkSync))],
  "by a hard link of the same file": () => {
    const first = installed("first", fs.copyFileSync);
    const second = path.join(folder, "first", binary);
    return [require(first), require(installed("second", (_, to) => fs.linkSync(second, to)))];
  },
  "with require's cache cleared": () => [0, 1, 2].map(() => {
    forget((file) => file === __filename);
    return require(root);
  }),
  "with only its JavaScript forgotten": () => [0, 1, 2].map(() => {
    forget((file) => file === __filename || file.endsWith(".node"));
    return require(root);
  }),
  "loaded a second time by process.dlopen": () => {
    const lib = require(root);
    const module = { exports: {} };
    process.dlopen(module, path.join(root, binary));
    if (typeof module.exports.createEngine !== "function") throw new Error("no exports");
    return [lib];
  },
};

(async () => {
  let copies = ways[way]();
  const use = async () => {
    const maps = copies.map((lib) => new lib.BaseMap("copies", -1));
    await Promise.all(maps.map((map, i) => map.set(`k${i}`, `v${i}`)));
    return Promise.all(maps.flatMap((map, i) => Array.from({ length: 100 }, () => map.get(`k${i}`).then((text) => text === `v${i}`))));
  };
  const all = (list) => list.every(Boolean);
  const together = all(await use());
  await copies[0].close();
  const afterClose = all(await use());
  copies = copies.slice(0, 1);
  global.gc();
  await new Promise((resolve) => setTimeout(resolve, 20));
  global.gc();
  console.log(JSON.stringify({ together, afterClose, afterCollection: all(await use()) }));
})();

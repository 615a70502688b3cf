"use strict";

// A project as users have it, in a folder of its own: this package and kits in its node_modules, and files that run there.

const { execFile } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { root } = require("./addon.js");
const { folderFor } = require("./folder.js");

/** Windows asks for rights to make links, so there is a copy of what elsewhere is linked. */
const link = process.platform === "win32" ? (from, to) => fs.cpSync(from, to, { recursive: true }) : fs.symlinkSync;

const STAND_IN = path.join(__dirname, "stand-in-kit.js");

/** Puts this package where `npm install` puts it. Linked: the way `npm link` does. */
function installPackage(folder, linked) {
  const target = path.join(folder, "node_modules", "backtest-kit-native");
  fs.mkdirSync(path.dirname(target), { recursive: true });
  if (linked) {
    fs.symlinkSync(root, target, "junction");
    return;
  }
  fs.mkdirSync(target);
  for (const name of ["package.json", "index.js", "index.mjs", "global.js", "js"]) {
    fs.cpSync(path.join(root, name), path.join(target, name), { recursive: true });
  }
  for (const name of fs.readdirSync(root).filter((one) => one.endsWith(".node"))) link(path.join(root, name), path.join(target, name));
  link(path.join(root, "node_modules", "bson"), path.join(folder, "node_modules", "bson"));
}

/**
 * Puts a stand-in kit into the project: two builds, each with registries of its own, as the real one has them. `broken` is
 * code that both builds run first.
 */
function installKit(folder, name, { version = "19.5.0", options = {}, broken = "" } = {}) {
  const target = path.join(folder, "node_modules", name);
  fs.mkdirSync(path.join(target, "build"), { recursive: true });
  const { NOUNS } = require(STAND_IN);
  const nouns = NOUNS.filter((noun) => !options.without?.includes(noun));
  const exported = { require: "./build/index.cjs", types: "./types.d.ts", import: "./build/index.mjs", default: "./build/index.cjs" };
  const manifest = { name, version, main: "build/index.cjs", module: "build/index.mjs", exports: exported };
  const make = `standInKit(${JSON.stringify(options)})`;
  const files = {
    "package.json": JSON.stringify(manifest),
    "build/index.cjs": `${broken}\nObject.assign(exports, require(${JSON.stringify(STAND_IN)}).${make});\n`,
    "build/index.mjs": [
      broken.replaceAll(/require\("(.*?)"\)/g, 'await import("$1")'),
      `import { createRequire } from "node:module";`,
      `const kit = createRequire(import.meta.url)(${JSON.stringify(STAND_IN)}).${make};`,
      `export const getConfig = kit.getConfig;`,
      ...nouns.map((noun) => `export const Persist${noun}Adapter = kit.Persist${noun}Adapter;`),
    ].join("\n"),
  };
  for (const [file, text] of Object.entries(files)) fs.writeFileSync(path.join(target, file), text);
}

/**
 * Makes a project: `kits` by name (see installKit), `files` with their text, `packages` of this checkout to link. `run(file)`
 * resolves with the value that the file prints as JSON; what else it prints or how it fails rejects.
 */
function makeProject(t, { kits = {}, files = {}, packages = [], linked = false, type = "commonjs" } = {}) {
  const folder = folderFor(t, "project");
  installPackage(folder, linked);
  for (const [name, options] of Object.entries(kits)) installKit(folder, name, options);
  for (const name of packages) link(path.join(root, "node_modules", name), path.join(folder, "node_modules", name));
  fs.writeFileSync(path.join(folder, "package.json"), JSON.stringify({ name: "project", version: "1.0.0", private: true, type }));
  for (const [file, text] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    fs.writeFileSync(path.join(folder, file), text);
  }
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("CC_")));
  const run = (file, { env = {}, cwd = folder } = {}) =>
    new Promise((resolve, reject) => {
      execFile(process.execPath, [path.join(folder, file)], { cwd, env: { ...environment, ...env }, timeout: 60_000 }, (error, stdout, stderr) => {
        if (error !== null || stderr !== "") reject(new Error(`${file}: ${error?.message ?? ""}\n${stdout}\n${stderr}`));
        else resolve(JSON.parse(stdout));
      });
    });
  return { folder, run };
}

module.exports = { makeProject };

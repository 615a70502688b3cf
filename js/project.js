"use strict";
// Finds packages from where the user's project is. This package may lie elsewhere: npm link, workspaces, a checkout.

const fs = require("node:fs");
const { createRequire } = require("node:module");
const path = require("node:path");
const { pathToFileURL } = require("node:url");

/** `require` as it is in the folders from which a package is looked for, the nearest to the user's code first. */
function requires() {
  const main = process.argv[1];
  const folders = [...(main ? [path.dirname(path.resolve(main))] : []), process.cwd(), __dirname];
  return folders.map((folder) => createRequire(path.join(folder, "_")));
}

/** Whether an error says that this very package is not there, and not something that it needs. */
function isAbsent(error, name) {
  if (!["MODULE_NOT_FOUND", "ERR_MODULE_NOT_FOUND"].includes(error?.code)) {
    return false;
  }
  // Yarn's Plug'n'Play has words of its own for a package that nobody has asked for, or that is an optional peer.
  if (error.pnpCode !== undefined) {
    return [error.data?.request, error.data?.dependencyName].includes(name);
  }
  return /^Cannot find (?:module|package) '([^']*)'/.exec(String(error.message))?.[1] === name;
}

/** A package as each of these folders has it, each copy once: `{ exports, file }`. It is loaded when it is asked for. */
function* required(name) {
  const seen = new Set();
  for (const from of requires()) {
    try {
      const exported = from(name);
      if (!seen.has(exported)) {
        seen.add(exported);
        yield { exports: exported, file: from.resolve(name) };
      }
    } catch (error) {
      if (!isAbsent(error, name)) {
        throw error;
      }
    }
  }
}

/** The file that `exports` of a package.json names for `import`. */
function target(exported) {
  if (typeof exported === "string") {
    return exported;
  }
  const conditions = [".", "node", "import", "module-sync", "default"];
  const known = Object.entries(exported ?? {}).filter(([condition]) => conditions.includes(condition));
  return known.map(([, value]) => target(value)).find((file) => file !== undefined);
}

/** The URLs that `import` finds for a package from these folders. Node itself looks only from the importing file. */
function importable(name) {
  const urls = new Set();
  for (const from of requires()) {
    const roots = (from.resolve.paths(name) ?? []).map((folder) => path.join(folder, name));
    const root = roots.find((folder) => fs.existsSync(path.join(folder, "package.json")));
    if (root !== undefined) {
      const { exports: exported, main = "index.js" } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));
      urls.add(pathToFileURL(path.join(fs.realpathSync(root), target(exported) ?? main)).href);
    }
  }
  return [...urls];
}

/** Name and version of the package that a file belongs to; null where there is none. */
function packageOf(file) {
  for (let folder = path.dirname(file); folder !== path.dirname(folder); folder = path.dirname(folder)) {
    try {
      const { name, version } = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"));
      if (typeof name === "string") {
        return { name, version: version ?? null };
      }
    } catch {
      // None here, or none that can be read: that of a folder further up counts.
    }
  }
  return null;
}

module.exports = { importable, isAbsent, packageOf, required };

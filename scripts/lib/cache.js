"use strict";

// What scripts fetch once: each thing in a folder of its own, which is there only when it is complete. They lie below target/ and not
// in node_modules, which npm makes anew for each change of the lock file.

const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { root } = require("./tools.js");

const cache = path.join(root, "target", "fetched");

/** The folder of this name; where there is none, `fill(folder)` makes it. Two that fill it at once do not disturb each other. */
function cached(name, fill) {
  const folder = path.join(cache, name);
  if (fs.existsSync(folder)) return folder;
  fs.mkdirSync(cache, { recursive: true });
  const work = fs.mkdtempSync(path.join(cache, "fill-"));
  try {
    fill(work);
    fs.renameSync(work, folder);
  } catch (error) {
    fs.rmSync(work, { recursive: true, force: true });
    if (!fs.existsSync(folder)) throw error;
  }
  return folder;
}

/** Runs a program of the system; returns its output, or throws with its own words. */
function program(command, args, options) {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 1 << 26, ...options });
  } catch (error) {
    throw new Error(`${command} ${args.join(" ")}: ${String(error.stderr || error.message).trim()}`);
  }
}

/** Fetches wheels from PyPI by a file of requirements with hashes, and unpacks them. `words` are further options of pip. */
function unpackWheels(requirements, folder, words = []) {
  const wheels = path.join(folder, "wheels");
  program("python3", ["-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--dest", wheels, ...words, "-r", requirements]);
  for (const name of fs.readdirSync(wheels)) program("python3", ["-m", "zipfile", "-e", path.join(wheels, name), folder]);
  fs.rmSync(wheels, { recursive: true });
}

module.exports = { cached, program, unpackWheels };

"use strict";
// Finds and loads the addon's binary: a build of the package's own, the platform's package, or the file that
// NAPI_RS_NATIVE_LIBRARY_PATH names. The variable comes last because all packages of napi-rs read it: where it is set for
// another one, ours must not be disturbed.

const fs = require("node:fs");
const path = require("node:path");

const own = require("../package.json");
const { binaryName, packageName, platformName } = require("./platform.js");

const VARIABLE = "NAPI_RS_NATIVE_LIBRARY_PATH";
const root = path.join(__dirname, "..");

/** A build by `npm run build` or by `npx backtest-kit-native build`. */
function ownBuild(platform) {
  const file = path.join(root, binaryName(platform));
  return fs.existsSync(file) ? { file } : { reason: "not there" };
}

/** The optional dependency that npm installs where platform and C library fit. */
function platformPackage(platform) {
  const name = packageName(platform);
  let manifest;
  try {
    manifest = require(`${name}/package.json`);
  } catch (error) {
    return { reason: error.code === "MODULE_NOT_FOUND" ? "not installed" : error.message };
  }
  // The two speak to each other in calls that no version promises to another.
  if (manifest.version !== own.version) {
    return { reason: `its version is ${manifest.version}, and ${own.version} is needed` };
  }
  return { file: require.resolve(name) };
}

function namedFile() {
  const name = process.env[VARIABLE];
  return name ? { file: path.resolve(name) } : { reason: "not set" };
}

/** Loads the binary, or throws an Error that tells where it was looked for and how to get one. */
function loadBinary() {
  const platform = platformName();
  const places = [
    [binaryName(platform), "a build of this package's own", ownBuild],
    [packageName(platform), "the package that brings the binary", platformPackage],
    [VARIABLE, "a file of your own", namedFile],
  ];
  const lines = [];
  let cause;
  for (const [name, what, find] of places) {
    const { file, reason } = find(platform);
    if (file === undefined) {
      lines.push(`  - ${name} (${what}): ${reason}`);
      continue;
    }
    try {
      return require(file);
    } catch (error) {
      // The first one that is there is the one that was meant to work.
      cause ??= error;
      lines.push(`  - ${name} (${what}): ${error.message}`);
    }
  }
  throw new Error(
    [
      `backtest-kit-native found no binary for this platform (${platform}) that can be loaded:`,
      ...lines,
      `Install it anew, with optional dependencies: ${packageName(platform)} is one. Where node_modules or package-lock.json`,
      "come from another platform, npm leaves it out (npm/cli#4828): remove both, and run `npm install`.",
      "Or build it here, from the source that is part of the package; this needs Rust: `npx backtest-kit-native build`,",
      "in a checkout `npm run build`.",
    ].join("\n"),
    cause && { cause },
  );
}

module.exports = { loadBinary };

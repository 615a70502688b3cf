"use strict";

// Where the addon's binary is looked for, in which order, and what is said where none can be loaded.

const fs = require("node:fs");
const path = require("node:path");
const test = require("ava");
const { binaryName, packageName, platformName } = require("../js/platform.js");
const { version } = require("../package.json");
const { makeProject } = require("./support/project.js");
const { root } = require("./support/addon.js");
const { folderFor } = require("./support/folder.js");

const platform = platformName();
const real = path.join(root, binaryName());

// Prints which file the addon was loaded from, or the words of its error.
const LOADED = `
let message = null;
try {
  require("backtest-kit-native");
} catch (error) {
  message = error.message;
}
const loaded = Object.keys(require.cache).filter((file) => file.endsWith(".node"));
console.log(JSON.stringify({ loaded, message }));
`;

/** A project with this package in it, but for its binary. */
function projectFor(t) {
  const project = makeProject(t, { files: { "main.js": LOADED } });
  const installed = path.join(project.folder, "node_modules", "backtest-kit-native");
  const own = path.join(installed, binaryName());
  fs.rmSync(own);
  return { ...project, installed, own };
}

/** The platform's package beside it; returns the binary in it. */
function installPlatform(folder, { of = version, binary = real } = {}) {
  const target = path.join(folder, "node_modules", packageName(platform));
  const file = path.join(target, binaryName());
  fs.mkdirSync(target);
  fs.writeFileSync(path.join(target, "package.json"), JSON.stringify({ name: packageName(platform), version: of, main: binaryName() }));
  fs.copyFileSync(binary, file);
  return file;
}

test("the binary of the platform's package is loaded", async (t) => {
  const { folder, run } = projectFor(t);
  const file = installPlatform(folder);
  t.deepEqual(await run("main.js"), { loaded: [file], message: null });
});

test("a build of the package's own goes before the platform's package, and that before the variable", async (t) => {
  const { folder, own, run } = projectFor(t);
  const named = path.join(folder, "named.node");
  fs.copyFileSync(real, named);
  const env = { NAPI_RS_NATIVE_LIBRARY_PATH: named };
  t.deepEqual((await run("main.js", { env })).loaded, [named]);
  const file = installPlatform(folder);
  t.deepEqual((await run("main.js", { env })).loaded, [file]);
  fs.copyFileSync(real, own);
  t.deepEqual((await run("main.js", { env })).loaded, [own]);
});

test("where there is none, the error names the missing package, npm's bug and the command that builds one", async (t) => {
  const { run } = projectFor(t);
  const { loaded, message } = await run("main.js");
  t.deepEqual(loaded, []);
  t.true(message.includes(`${packageName(platform)} (the package that brings the binary): not installed`), message);
  t.true(message.includes(`${binaryName()} (a build of this package's own): not there`), message);
  t.true(message.includes("NAPI_RS_NATIVE_LIBRARY_PATH (a file of your own): not set"), message);
  t.true(message.includes("npm/cli#4828"), message);
  t.true(message.includes("`npx backtest-kit-native build`"), message);
});

test("a platform package of another version is not loaded, and the error names both", async (t) => {
  const { folder, run } = projectFor(t);
  installPlatform(folder, { of: "0.0.7" });
  const { loaded, message } = await run("main.js");
  t.deepEqual(loaded, []);
  t.true(message.includes(`its version is 0.0.7, and ${version} is needed`), message);
});

test("a binary that the system cannot load is passed over, and where nothing else is, the error has the system's words", async (t) => {
  const { folder, own, run } = projectFor(t);
  const noBinary = path.join(folder, "text");
  fs.writeFileSync(noBinary, "this is no library");
  fs.copyFileSync(noBinary, own);
  const { message } = await run("main.js");
  t.regex(message, /a build of this package's own\): .*(file too short|invalid ELF header|Exec format error|not a mach-o file|Bad EXE format|not a valid Win32 application)/);
  const file = installPlatform(folder);
  t.deepEqual((await run("main.js")).loaded.includes(file), true);
});

for (const [runtime, words] of Object.entries({
  bun: "runs on Node.js only",
  deno: "runs on Node.js only",
  electron: "has not been tried in Electron's",
})) {
  test(`${runtime} is refused with a message, before any binary is loaded`, async (t) => {
    const main = `Object.defineProperty(process.versions, "${runtime}", { value: "1.0.0", enumerable: true });\n${LOADED}`;
    const { run } = makeProject(t, { files: { "main.js": main } });
    const { loaded, message } = await run("main.js");
    t.deepEqual(loaded, []);
    t.true(message.includes(words), message);
  });
}

test("a build takes the place of a binary that a process has loaded", async (t) => {
  const folder = folderFor(t);
  const [target, built] = ["addon.node", "built"].map((name) => path.join(folder, name));
  fs.copyFileSync(real, target);
  fs.writeFileSync(built, "what cargo has built");
  const place = `require(${JSON.stringify(path.join(root, "cli", "cargo.js"))}).place(${JSON.stringify(built)}, ${JSON.stringify(target)})`;
  const { run } = makeProject(t, { files: { "main.js": `const own = require(${JSON.stringify(target)}); ${place}; console.log(JSON.stringify(typeof own.createEngine));` } });
  t.is(await run("main.js"), "function");
  t.is(fs.readFileSync(target, "utf8"), "what cargo has built");
  // What Windows kept while it was loaded goes with the next build.
  require("../cli/cargo.js").place(built, target);
  t.deepEqual(fs.readdirSync(folder).sort(), ["addon.node", "built"]);
});

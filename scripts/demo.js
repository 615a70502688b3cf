"use strict";

// npm run demo: prepares what a fresh clone lacks, then plays the demo (demo/main.js).
//
//   node scripts/demo.js --no-build   takes the addon as it is

const { ensureNodeModules, kitFolder, root } = require("./lib/tools.js");
const { build } = require("../cli/cargo.js");

const steps = [
  ["development dependencies", () => ensureNodeModules()],
  ["backtest-kit, for the first act", () => ensureNodeModules(kitFolder)],
  ["addon: cargo build --release (takes a while the first time)", () => build()],
];

function prepare(args) {
  const unknown = args.find((arg) => arg !== "--no-build");
  if (unknown !== undefined) throw new Error(`unknown option ${unknown}; there is only --no-build`);
  const wanted = args.includes("--no-build") ? steps.slice(0, -1) : steps;
  wanted.forEach(([title, action], i) => {
    const started = Date.now();
    console.log(`[${i + 1}/${wanted.length}] ${title}`);
    action();
    console.log(`      ready after ${((Date.now() - started) / 1000).toFixed(1)} s`);
  });
}

async function main(args) {
  // The developer's own settings would point the story at somebody's server.
  for (const name of Object.keys(process.env)) if (name.startsWith("CC_")) delete process.env[name];
  process.chdir(root);
  try {
    prepare(args);
  } catch (error) {
    // What is missing and how to get it; where in our code that was noticed helps nobody.
    console.error(`\nThe demo cannot start: ${error.message}`);
    return 1;
  }
  const { play } = require("../demo/main.js");
  return await play();
}

main(process.argv.slice(2)).then(
  (code) => {
    // Nothing is left to do: the process ends by itself, or one of us keeps it alive, which would be a mistake.
    process.exitCode = code;
  },
  (error) => {
    console.error(error.stack);
    process.exitCode = 1;
  },
);

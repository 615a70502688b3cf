"use strict";

// npm run test:kit: every case of the kit's suite over whole months, with a table at the end. Takes minutes.
//
//   node __test__/kit/run.js               all
//   node __test__/kit/run.js live          those whose title has one of these words
//   node __test__/kit/run.js --quick       the days that `npm test` trades
//   node __test__/kit/run.js --store       on the embedded store instead of servers

const { ensureNodeModules, ensureRedisServer, kitFolder } = require("../../scripts/lib/tools.js");

function table(rows) {
  // A case names its own baseline, which stands above it.
  const base = new Map();
  console.log("\n| run | trades | ms a simulated minute | beside |\n| --- | ---: | ---: | ---: |");
  for (const { what, trades, milliseconds, beside } of rows) {
    base.set(what, milliseconds);
    const times = beside === null || milliseconds === null ? "–" : `${(milliseconds / base.get(beside)).toFixed(2)}× ${beside}`;
    console.log(`| ${what} | ${trades} | ${milliseconds === null ? "–" : milliseconds.toFixed(3)} | ${times} |`);
  }
}

async function main(args) {
  const onStore = args.includes("--store");
  if (!onStore) ensureRedisServer();
  ensureNodeModules(kitFolder);
  const { cases } = require("./cases.js");
  const { openFolder, openServers, play } = require("./scene.js");
  const words = args.filter((arg) => !arg.startsWith("--")).map((word) => word.toLowerCase());
  const wanted = cases.filter(({ title, servers }) => !(onStore && servers) && (words.length === 0 || words.some((word) => title.toLowerCase().includes(word))));
  const servers = await (onStore ? openFolder() : openServers());
  const rows = [];
  let failed = 0;
  try {
    for (const one of wanted) {
      const started = Date.now();
      try {
        const played = await play(one, { ...servers, whole: !args.includes("--quick") });
        rows.push(...played);
        console.log(`✔ ${one.title} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
      } catch (error) {
        failed += 1;
        console.log(`✘ ${one.title}\n${error.stack.replace(/^/gm, "      ")}`);
      }
    }
  } finally {
    await servers.stop();
  }
  table(rows);
  console.log(`\n${wanted.length - failed} passed, ${failed} failed`);
  return failed === 0 && wanted.length > 0 ? 0 : 1;
}

main(process.argv.slice(2)).then((code) => (process.exitCode = code));

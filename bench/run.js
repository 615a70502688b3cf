"use strict";

// npm run bench: this package against other clients, in one run, on one server that the bench starts itself.
// README.md beside this file says what is compared with what, and how to read it.

const fs = require("node:fs");
const path = require("node:path");
const { ensureNodeModules, ensureRedisServer } = require("../scripts/lib/tools.js");
const { build } = require("../cli/cargo.js");
const { startRedis } = require("../__test__/support/redis.js");
const { parse, HELP, KNOWN } = require("./options.js");
const { PEERS } = require("./peers/index.js");
const { FULL, QUICK, REGIMES, planFor, callCases, scanCases } = require("./cases.js");
const { openPeers } = require("./driver.js");
const { verify } = require("./server.js");
const { Results, measureCalls, measureScans } = require("./rounds.js");
const { measureNear } = require("./near.js");
const { benchCluster, writeCluster } = require("./cluster.js");
const { benchCandles, writeCandles } = require("./candles.js");
const { benchKit, writeKit } = require("./kit.js");
const { benchMongo, writeMongo } = require("./mongo.js");
const { benchStore, writeStore } = require("./store.js");
const { updateDocuments } = require("./readme.js");
const { heat } = require("./heat.js");
const { findCores, place } = require("./placement.js");
const { machineFacts, foreignWork } = require("./facts.js");
const { checkFloors } = require("./floors.js");
const { printReport } = require("./report/table.js");
const { markdown } = require("./report/markdown.js");
const { chart } = require("./report/svg.js");

/** What has a report of its own. */
const REPORTED_APART = ["mongo", "candles", "store", "kit", "cluster"];

async function main() {
  const options = parse(process.argv.slice(2));
  if (options.help) return console.log(HELP);
  ensureRedisServer();
  ensureNodeModules();
  if (options.build) build();

  const started = Date.now();
  if (!options.only || options.only.includes("mongo")) {
    writeMongo(await benchMongo({ options, progress: makeProgress(started) }), toJson);
  }
  if (!options.only || options.only.includes("candles")) {
    writeCandles(await benchCandles({ options, progress: makeProgress(started) }), toJson);
  }
  if (!options.only || options.only.includes("store")) {
    writeStore(await benchStore({ options, progress: makeProgress(started) }), toJson);
  }
  if (!options.only || options.only.includes("kit")) {
    writeKit(await benchKit({ options, progress: makeProgress(started) }), toJson);
  }
  if (!options.only || options.only.includes("cluster")) {
    writeCluster(await benchCluster({ options, progress: makeProgress(started) }), toJson);
  }
  if (options.only && options.only.every((op) => REPORTED_APART.includes(op))) {
    if (options.readme) updateDocuments();
    return;
  }
  const plan = { ...(options.quick ? QUICK : FULL) };
  if (options.rounds) plan.rounds = options.rounds;
  const progress = makeProgress(started);
  const server = await startRedis();
  const peers = [];
  try {
    const result = await measure({ options, plan, server, peers, progress });
    progress.end();
    result.seconds = Math.round((Date.now() - started) / 1000);
    printReport(result);
    write(result, options);
    if (options.readme && result.kind !== "full") throw new Error("the documents show full runs only");
    if (options.readme) updateDocuments();
  } finally {
    progress.end();
    for (const peer of peers) await peer.close();
    await server.stop();
  }
}

async function measure({ options, plan, server, peers, progress }) {
  const entries = PEERS.filter((peer) => !options.peers || options.peers.includes(peer.id));
  progress("starting the peers");
  const opened = await openPeers(entries, server);
  peers.push(...opened.peers);
  for (const peer of [...peers]) {
    try {
      await verify(server, peer);
    } catch (error) {
      opened.skipped.push({ id: peer.id, title: peer.title, reason: error.message });
      peers.splice(peers.indexOf(peer), 1);
      await peer.close();
    }
  }

  const busy = [];
  const wanted = (op) => !options.only || options.only.includes(op);
  const results = new Results();
  const memory = {};
  const cores = findCores();
  const whole = KNOWN.every((op) => REPORTED_APART.includes(op) || wanted(op));
  const foundation = !options.only || options.only.some((op) => op !== "near" && !REPORTED_APART.includes(op));
  for (const regime of foundation ? options.regimes : []) {
    const rules = REGIMES[regime];
    busy.push(await foreignWork());
    place(cores, rules.placement, server.pid, peers.map((peer) => peer.process.pid));
    const cool = rules.heat ? await heat(cores) : () => {};
    try {
      const taking = rules.mainOnly ? peers.filter((peer) => peer.entry.main) : peers;
      const common = { server, peers: taking, plan: planFor(plan, rules, regime !== options.regimes[0]), regime, results, progress };
      await measureCalls({ ...common, cases: callCases(wanted) });
      for (const peer of peers) {
        if (peer.entry.calls !== false && !memory[peer.id]) memory[peer.id] = await peer.ask("memory").catch(() => null);
      }
      await measureScans({ ...common, cases: scanCases(wanted, false), among: false });
      await measureScans({ ...common, cases: scanCases(wanted, true), among: true });
    } finally {
      cool();
    }
  }

  const near = wanted("near") ? await measureNear({ server, peers, options, plan, cores, results, progress }) : { skipped: [], peers: [], costs: null };
  busy.push(await foreignWork());
  const result = {
    date: new Date().toISOString().slice(0, 10),
    kind: options.quick ? "quick" : !whole || options.peers || options.rounds || options.regimes.length < Object.keys(REGIMES).length ? "partial" : "full",
    machine: { ...(await machineFacts(server)), placed: cores !== null, foreignWork: Math.max(...busy) },
    plan,
    regimes: options.regimes,
    peers: [...peers, ...near.peers].map(({ id, title, version }) => ({ id, title, version })),
    skipped: [...opened.skipped, ...near.skipped],
    failures: results.failures,
    cases: results.summary(),
    memory,
    nearCosts: near.costs,
  };
  result.floors = checkFloors(result);
  return result;
}

/** A full run becomes `latest`; anything smaller must not take its place. */
function write(result, options) {
  const name = result.kind === "full" ? "latest" : "quick";
  const dir = path.join(__dirname, "results");
  fs.mkdirSync(dir, { recursive: true });
  const json = `${toJson(result)}\n`;
  fs.writeFileSync(path.join(dir, `${name}.json`), json);
  fs.writeFileSync(path.join(dir, `${name}.md`), markdown(result, `${name}.svg`));
  fs.writeFileSync(path.join(dir, `${name}.svg`), chart(result));
  if (options.json) fs.writeFileSync(options.json, json);
  console.log(`\nwritten: bench/results/${name}.json, ${name}.md, ${name}.svg`);
}

/** Readable and diffable: lists of numbers stay on one line, and a nanosecond is precise enough. */
function toJson(result) {
  const rounded = (_, value) => (typeof value === "number" && !Number.isInteger(value) ? Number(value.toFixed(3)) : value);
  return JSON.stringify(result, rounded, 2).replace(/\[[\s\d.,null-]*\]|\{\s*"median"[^}]*\}/g, (list) => list.replace(/\s+/g, " "));
}

/** One line that is written over on a terminal, and a line per minute of work elsewhere. */
function makeProgress(started) {
  const out = process.stderr;
  let last = "";
  const progress = (text) => {
    const seconds = Math.round((Date.now() - started) / 1000);
    if (out.isTTY) return out.write(`\r\x1b[K${String(seconds).padStart(4)} s  ${text}`);
    const phase = text.split(" · ").slice(0, -1).join(" · ") || text;
    if (phase !== last) out.write(`${String(seconds).padStart(4)} s  ${phase}\n`);
    last = phase;
  };
  progress.end = () => {
    if (out.isTTY) out.write("\r\x1b[K");
  };
  return progress;
}

main().catch((error) => {
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
});

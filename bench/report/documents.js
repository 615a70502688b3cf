"use strict";

// The figures as docs/benchmarks.md shows them: a table for each result. Each function takes a full run's result.

const { CALLS, WHOLE } = require("../candles.js");
const { median, pairedRatio } = require("../stats.js");
const { mongoTitle } = require("./mongo.js");
const { time, groups, rows, machineLine, costLines } = require("./format.js");

// What a reader wants to know first: by case, its words here.
const SHOWN = [
  ["near getSignalId", "`getSignalId` of a known row, from the near cache"],
  ["near hasCandleId", "`hasCandleId` of a known row, from the near cache"],
  ["near mixed", "99 % reads and 1 % writes over 10,000 ids"],
  ["get@1", "`get`, one after the other"],
  ["get@100", "`get`, 100 at once"],
  ["setSignalId@100", "`setSignalId` of any id, 100 at once"],
  ["setTtl@100", "`set` with a time to live, 100 at once"],
  ["get@1000", "`get`, 1000 at once"],
  ["toArray", "`toArray`"],
  ["size", "`size`"],
  ["toArray among", "`toArray` among other keys"],
  ["clear among", "`clear` among other keys"],
];

const HEADS = { quiet: "quiet", hot: "hot", shared: "one core" };
const WORDS = {
  quiet: "**quiet**: nothing else runs, so a core sleeps between two round trips, and waking it is most of a single call's time;",
  hot: "**hot**: no core ever sleeps, so that the clients' own work shows;",
  shared: "**one core**: hot, with client and server on the same core: the cheapest round trip there is.",
};

/** Redis: ours beside bare ioredis, in each state of the machine. */
function redisSection(result) {
  const all = new Map(result.regimes.map((regime) => [regime, new Map(groups(result).flatMap((group) => rows(result, regime, group)).map((row) => [row.name, row]))]));
  const cell = (row) => {
    if (!row || !row.mine) return "–";
    const { median: times } = row.mine;
    return `**${times.toFixed(times < 10 ? 1 : 0)}×** (${time(row.ours)}; ${time(row.base)})`;
  };
  const lines = SHOWN.filter(([name]) => [...all.values()].some((found) => found.has(name))).map(([name, words]) => `| ${words} | ${result.regimes.map((regime) => cell(all.get(regime).get(name))).join(" | ")} |`);
  const { own, others } = { own: result.plan.own.toLocaleString("en"), others: result.plan.others.toLocaleString("en") };
  const base = result.peers.find(({ id }) => id === "ioredis");
  const beside = nodeRedis(result);
  return [
    `How many times as fast as bare ioredis ${base.version}, and in brackets the time of a call here and with ioredis (medians; of`,
    `scans, the time of all: ${own} keys, alone or among ${others} others). All but the first four are without the near cache.`,
    "",
    `| | ${result.regimes.map((regime) => HEADS[regime]).join(" | ")} |`,
    `| --- |${" ---: |".repeat(result.regimes.length)}`,
    ...lines,
    "",
    ...result.regimes.map((regime) => `- ${WORDS[regime]}`),
    "",
    ...(beside ? [beside, ""] : []),
    ...costLines(result).map((line) => `- ${line}.`),
    ...(result.nearCosts ? [""] : []),
    `${result.date}, ${machineLine(result)}. All cases and clients: \`bench/results/latest.md\`, as a picture \`latest.svg\`.`,
  ].join("\n");
}

/** The other client for Node with a cache of its own. */
function nodeRedis(result) {
  const regime = result.regimes.includes("hot") ? "hot" : result.regimes[0];
  const found = result.cases.find((entry) => entry.regime === regime && entry.name === "near getSignalId");
  if (!found || !found.peers.noderediscache || !found.peers.near) return "";
  const middle = (id) => time(median(found.peers[id].us.filter(Number.isFinite)));
  return `A known id takes node-redis with its own client-side cache ${middle("noderediscache")}, and the near cache ${middle("near")} (${HEADS[regime]}).`;
}

/** The db services, beside what the original does and beside the plain driver. */
function mongoSection(result) {
  const version = (id) => result.peers.find((peer) => peer.id === id).version;
  const names = [...new Set(result.cases.map(({ name }) => name))];
  const cell = (name, regime) => {
    const entry = result.cases.find((one) => one.name === name && one.regime === regime);
    const beside = (id) => {
      if (!entry.peers[id]) return "–";
      const { median: times } = pairedRatio(entry.peers[id].us, entry.peers.ours.us);
      return `**${times.toFixed(times < 10 ? 1 : 0)}×** (${time(median(entry.peers[id].us))})`;
    };
    return `${time(median(entry.peers.ours.us))} | ${beside("original")} | ${beside("driver")}`;
  };
  const regime = result.regimes[0];
  const title = (name) => mongoTitle(result.cases.find((entry) => entry.name === name));
  return [
    `Here, and how many times as fast that is as the original's way (mongoose ${version("original")} and ioredis) and as the plain`,
    `driver (mongodb ${version("driver")}); medians on a ${HEADS[regime]} machine.`,
    "",
    "| | here | the original | plain driver |",
    "| --- | ---: | ---: | ---: |",
    ...names.map((name) => `| ${title(name)} | ${cell(name, regime)} |`),
    "",
    `${mongoLine(result)} All states of the machine: \`bench/results/mongo.md\`, as a picture \`mongo.svg\`.`,
  ].join("\n");
}

const mongoLine = (result) => `${result.date}, ${machineLine(result)} · MongoDB ${result.machine.mongo}.`;

/** Candles as the kit's adapters read and write them. */
function candlesSection(result) {
  const { samples, memory } = result;
  const peers = ["setup", "unchanged", "map", "original"];
  const cell = (op, id) => (samples[op][id] ? time(median(samples[op][id])) : "–");
  const queries = (op) => `${median(samples[`${op} queries`].setup)} queries`;
  const perSlot = (memory.bytes / memory.candles).toFixed(1);
  return [
    "| | `setup()` | unchanged | Map | original |",
    "| --- | ---: | ---: | ---: | ---: |",
    ...CALLS.map(({ op, title }) => `| ${title} | ${peers.map((id) => cell(op, id)).join(" | ")} |`),
    ...WHOLE.map(({ op, title }) => `| ${title}: ${queries(op)} | ${cell(op, "setup")} | – | – | – |`),
    "",
    `In memory a candle takes ${perSlot} bytes, without its rows. Medians.`,
    "",
    mongoLine(result),
  ].join("\n");
}

/** The real kit. Its rows come as they were told, with the floor where there is one. */
function kitSection(result) {
  const number = (value) => value.toFixed(value < 10 ? 3 : 1);
  const line = ({ title, middle, low, high, unit, limit, note }) =>
    `| ${title}${note ? ` (${note})` : ""} | ${number(middle)} ${unit} | ${number(low)} to ${number(high)} | ${limit === null ? "–" : limit} |`;
  return [
    "## The real kit",
    "",
    `backtest-kit trades ${result.plan.minutes / 1_440} days of made-up minutes, each run in a process of its own, beside a run that keeps candles in a`,
    "Map and forgets the rest.",
    "",
    "| | median | from, to | at most |",
    "| --- | ---: | ---: | ---: |",
    ...result.rows.map(line),
    "",
    mongoLine(result),
  ].join("\n");
}

const STORE_CALLS = [
  ["get", "`get` of a map"],
  ["set", "`set`, awaited"],
  ["set@100", "`set`, 100 at once"],
  ["upsert", "`upsert` of a row"],
  ["findByContext", "`findByContext`"],
];
const STORE_PEERS = [["store", "here"], ["better", "better-sqlite3"], ["node", "node:sqlite"], ["lmdb", "lmdb-js"], ["files", "the kit's files"], ["servers", "on servers"]];

/** The embedded store beside other stores: a time for each, and ours as a ratio to better-sqlite3's. */
function storeSection({ calls: { samples }, ...result }) {
  const peers = STORE_PEERS.filter(([peer]) => STORE_CALLS.some(([name]) => samples[name]?.[peer]));
  const line = ([name, title]) => {
    const cells = peers.map(([peer]) => (samples[name][peer] ? `${median(samples[name][peer]).toFixed(1)} µs` : "–"));
    return `| ${title} | ${cells.join(" | ")} | ${pairedRatio(samples[name].store, samples[name].better).median.toFixed(2)}× |`;
  };
  return [
    `| | ${peers.map(([, title]) => title).join(" | ")} | here / better-sqlite3 |`,
    `| --- |${" ---: |".repeat(peers.length + 1)}`,
    ...STORE_CALLS.filter(([name]) => samples[name]).map(line),
    "",
    `${result.date}, ${result.machine.cpu}, ${result.machine.cores} cores · Node ${result.machine.node}. Spreads and slowest calls: \`bench/results/store.md\`.`,
  ].join("\n");
}

/** A Redis Cluster of three masters, beside ourselves on one server and beside other clients for clusters. */
function clusterSection({ peers, samples, cpu, ...result }) {
  const title = (name) => {
    const [op, atOnce] = name.split("@");
    return atOnce === "1" ? `\`${op}\`, one after the other` : `\`${op}\`, ${atOnce} at once`;
  };
  const calls = Object.keys(samples).filter((name) => samples[name].cluster);
  const shown = peers.filter(({ id }) => calls.some((name) => samples[name][id]));
  const line = (name) => {
    const cells = shown.map(({ id }) => (samples[name][id] ? time(median(samples[name][id])) : "–"));
    const { cluster, single } = samples[name];
    const [speed, cost] = [pairedRatio(single, cluster).median, pairedRatio(cpu[name].cluster, cpu[name].single).median];
    return `| ${title(name)} | ${cells.join(" | ")} | ${speed.toFixed(2)} | ${cost.toFixed(2)} |`;
  };
  const heads = shown.map(({ id, title: who, version }) => ({ cluster: "here", single: "here, one server" })[id] ?? `${who} ${version}`);
  const hit = samples["hit get"];
  const [here, single] = ["cluster-near", "single-near"].map((id) => time(median(hit[id])));
  return [
    `| | ${heads.join(" | ")} | speed, of one server | processor time, of one server |`,
    `| --- |${" ---: |".repeat(shown.length + 2)}`,
    ...calls.map(line),
    "",
    `An id that is known takes ${here} here, and ${single} with one server.`,
    "",
    `Medians of a call. ${result.date}, ${machineLine(result)}. All figures: \`bench/results/cluster.md\`.`,
  ].join("\n");
}

module.exports = { clusterSection, redisSection, mongoSection, candlesSection, kitSection, storeSection };

"use strict";

// node bench/readme.js: writes the figures of the last full runs (results/latest.json, results/mongo.json) into README.md,
// between its marks.

const fs = require("node:fs");
const path = require("node:path");
const { median } = require("./stats.js");
const { mongoTitle } = require("./report/mongo.js");
const { time, groups, rows, machineLine, costLines } = require("./report/format.js");

const README = path.join(__dirname, "..", "README.md");
const RESULTS = path.join(__dirname, "results");

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

function section(result) {
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
    `${result.date}, ${machineLine(result)}. All figures: [bench/results/latest.md](bench/results/latest.md).`,
    "",
    "![How many times as fast as ioredis, by case and state of the machine](bench/results/latest.svg)",
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
    const [ours, original, driver] = ["ours", "original", "driver"].map((id) => (entry.peers[id] ? median(entry.peers[id].us) : null));
    const beside = (other) => (other === null ? "–" : `**${(other / ours).toFixed(other / ours < 10 ? 1 : 0)}×** (${time(other)})`);
    return `${time(ours)} | ${beside(original)} | ${beside(driver)}`;
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
    `${result.date}, ${machineLine(result)} · MongoDB ${result.machine.mongo}. All figures: [bench/results/mongo.md](bench/results/mongo.md).`,
  ].join("\n");
}

/** What README shows, by the name in its marks. */
const SECTIONS = { bench: ["latest.json", section], "bench-mongo": ["mongo.json", mongoSection] };

/** Writes the sections of which there is a result, from the given one or from its file. */
function updateReadme(given) {
  let text = fs.readFileSync(README, "utf8");
  for (const [name, [file, show]] of Object.entries(SECTIONS)) {
    const result = name === "bench" && given ? given : JSON.parse(fs.readFileSync(path.join(RESULTS, file), "utf8"));
    if (result.kind !== "full") throw new Error(`README shows full runs only: ${file}`);
    const [start, end] = [`<!-- ${name}:start -->`, `<!-- ${name}:end -->`];
    const [from, to] = [text.indexOf(start), text.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`README.md lacks ${start} or ${end}`);
    text = `${text.slice(0, from)}${start}\n${show(result)}\n${text.slice(to)}`;
  }
  fs.writeFileSync(README, text);
  console.log("written: README.md");
}

if (require.main === module) {
  try {
    updateReadme();
  } catch (error) {
    console.error(`readme: ${error.message}`);
    process.exitCode = 1;
  }
}

module.exports = { updateReadme };

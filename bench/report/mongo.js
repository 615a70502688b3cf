"use strict";

// The report of the db services, on the terminal and as a page.

const { REGIMES } = require("../cases.js");
const { MONGO_BASE } = require("../peers/index.js");
const { formatFloor } = require("../floors.js");
const { median } = require("../stats.js");
const { time, ratio, percent, mebibytes, machineLine } = require("./format.js");

const middle = (entry, what) => (entry ? median(entry[what].filter(Number.isFinite)) : null);

/** The words for a case. */
function mongoTitle({ name, op, atOnce, count }) {
  if (atOnce) return `${op}, ${atOnce === 1 ? "one by one" : `${atOnce} at once`}`;
  const number = count.toLocaleString("en");
  const titles = {
    "candles new": `${number} new candles`,
    "candles again": `the same ${number} again`,
    "candles read": `${number} read in order`,
    "month written": `${number} candles written`,
    "month read": `${number} candles read`,
  };
  return titles[name];
}

/** One row per case of a regime: times of all peers, our ratio to the others, CPU. */
function mongoRows(result, regime) {
  return result.cases.filter((entry) => entry.regime === regime).map((entry) => {
    const ours = middle(entry.peers.ours, "us");
    const times = Object.fromEntries(result.peers.map(({ id }) => [id, middle(entry.peers[id], "us")]));
    const ratios = Object.fromEntries(Object.entries(times).map(([id, us]) => [id, us && ours ? us / ours : null]));
    if (entry.ratios.ours) ratios[MONGO_BASE] = entry.ratios.ours.median;
    return { name: entry.name, title: mongoTitle(entry), times, ratios, cpu: { ours: middle(entry.peers.ours, "cpu"), base: middle(entry.peers[MONGO_BASE], "cpu") } };
  });
}

function tableOf(result, regime) {
  const others = result.peers.filter(({ id }) => id !== "ours");
  const head = ["", "ours", ...others.flatMap(({ title }) => [title, "×"]), "CPU original", "CPU ours"];
  const lines = mongoRows(result, regime).map(({ title, times, ratios, cpu }) => {
    const share = cpu.ours && cpu.base ? ` (${percent(cpu.ours / cpu.base)})` : "";
    return [title, time(times.ours), ...others.flatMap(({ id }) => [time(times[id]), ratio(ratios[id])]), time(cpu.base), time(cpu.ours) + share];
  });
  return { head, lines };
}

function memoryOf({ peers, memory }) {
  const lines = peers.filter(({ id }) => memory[id]).map(({ id, title }) => [title, mebibytes(memory[id].rss), mebibytes(memory[id].heapUsed)]);
  return { head: ["", "RSS after gc", "heap after gc"], lines };
}

const NOTE = "Medians; × = how many times as fast we were (higher is better); time per call, or of the whole operation; CPU is that of the client's process";

function printMongo(result) {
  console.log(`${machineLine(result)} · MongoDB ${result.machine.mongo}`);
  console.log(result.peers.map(({ title, version }) => `${title} ${version}`).join(" · "));
  for (const { title, reason } of result.skipped) console.log(`skipped: ${title} (${reason})`);
  console.log(`${result.kind} run of ${result.seconds} s. ${NOTE}`);
  for (const regime of result.regimes) {
    console.log(`\n${REGIMES[regime].title} · db services`);
    print(tableOf(result, regime));
  }
  console.log("\nMemory after the calls");
  print(memoryOf(result));
  for (const { regime, name, peer, reason } of result.failures) console.log(`failed: ${regime} ${name}, ${peer}: ${reason}`);
  console.log("\nFloors");
  for (const verdict of result.floors) console.log(formatFloor(verdict));
}

function print({ head, lines }) {
  const widths = head.map((_, column) => Math.max(...[head, ...lines].map((line) => line[column].length)));
  for (const line of [head, ...lines]) {
    console.log(`  ${line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join("  ")}`);
  }
}

function mongoMarkdown(result, picture) {
  const out = [`# Benchmark of the db services, ${result.date}${result.kind === "full" ? "" : " (partial run)"}`, ""];
  out.push(`${machineLine(result)} · MongoDB ${result.machine.mongo}.  `, `${result.peers.map(({ title, version }) => `${title} ${version}`).join(" · ")}.`, "");
  for (const { title, reason } of result.skipped) out.push(`Skipped: ${title} (${reason}).`, "");
  out.push(`${NOTE}.`, "", `![ratios against the original](${picture})`, "");
  for (const regime of result.regimes) out.push(`## ${REGIMES[regime].title}`, "", ...markdownTable(tableOf(result, regime)), "");
  out.push("## Memory after the calls", "", ...markdownTable(memoryOf(result)), "");
  if (result.failures.length > 0) {
    out.push("## Failed", "", ...result.failures.map(({ regime, name, peer, reason }) => `- ${regime} ${name}, ${peer}: ${reason}`), "");
  }
  out.push("## Floors", "", "```", ...result.floors.map((verdict) => formatFloor(verdict).slice(2)), "```", "");
  return out.join("\n");
}

function markdownTable({ head, lines }) {
  const row = (line) => `| ${line.join(" | ")} |`;
  return [row(head), `|${head.map((_, i) => (i === 0 ? " --- |" : " ---: |")).join("")}`, ...lines.map(row)];
}

module.exports = { printMongo, mongoMarkdown, mongoRows, mongoTitle };

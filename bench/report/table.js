"use strict";

// The report on the terminal.

const { BASE } = require("../peers/index.js");
const { REGIMES } = require("../cases.js");
const { formatFloor } = require("../floors.js");
const { time, ratio, percent, mebibytes, rows, groups, machineLine, costLines } = require("./format.js");

function printReport(result) {
  const { peers } = result;
  console.log(machineLine(result));
  console.log(peers.map(({ title, version }) => `${title} ${version}`).join(" · "));
  for (const { title, reason } of result.skipped) console.log(`skipped: ${title} (${reason})`);
  console.log(`${result.kind} run of ${result.seconds} s; medians; × = times as fast as bare ioredis 5 in the same round (higher is better)`);

  for (const regime of result.regimes) {
    for (const group of groups(result)) {
      const shown = rows(result, regime, group);
      if (shown.length === 0) continue;
      console.log(`\n${REGIMES[regime].title} · ${group.title} · ${group.note}`);
      printTable(header(shown, peers, group), shown.map((row) => cells(row, columns(shown, peers, group))));
    }
  }
  printMemory(result);
  for (const line of costLines(result)) console.log(`\n${line}`);
  for (const { regime, name, peer, reason } of result.failures) console.log(`failed: ${regime} ${name}, ${peer}: ${reason}`);
  console.log("\nFloors");
  for (const verdict of result.floors) console.log(formatFloor(verdict));
}

/** The peers with a figure in at least one row; the base is a column of its own. */
function columns(shown, peers, { mine = "ours", titles = {} } = {}) {
  const found = peers.filter(({ id }) => id !== BASE && shown.some((row) => row.ratios[id])).map(({ id, title }) => ({ id, title: titles[id] || title }));
  return [...found.filter(({ id }) => id === mine), ...found.filter(({ id }) => id !== mine)];
}

function header(shown, peers, group) {
  return ["", "ioredis 5", (group.titles && group.titles[group.mine]) || "ours", ...columns(shown, peers, group).map(({ title }) => `${title} ×`), "CPU ioredis", "CPU ours"];
}

function cells(row, shown) {
  const share = row.cpuBase && row.cpuOurs ? `${time(row.cpuOurs)} (${percent(row.cpuOurs / row.cpuBase)})` : "–";
  return [row.title, time(row.base), time(row.ours), ...shown.map(({ id }) => ratio(row.ratios[id] && row.ratios[id].median)), time(row.cpuBase), share];
}

function printMemory({ peers, memory }) {
  const shown = peers.filter(({ id }) => memory[id]);
  if (shown.length === 0) return;
  console.log("\nMemory after the calls");
  const line = ({ id, title }) => [title, ...["rssBeforeGc", "rss", "heapUsed", "external"].map((name) => mebibytes(memory[id][name]))];
  printTable(["", "RSS", "RSS after gc", "heap after gc", "external"], shown.map(line));
}

function printTable(head, lines) {
  const widths = head.map((_, column) => Math.max(...[head, ...lines].map((line) => line[column].length)));
  for (const line of [head, ...lines]) {
    console.log(`  ${line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join("  ")}`);
  }
}

module.exports = { printReport, columns, header, cells };

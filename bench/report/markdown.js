"use strict";

// The same report as a page that can be kept.

const { REGIMES } = require("../cases.js");
const { formatFloor } = require("../floors.js");
const { mebibytes, rows, groups, machineLine, costLines } = require("./format.js");
const { columns, header, cells } = require("./table.js");

function markdown(result, picture) {
  const out = [];
  out.push(`# Benchmark of ${result.date}${result.kind === "full" ? "" : ` (${result.kind} run)`}`, "");
  out.push(machineLine(result) + ".  ");
  out.push(`${result.peers.map(({ title, version }) => `${title} ${version}`).join(" · ")}.`, "");
  for (const { title, reason } of result.skipped) out.push(`Skipped: ${title} (${reason}).`, "");
  out.push(
    "All clients ran in one run against one server, in turns. Figures are medians over rounds. A ratio says how many times as fast as",
    "bare ioredis 5 a client was in the same round: higher is better. “At once” is a `Promise.all` over that many calls; “loops” are that many",
    "independent loops. CPU is that of the client's process, per call.",
    "",
    `![ratios against ioredis](${picture})`,
    "",
  );
  for (const regime of result.regimes) {
    out.push(`## ${REGIMES[regime].title}`, "");
    for (const group of groups(result)) {
      const shown = rows(result, regime, group);
      if (shown.length === 0) continue;
      out.push(`### ${group.title}: ${group.note}`, "");
      out.push(...table(header(shown, result.peers, group), shown.map((row) => cells(row, columns(shown, result.peers, group)))), "");
    }
  }
  const remembered = result.peers.filter(({ id }) => result.memory[id]);
  if (remembered.length > 0) {
    out.push("## Memory after the calls", "");
    const line = ({ id, title }) => [title, ...["rssBeforeGc", "rss", "heapUsed", "external"].map((name) => mebibytes(result.memory[id][name]))];
    out.push(...table(["", "RSS", "RSS after gc", "heap after gc", "external"], remembered.map(line)), "");
  }
  const costs = costLines(result);
  if (costs.length > 0) out.push("## What the near cache costs", "", ...costs.map((line) => `- ${line}`), "");
  if (result.failures.length > 0) {
    out.push("## Failed", "");
    for (const { regime, name, peer, reason } of result.failures) out.push(`- ${regime} ${name}, ${peer}: ${reason}`);
    out.push("");
  }
  out.push("## Floors", "", "```", ...result.floors.map((verdict) => formatFloor(verdict).slice(2)), "```", "");
  return out.join("\n");
}

function table(head, lines) {
  const row = (line) => `| ${line.join(" | ")} |`;
  return [row(head), `|${head.map((_, i) => (i === 0 ? " --- |" : " ---: |")).join("")}`, ...lines.map(row)];
}

module.exports = { markdown };

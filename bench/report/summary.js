"use strict";

// The few figures that README shows, from the results of several benches, as a picture and as its text: how many times as
// fast as the original's way, on a quiet machine.

const { median, pairedRatio } = require("../stats.js");
const { machineLine, time } = require("./format.js");

const LABELS = 236;
const BARS = 330;
const TIMES = 166;
const ROW = 22;
const TOP = 72;
const TICKS = [1, 10, 100, 1_000, 10_000];

const STYLE = `
  .bg { fill: #ffffff; } .text { fill: #24292f; } .soft { fill: #6a737d; } .grid { stroke: #e3e6ea; } .one { stroke: #6a737d; } .win { fill: #1a9c7d; } .lose { fill: #d1493f; }
  text { font: 11.5px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; } .title { font-size: 17px; font-weight: 600; } .head { font-weight: 600; } .end { text-anchor: end; } .mid { text-anchor: middle; }
  @media (prefers-color-scheme: dark) {
    .bg { fill: #14181d; } .text { fill: #e1e5ea; } .soft { fill: #98a1ab; } .grid { stroke: #2a3038; } .one { stroke: #98a1ab; } .win { fill: #2bb594; } .lose { fill: #e0655c; }
  }`;

/** What is shown: its words, the result that it is taken from, the case there, and the peer of ours. */
const SHOWN = [
  ["five candles of a simulated minute", "candles", "window", "setup"],
  ["`getSignalId` of a known row", "latest", "near getSignalId", "near"],
  ["1,000 candles in order", "mongo", "candles read", "ours"],
  ["5,000 new candles", "mongo", "candles new", "ours"],
  ["`findByContext`, 100 at once", "mongo", "findByContext@100", "ours"],
  ["`set` with a time to live, 100 at once", "latest", "setTtl@100", "ours"],
  ["`get` of a map, one after the other", "latest", "get@1", "ours"],
  ["all of a map of 100,000 keys", "latest", "toArray", "ours"],
  ["`upsert`, one after the other", "mongo", "upsert@1", "ours"],
];

/** Microseconds by round of each peer. */
function samplesOf(name, result, wanted) {
  if (name === "candles") return result.samples[wanted] ?? null;
  const found = result.cases.find((entry) => entry.name === wanted && entry.regime === "quiet");
  return found ? Object.fromEntries(Object.entries(found.peers).map(([id, { us }]) => [id, us])) : null;
}

/** The rows of which there is a result, the largest first. */
function summaryRows(results) {
  const rows = SHOWN.flatMap(([title, name, wanted, mine]) => {
    const samples = results[name] && samplesOf(name, results[name], wanted);
    if (!samples || !samples[mine] || !samples.original) return [];
    const middle = (id) => median(samples[id].filter(Number.isFinite));
    return [{ title, ratio: pairedRatio(samples.original, samples[mine]).median, ours: middle(mine), original: middle("original") }];
  });
  return rows.sort((a, b) => b.ratio - a.ratio);
}

const times = (ratio) => `${ratio < 10 ? ratio.toFixed(1) : Math.round(ratio).toLocaleString("en")}×`;
const plain = (title) => title.replaceAll("`", "");
const used = (results) => Object.values(results).filter((result) => result !== null);
const dates = (results) => [...new Set(used(results).map(({ date }) => date))].sort().join(", ");

function summaryText(rows, results) {
  const alt = rows.map(({ title, ratio }) => `${plain(title)} ${times(ratio)}`).join("; ");
  const { cores, virtual } = used(results)[0].machine;
  return [
    `![How many times as fast as the original: ${alt}](docs/figures.svg)`,
    "",
    `Medians of the same calls in turns, on ${cores}${virtual ? " virtual" : ""} cores with both servers on them; ${dates(results)}. All figures, and how they were`,
    "measured: [benchmarks](docs/benchmarks.md).",
  ].join("\n");
}

function summaryChart(rows, results) {
  const most = Math.max(10, ...rows.map(({ ratio }) => ratio * 1.6));
  const least = Math.min(1, ...rows.map(({ ratio }) => ratio * 0.9));
  const at = (value) => LABELS + (Math.log10(value / least) / Math.log10(most / least)) * BARS;
  const bottom = TOP + rows.length * ROW;
  const [width, height] = [LABELS + BARS + TIMES + 16, bottom + 36];
  const out = [`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`];
  out.push(`<title>How many times as fast as the original</title><style>${STYLE}\n</style><rect class="bg" width="${width}" height="${height}" rx="8"/>`);
  out.push(text(16, 28, "title text", "How many times as fast as the original"));
  out.push(text(width - 16, TOP - 6, "soft end", "here, the original"));
  for (const tick of TICKS.filter((value) => value >= least && value <= most)) {
    out.push(`<line class="${tick === 1 ? "one" : "grid"}" x1="${round(at(tick))}" x2="${round(at(tick))}" y1="${TOP}" y2="${bottom}"/>`);
    out.push(text(at(tick), TOP - 6, "soft mid", `${tick.toLocaleString("en")}×`));
  }
  rows.forEach(({ title, ratio, ours, original }, line) => {
    const y = TOP + line * ROW;
    const [from, to] = [at(Math.min(1, ratio)), at(Math.max(1, ratio))];
    out.push(text(LABELS - 10, y + 15, "text end", plain(title)));
    out.push(`<rect class="${ratio >= 1 ? "win" : "lose"}" x="${round(from)}" y="${y + 4}" width="${round(Math.max(1, to - from))}" height="14" rx="2"/>`);
    out.push(text(to + 7, y + 15, "text head", times(ratio)));
    out.push(text(width - 16, y + 15, "soft end", `${time(ours)}, ${time(original)}`));
  });
  out.push(text(16, height - 12, "soft", `${machineLine(used(results)[0])} · logarithmic axis`), "</svg>", "");
  return out.join("\n");
}

function text(x, y, kind, words) {
  const safe = String(words).replace(/&/g, "&amp;").replace(/</g, "&lt;");
  return `<text class="${kind}" x="${round(x)}" y="${round(y)}">${safe}</text>`;
}

const round = (number) => Math.round(number * 10) / 10;

module.exports = { summaryRows, summaryText, summaryChart };

"use strict";

// The ratios as a picture: one panel per state of the machine, one row per case, a bar for ours and a mark for every
// other client, on a logarithmic axis on which bare ioredis 5 is the line at 1×. It has its own background and follows
// the reader's light or dark setting, so that it is readable on any page.

const { BASE } = require("../peers/index.js");
const { rows, groups, machineLine, time } = require("./format.js");

const LABELS = 174;
const GAP = 18;
const PANEL = 300;
const SIDE = 52; // of a panel, for ioredis's own time
const ROW = 17;
const TOP = 112;

const MARKS = {
  auto: { color: "#d98200", shape: "circle", title: "ioredis 5, auto-pipelining" },
  original: { color: "#c2416b", shape: "square", title: "the original's pattern" },
  count1000: { color: "#d98200", shape: "ring", title: "ioredis 5, COUNT 1000" },
  ioredis6: { color: "#7a5cc7", shape: "diamond", title: "ioredis" },
  noderedis: { color: "#8a8f98", shape: "circle" },
  glide: { color: "#4d7fd6", shape: "diamond" },
  noderediscache: { color: "#8a8f98", shape: "ring" },
};

const HEADS = { quiet: "quiet machine", hot: "hot machine", shared: "hot, one core for both" };

const STYLE = `
  .bg { fill: #ffffff; } .text { fill: #24292f; } .soft { fill: #6a737d; } .grid { stroke: #e3e6ea; } .one { stroke: #6a737d; }
  .win { fill: #1a9c7d; } .lose { fill: #d1493f; } text { font: 11px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
  .title { font-size: 17px; font-weight: 600; } .head { font-size: 12px; font-weight: 600; } .small { font-size: 9.5px; } .end { text-anchor: end; } .mid { text-anchor: middle; }
  @media (prefers-color-scheme: dark) {
    .bg { fill: #14181d; } .text { fill: #e1e5ea; } .soft { fill: #98a1ab; } .grid { stroke: #2a3038; } .one { stroke: #98a1ab; }
    .win { fill: #2bb594; } .lose { fill: #e0655c; }
  }`;

function chart(result) {
  const panels = result.regimes.map((regime) => ({ regime, groups: groups(result).map((group) => rows(result, regime, group)) }));
  const base = result.peers.find(({ id }) => id === BASE);
  const lines = layout(result, panels);
  const scale = makeScale(panels);
  const shown = result.peers.filter(({ id }) => MARKS[id] && panels.some(({ groups: list }) => list.flat().some((row) => row.ratios[id])));
  const width = LABELS + panels.length * (PANEL + GAP) + 6;
  const bottom = TOP + lines.reduce((sum, line) => sum + line.height, 0);
  const height = bottom + 34;

  const out = [`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`];
  out.push(`<title>backtest-kit-native against ioredis</title><style>${STYLE}\n</style>`);
  out.push(`<rect class="bg" width="${width}" height="${height}" rx="8"/>`);
  out.push(text(16, 28, "title text", `How many times as fast as ioredis ${base ? base.version : ""}`.trim()));
  out.push(text(16, 47, "soft", machineLine(result)));
  out.push(...legend(shown, 16, 68));
  panels.forEach((panel, index) => out.push(...drawPanel(panel, LABELS + index * (PANEL + GAP), lines, scale, bottom)));
  let y = TOP;
  for (const line of lines) {
    if (line.head) out.push(text(16, y + line.height - 5, "head text", line.head));
    else out.push(text(LABELS - 8, y + 12, "text end", line.title));
    y += line.height;
  }
  out.push(text(16, height - 12, "soft small", "Medians of rounds in which all clients took turns on one server. Bars: ours. Right of each bar: ours; at the edge: what ioredis took. Logarithmic axis."));
  out.push("</svg>", "");
  return out.join("\n");
}

/** The rows of all panels, in order, with a headline before each group. */
function layout(result, panels) {
  return groups(result).flatMap((group, index) => {
    const titles = new Map();
    for (const panel of panels) for (const row of panel.groups[index]) if (!row.name.includes("loops")) titles.set(row.name, row.title);
    if (titles.size === 0) return [];
    return [{ head: group.title, height: 27 }, ...[...titles].map(([name, title]) => ({ name, title, height: ROW }))];
  });
}

function makeScale(panels) {
  const all = panels.flatMap((panel) => panel.groups.flat()).flatMap((row) => Object.values(row.ratios).filter(Boolean).map((entry) => entry.median));
  const low = Math.min(0.5, ...all.map((value) => value * 0.95));
  const high = Math.max(2.2, ...all.map((value) => value * 2.8));
  const span = Math.log2(high) - Math.log2(low);
  // Few enough that their words do not touch.
  const ticks = (high > 64 ? [0.25, 1, 4, 16, 64, 256] : [0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64]).filter((tick) => tick >= low && tick <= high);
  return { ticks, at: (value) => ((Math.log2(value) - Math.log2(low)) / span) * (PANEL - SIDE) };
}

function drawPanel(panel, x, lines, scale, bottom) {
  const out = [text(x + scale.at(1), TOP - 18, "head text mid", HEADS[panel.regime]), text(x + PANEL, TOP - 4, "soft small end", "ioredis")];
  for (const tick of scale.ticks) {
    const at = round(x + scale.at(tick));
    out.push(`<line class="${tick === 1 ? "one" : "grid"}" x1="${at}" x2="${at}" y1="${TOP + 2}" y2="${bottom + 2}"/>`);
    out.push(text(at, TOP - 4, "soft small mid", `${tick}×`));
  }
  const found = new Map(panel.groups.flat().map((row) => [row.name, row]));
  let y = TOP;
  for (const line of lines) {
    const row = line.name && found.get(line.name);
    if (row) out.push(...drawRow(row, x, y, scale));
    y += line.height;
  }
  return out;
}

function drawRow(row, x, y, scale) {
  const out = [];
  const ours = row.mine && row.mine.median;
  if (ours) {
    const [from, to] = [scale.at(Math.min(1, ours)), scale.at(Math.max(1, ours))];
    out.push(`<rect class="${ours >= 1 ? "win" : "lose"}" x="${round(x + from)}" y="${y + 3}" width="${round(Math.max(1, to - from))}" height="10" rx="1.5"/>`);
  }
  for (const [id, mark] of Object.entries(MARKS)) {
    if (row.ratios[id]) out.push(drawMark(mark, x + scale.at(row.ratios[id].median), y + 8));
  }
  if (ours) out.push(text(x + labelAt(row, ours, scale), y + 12, "text", `${ours.toFixed(ours < 100 ? 1 : 0)}×`));
  out.push(text(x + PANEL, y + 12, "soft small end", time(row.base)));
  return out;
}

/** Right of the bar, and right of the marks that would stand under the figure. */
function labelAt(row, ours, scale) {
  let at = scale.at(Math.max(1, ours)) + 5;
  const marks = Object.entries(row.ratios).filter(([id, entry]) => MARKS[id] && entry).map(([, entry]) => scale.at(entry.median));
  for (const mark of marks.sort((a, b) => a - b)) if (mark > at - 7 && mark < at + 26) at = mark + 8;
  return at;
}

function drawMark({ color, shape }, x, y) {
  const [cx, cy] = [round(x), round(y)];
  if (shape === "square") return `<rect x="${round(x - 3.2)}" y="${round(y - 3.2)}" width="6.4" height="6.4" fill="${color}"/>`;
  if (shape === "diamond") return `<rect x="${round(x - 3)}" y="${round(y - 3)}" width="6" height="6" fill="${color}" transform="rotate(45 ${cx} ${cy})"/>`;
  if (shape === "ring") return `<circle cx="${cx}" cy="${cy}" r="3.2" fill="none" stroke="${color}" stroke-width="1.7"/>`;
  return `<circle cx="${cx}" cy="${cy}" r="3.5" fill="${color}"/>`;
}

function legend(shown, x, y) {
  const out = [`<rect class="win" x="${x}" y="${y - 9}" width="22" height="10" rx="1.5"/>`, text(x + 28, y, "text", "ours")];
  let at = x + 70;
  for (const { id, title, version } of shown) {
    // Three of them are ioredis 5, whose version stands in the headline.
    const words = MARKS[id].title && id !== "ioredis6" ? MARKS[id].title : `${MARKS[id].title || title} ${version}`;
    out.push(drawMark(MARKS[id], at, y - 4), text(at + 8, y, "text", words));
    at += 24 + words.length * 6.1;
  }
  return out;
}

function text(x, y, kind, words) {
  const safe = String(words).replace(/&/g, "&amp;").replace(/</g, "&lt;");
  return `<text class="${kind}" x="${round(x)}" y="${round(y)}">${safe}</text>`;
}

const round = (number) => Math.round(number * 10) / 10;

module.exports = { chart };

"use strict";

// How many times as fast as the original the db services are, as a picture: one panel per state of the machine, a bar per
// case, a mark where the plain driver stands, on a logarithmic axis.

const { mongoRows } = require("./mongo.js");
const { machineLine, time } = require("./format.js");

const LABELS = 190;
const PANEL = 320;
const ROW = 18;
const TOP = 84;
const TICKS = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256];
const HEADS = { quiet: "quiet machine", hot: "hot machine" };

const STYLE = `
  .bg { fill: #ffffff; } .text { fill: #24292f; } .soft { fill: #6a737d; } .grid { stroke: #e3e6ea; } .win { fill: #1a9c7d; } .lose { fill: #d1493f; } .mark { fill: #d98200; }
  text { font: 11px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; } .title { font-size: 17px; font-weight: 600; } .head { font-weight: 600; } .end { text-anchor: end; } .mid { text-anchor: middle; }
  @media (prefers-color-scheme: dark) {
    .bg { fill: #14181d; } .text { fill: #e1e5ea; } .soft { fill: #98a1ab; } .grid { stroke: #2a3038; } .win { fill: #2bb594; } .lose { fill: #e0655c; }
  }`;

function mongoChart(result) {
  const panels = result.regimes.map((regime) => ({ regime, rows: mongoRows(result, regime).filter((row) => row.ratios.original) }));
  const all = panels.flatMap(({ rows }) => rows.flatMap(({ ratios }) => [ratios.original, driverAt(ratios)]).filter(Boolean));
  const low = Math.min(0.5, ...all.map((value) => value * 0.9));
  const high = Math.max(2, ...all.map((value) => value * 2.5));
  const at = (value) => (Math.log2(value / low) / Math.log2(high / low)) * PANEL;
  const bottom = TOP + Math.max(1, ...panels.map(({ rows }) => rows.length)) * ROW;
  const [width, height] = [LABELS + panels.length * (PANEL + 24) + 8, bottom + 34];

  const out = [`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">`];
  out.push(`<title>The db services against mongoose</title><style>${STYLE}\n</style><rect class="bg" width="${width}" height="${height}" rx="8"/>`);
  out.push(text(16, 28, "title text", "How many times as fast as the original on mongoose"));
  out.push(text(16, 46, "soft", `${machineLine(result)} · MongoDB ${result.machine.mongo}`));
  panels.forEach(({ regime, rows }, index) => {
    const x = LABELS + index * (PANEL + 24);
    out.push(text(x + at(1), TOP - 18, "head text mid", HEADS[regime] || regime));
    for (const tick of TICKS.filter((value) => value >= low && value <= high)) {
      out.push(`<line class="grid" x1="${round(x + at(tick))}" x2="${round(x + at(tick))}" y1="${TOP}" y2="${bottom}"/>`, text(x + at(tick), TOP - 4, "soft mid", `${tick}×`));
    }
    rows.forEach((row, line) => {
      const y = TOP + line * ROW;
      if (index === 0) out.push(text(LABELS - 8, y + 13, "text end", row.title));
      out.push(...drawRow(row, x, y, at));
    });
  });
  out.push(text(16, height - 12, "soft", "Bars: ours. Mark: the plain driver. At the right: what the original took. Logarithmic axis."), "</svg>", "");
  return out.join("\n");
}

/** Where the plain driver stands against the original. */
function driverAt({ original, driver }) {
  return original && driver ? original / driver : null;
}

function drawRow({ ratios, times }, x, y, at) {
  const ours = ratios.original;
  const [from, to] = [at(Math.min(1, ours)), at(Math.max(1, ours))];
  const out = [`<rect class="${ours >= 1 ? "win" : "lose"}" x="${round(x + from)}" y="${y + 4}" width="${round(Math.max(1, to - from))}" height="10" rx="1.5"/>`];
  const driver = driverAt(ratios);
  if (driver) out.push(`<circle class="mark" cx="${round(x + at(driver))}" cy="${y + 9}" r="3.5"/>`);
  out.push(text(x + Math.max(to, driver ? at(driver) : 0) + 8, y + 13, "text", `${ours.toFixed(ours < 100 ? 1 : 0)}×`));
  out.push(text(x + PANEL, y + 13, "soft end", time(times.original)));
  return out;
}

function text(x, y, kind, words) {
  const safe = String(words).replace(/&/g, "&amp;").replace(/</g, "&lt;");
  return `<text class="${kind}" x="${round(x)}" y="${round(y)}">${safe}</text>`;
}

const round = (number) => Math.round(number * 10) / 10;

module.exports = { mongoChart };

"use strict";

// How figures are written, and the rows that the table, the page and the chart share.

const { caseTitle } = require("../cases.js");
const { BASE } = require("../peers/index.js");
const { median } = require("../stats.js");

/** Three digits that count, in the unit that fits. */
function time(us) {
  if (us === null || us === undefined) return "–";
  if (us >= 1e6) return `${digits(us / 1e6)} s`;
  if (us >= 1e3) return `${digits(us / 1e3)} ms`;
  return `${digits(us)} µs`;
}

function digits(number) {
  return number >= 100 ? number.toFixed(0) : number >= 10 ? number.toFixed(1) : number.toFixed(2);
}

function ratio(value) {
  return value === null || value === undefined ? "–" : `${value.toFixed(2)}×`;
}

function percent(value) {
  return value === null || value === undefined ? "–" : `${Math.round(value * 100)} %`;
}

function mebibytes(bytes) {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

const middle = (list) => (list ? median(list.filter(Number.isFinite)) : null);

/** One row per case: the base's time, that of the group's peer of ours, the ratio of each peer, and the CPU of both. */
function rows(result, regime, { select, mine = "ours" }) {
  return result.cases.filter((entry) => entry.regime === regime && select(entry)).map((entry) => {
    const { peers } = entry;
    const base = peers[BASE];
    const cpu = (id) => (peers[id] ? middle(peers[id].cpu) : null);
    return {
      name: entry.name,
      title: caseTitle(entry),
      base: base ? middle(base.us) : null,
      ours: peers[mine] ? middle(peers[mine].us) : null,
      mine: entry.ratios[mine],
      ratios: entry.ratios,
      cpuBase: cpu(BASE),
      cpuOurs: cpu(mine),
    };
  });
}

/** The groups that every report shows, with the size of the data in the title. */
function groups({ plan }) {
  const own = plan.own.toLocaleString("en");
  const others = plan.others.toLocaleString("en");
  return [
    { title: "Calls", note: "time per call", select: (entry) => entry.kind === "call" },
    { title: `Over ${own} keys, alone on the server`, note: "time of the whole operation", select: (entry) => entry.kind === "scan" && !entry.among },
    { title: `Over ${own} keys among ${others} others`, note: "time of the whole operation", select: (entry) => entry.kind === "scan" && entry.among },
    { title: "Near cache", note: "time per call, one after the other where nothing else is said", select: (entry) => entry.kind === "near", mine: "near", titles: { near: "near cache", ours: "cache off" } },
  ];
}

function machineLine({ machine }) {
  const placed = machine.placed ? "" : " · processes left to the scheduler";
  // Somebody else's work shows up as latency of whoever has to wait for a core.
  const busy = machine.foreignWork > 0.08 ? ` · OTHER WORK USED UP TO ${Math.round(machine.foreignWork * 100)} % OF ALL CORES: repeat on an idle machine` : "";
  const kind = machine.virtual ? ", virtual" : "";
  return `${machine.cpu}, ${machine.cores} cores${kind}, ${machine.memoryGiB} GiB · ${machine.system} · Node ${machine.node} · Redis ${machine.redis}${placed}${busy}`;
}

/** What the near cache costs, in words. */
function costLines({ nearCosts }) {
  if (!nearCosts) return [];
  const { memory, invalidations } = nearCosts;
  const number = (value) => Math.round(value).toLocaleString("en");
  return [
    `${number(memory.entries)} entries with keys of ${memory.keyBytes} bytes and ids of 24: ${number(memory.bytesPerEntry)} bytes each by stats(), ${number(memory.rssPerEntry)} bytes each of the process's memory`,
    `${number(invalidations.count)} foreign writes, ${number(invalidations.ofEntries)} of them to remembered keys: ${time(invalidations.cpuPerInvalidation)} of the client's CPU each, ${number(invalidations.perSecond)} a second`,
  ];
}

module.exports = { time, ratio, percent, mebibytes, rows, groups, machineLine, costLines };

"use strict";

// Which floors the run reached, and by how much it missed the others. A statement, not a gate: the exit code stays 0.

const { floors } = require("./floors.json");
const { median, pairedRatio } = require("./stats.js");

/** One verdict per floor and regime: `{ text, regime, against, min or maxCpu or maxUs, cases: [{ name, got, met }], met }`. */
function checkFloors(result, wanted = floors) {
  const verdicts = [];
  for (const regime of result.regimes) {
    for (const floor of wanted) {
      if (!(floor.regimes || ["quiet", "hot"]).includes(regime)) continue;
      const cases = floor.cases.flatMap((name) => {
        // What we could not do at all is missed, not left out.
        const failed = result.failures.some((entry) => entry.peer === (floor.peer || "ours") && entry.regime === regime && entry.name === name);
        if (failed) return [{ name, got: null, met: false }];
        const found = result.cases.find((entry) => entry.regime === regime && entry.name === name);
        const got = found && measure(found, floor);
        return got ? [{ name, got, met: floor.min ? got >= floor.min : got <= (floor.maxCpu || floor.maxUs) }] : [];
      });
      const met = cases.length === 0 ? null : cases.every((entry) => entry.met);
      const { min, maxCpu, maxUs, aimUs } = floor;
      verdicts.push({ text: floor.text, regime, against: floor.against, min, maxCpu, maxUs, aimUs, cases, met });
    }
  }
  return verdicts;
}

/** The ratio of speeds, the share of CPU, or the time; null where one of the two did not take part, or the floor does not count. */
function measure({ peers }, { peer = "ours", against, min, maxUs, fromUs = 0 }) {
  const [ours, theirs] = [peers[peer], peers[against]];
  if (maxUs && ours) return median(ours.us.filter(Number.isFinite));
  if (!ours || !theirs || median(theirs.us.filter(Number.isFinite)) < fromUs) return null;
  if (!min) return median(ours.cpu.filter(Number.isFinite)) / median(theirs.cpu.filter(Number.isFinite));
  const ratio = pairedRatio(theirs.us, ours.us);
  return ratio && ratio.median;
}

function formatFloor(verdict) {
  const write = (number, digits) => (verdict.min ? `${number.toFixed(number < 1 ? 2 : digits)}×` : verdict.maxUs ? microseconds(number) : `${Math.round(number * 100)} %`);
  const limit = verdict.min || verdict.maxUs || verdict.maxCpu;
  const aim = verdict.aimUs ? ` (aim ${verdict.aimUs.toFixed(2)} µs)` : "";
  const of = verdict.against ? ` of ${verdict.against}` : "";
  const wanted = `${verdict.min ? "≥" : "≤"} ${write(limit, 1)}${of}${aim}`;
  const show = (got) => (got === null ? "failed" : write(got, 2));
  const worse = (a, b) => (verdict.min ? a.got - b.got : b.got - a.got);
  const head = `${verdict.regime.padEnd(6)}  ${verdict.text}: ${wanted}`;
  if (verdict.met === null) return `  –    ${head}   not measured`;
  const sorted = [...verdict.cases].sort(worse);
  if (verdict.met) return `  met  ${head}   ${verdict.min ? "least" : "most"}: ${sorted[0].name} ${show(sorted[0].got)}`;
  const missed = sorted.filter((entry) => !entry.met).map((entry) => `${entry.name} ${show(entry.got)}${gap(entry, verdict)}`);
  return `  MISS ${head}   ${missed.join(", ")}`;
}

/** Whole operations take seconds, single calls microseconds. */
function microseconds(number) {
  return number >= 1e5 ? `${(number / 1e6).toFixed(2)} s` : `${number.toFixed(2)} µs`;
}

function gap({ got }, { min, maxCpu, maxUs }) {
  if (got === null) return "";
  const missed = (min ? 1 - got / min : got / (maxCpu || maxUs) - 1) * 100;
  return ` (${missed < 1 ? missed.toFixed(1) : Math.round(missed)} % ${min ? "below" : "above"})`;
}

module.exports = { checkFloors, formatFloor };

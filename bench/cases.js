"use strict";

// What is measured, and how long. A case has a name that --only, the floors and the results use: `get@100`,
// `toArray among`, and so on.

const CALLS = ["get", "has", "set", "setSignalId", "setTtl"];
const AT_ONCE = [1, 10, 100, 1000];
const NEAR = ["getSignalId", "hasCandleId", "mixed", "cold"];
const SCANS = ["keys", "toArray", "iterate", "values", "size", "clear"];

/**
 * Peers work for `slice` ms a turn; all `rounds` take the main ones, every second round also takes the others.
 * `mainScans`: the others sit out the scans.
 */
const FULL = { rounds: 7, slice: 50, nearSlice: 40, coldCalls: [1000, 15_000], warm: 40, scanRounds: 3, amongRounds: 2, own: 100_000, others: 1_000_000, entries: 100_000, invalidations: 1_000_000 };
const QUICK = { rounds: 3, slice: 16, nearSlice: 16, coldCalls: [500, 5_000], warm: 16, mainScans: true, scanRounds: 2, amongRounds: 1, own: 20_000, others: 60_000, entries: 20_000, invalidations: 100_000 };

/**
 * The states of the machine. `shared` repeats `hot` with client and server on one core, where a round trip is
 * cheapest and a client that waits actively stands in the server's way; it takes the main peers only.
 */
const REGIMES = {
  quiet: { title: "Quiet machine: cores sleep between round trips; client and server on cores of their own", placement: "apart" },
  hot: { title: "Hot machine: no core ever sleeps; client and server on cores of their own", placement: "apart", heat: true },
  shared: { title: "Hot machine, client and server share one core", placement: "shared", heat: true, mainOnly: true, fewer: true },
};

/** The plan for one regime. Code that an earlier regime has warmed needs less of it. */
function planFor(plan, { fewer }, warmed) {
  const mine = { ...plan, warm: warmed ? Math.ceil(plan.warm / 4) : plan.warm };
  if (!fewer) return mine;
  const half = (rounds) => Math.ceil(rounds / 2);
  return { ...mine, rounds: half(plan.rounds), scanRounds: half(plan.scanRounds), amongRounds: 0 };
}

function callCases(wanted) {
  const cases = [];
  for (const op of CALLS) {
    if (!wanted(op)) continue;
    for (const atOnce of AT_ONCE) {
      cases.push({ name: `${op}@${atOnce}`, kind: "call", op, atOnce, shape: atOnce === 1 ? "sequential" : "batches" });
    }
  }
  // The other meaning of "at once", for one operation: it shows that the choice does not decide the result.
  if (wanted("get")) {
    for (const atOnce of AT_ONCE.slice(1)) {
      cases.push({ name: `get loops@${atOnce}`, kind: "call", op: "get", atOnce, shape: "loops" });
    }
  }
  return cases;
}

function scanCases(wanted, among) {
  return SCANS.filter(wanted).map((op) => ({ name: among ? `${op} among` : op, kind: "scan", op, among }));
}

/** The near cache's cases. Those of keys that were never read go by number of calls, and only where they say something. */
function nearCases({ coldCalls }) {
  return NEAR.flatMap((op) =>
    op === "cold"
      ? [1, 100].map((atOnce, i) => ({ name: `near cold@${atOnce}`, kind: "near", op, atOnce, calls: coldCalls[i], peers: ["near", "ours", "ioredis"] }))
      : [{ name: `near ${op}`, kind: "near", op, atOnce: 1 }],
  );
}

const MONGO_FULL = { rounds: 5, slice: 400, candles: 5000, range: 1000, month: 44_640, monthRounds: 2 };
const MONGO_QUICK = { rounds: 4, slice: 150, candles: 1000, range: 500, month: 10_000, monthRounds: 1 };

/** The db services' cases. `data` names the candles: the second write and the reads find those of the first. */
function mongoCases({ candles, range, month, monthRounds }) {
  const calls = ["upsert", "findByContext"].flatMap((op) => [1, 100].map((atOnce) => ({ name: `${op}@${atOnce}`, kind: "mongo", op, atOnce, peers: ["ours", "original", "driver"] })));
  const some = { kind: "mongo", data: "some" };
  // The original takes most of a minute for a month, twice; what it would take is known from fewer candles.
  const whole = { kind: "mongo", data: "month", peers: ["ours", "driver", "bulk"], rounds: monthRounds };
  return [
    ...calls,
    { ...some, name: "candles new", op: "write", count: candles },
    { ...some, name: "candles again", op: "write", count: candles },
    { ...some, name: "candles read", op: "read", count: range, peers: ["ours", "original", "driver"] },
    { ...whole, name: "month written", op: "write", count: month },
    { ...whole, name: "month read", op: "read", count: month },
  ];
}

const NEAR_TITLES = { getSignalId: "getSignalId, warm", hasCandleId: "hasCandleId, warm", mixed: "99 % reads, 1 % writes", cold: "first read" };

/** The words for a case in a table or a chart. */
function caseTitle({ op, atOnce, kind, shape }) {
  if (kind === "near") return op === "cold" ? `${NEAR_TITLES.cold}, ${atOnce === 1 ? "one by one" : `${atOnce} at once`}` : NEAR_TITLES[op];
  const title = op === "setTtl" ? "set with TTL" : op;
  if (kind === "scan") return title;
  if (shape === "loops") return `${title}, ${atOnce} loops`;
  return atOnce === 1 ? `${title}, one by one` : `${title}, ${atOnce} at once`;
}

module.exports = { MONGO_FULL, MONGO_QUICK, mongoCases, CALLS, AT_ONCE, NEAR, SCANS, FULL, QUICK, REGIMES, planFor, callCases, scanCases, nearCases, caseTitle };

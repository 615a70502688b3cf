"use strict";

// The turns: in every round each case goes through all peers, A B C D, before the next case begins. What drifts on the
// machine meanwhile hits all of them alike, and ratios are taken within a round.

const { BASE } = require("./peers/index.js");
const { pairedRatio } = require("./stats.js");
const { fillCalls, fillScans, fillOwn, keyCount } = require("./server.js");

class Results {
  /** `base` is the peer that all ratios are against. */
  constructor(base = BASE) {
    this.base = base;
    this.cases = new Map();
    this.failures = [];
  }

  entry(regime, info) {
    const key = `${regime} ${info.name}`;
    if (!this.cases.has(key)) this.cases.set(key, { regime, ...info, peers: {} });
    return this.cases.get(key);
  }

  add(regime, info, peer, round, us, cpu) {
    const { peers } = this.entry(regime, info);
    if (!peers[peer.id]) peers[peer.id] = { us: [], cpu: [] };
    // Rounds that a peer sits out are null, so that equal places mean equal times.
    for (const list of [peers[peer.id].us, peers[peer.id].cpu]) while (list.length < round) list.push(null);
    peers[peer.id].us[round] = us;
    peers[peer.id].cpu[round] = cpu;
  }

  /** The cases with the ratios of all peers against the base. */
  summary() {
    return [...this.cases.values()].map((entry) => {
      const ratios = {};
      for (const [id, { us }] of Object.entries(entry.peers)) {
        ratios[id] = entry.peers[this.base] ? pairedRatio(entry.peers[this.base].us, us) : null;
      }
      return { ...entry, ratios };
    });
  }

  fail(regime, info, peer, error) {
    if (this.failures.some((entry) => entry.regime === regime && entry.name === info.name && entry.peer === peer.id)) return;
    this.failures.push({ regime, name: info.name, peer: peer.id, reason: error.message });
  }
}

const takesPart = (peer, round) => peer.entry.main || round % 2 === 0;

async function measureCalls({ server, peers, cases, plan, regime, results, progress }) {
  const callers = peers.filter((peer) => peer.entry.calls !== false);
  if (cases.length === 0 || callers.length === 0) return;
  await fillCalls(server);
  for (const info of cases) {
    progress(`${regime} · warming up · ${info.name}`);
    for (const peer of callers) await attempt(peer, info, plan.warm);
  }
  for (let round = 0; round < plan.rounds; round++) {
    for (const info of cases) {
      progress(`${regime} · round ${round + 1} of ${plan.rounds} · ${info.name}`);
      for (const peer of callers) {
        if (takesPart(peer, round)) await attempt(peer, info, plan.slice, round);
      }
    }
  }

  async function attempt(peer, info, ms, round) {
    try {
      const { calls, us, cpu } = await peer.ask("calls", { op: info.op, shape: info.shape, atOnce: info.atOnce, ms });
      if (round !== undefined) results.add(regime, info, peer, round, us / calls, cpu / calls);
    } catch (error) {
      results.fail(regime, info, peer, error);
    }
  }
}

async function measureScans({ server, peers, cases, plan, regime, among, results, progress }) {
  const scanners = peers.filter((peer) => peer.entry.scans !== false && (peer.entry.main || !(among || plan.mainScans)));
  if (cases.length === 0 || scanners.length === 0 || (among && plan.amongRounds === 0)) return;
  const others = among ? plan.others : 0;
  const rounds = among ? plan.amongRounds : plan.scanRounds;
  const place = among ? `among ${others.toLocaleString("en")} others` : "alone";

  if (!among) {
    // Warm on a small map: the code is the same.
    const few = Math.min(plan.own, 3000);
    await fillScans(server, few, 0);
    progress(`${regime} · warming up · scans`);
    for (const info of cases) for (const peer of scanners) await attempt(peer, info, few, 0);
  }
  progress(`${regime} · ${place} · filling the server`);
  await fillScans(server, plan.own, others);
  for (let round = 0; round < rounds; round++) {
    for (const info of cases) {
      progress(`${regime} · ${place} · round ${round + 1} of ${rounds} · ${info.name}`);
      for (const peer of scanners) {
        if (takesPart(peer, round)) await attempt(peer, info, plan.own, others, round);
      }
    }
  }

  async function attempt(peer, info, own, rest, round) {
    try {
      const { items, us, cpu } = await peer.ask("scan", { op: info.op });
      const left = await keyCount(server);
      if (info.op === "clear" ? left !== rest : items !== own) {
        throw new Error(info.op === "clear" ? `${left - rest} keys are left` : `${items} items instead of ${own}`);
      }
      if (round !== undefined) results.add(regime, info, peer, round, us, cpu);
    } catch (error) {
      results.fail(regime, info, peer, error);
    }
    if (info.op === "clear") await fillOwn(server, own);
  }
}

module.exports = { Results, measureCalls, measureScans };

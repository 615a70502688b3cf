"use strict";

// A Redis Cluster of three masters: what it costs beside one server, and other clients for clusters. README.md says what is compared
// with what.

const { startCluster } = require("../__test__/support/redis-cluster.js");
const { startRedis } = require("../__test__/support/redis.js");
const { openPeers } = require("./driver.js");
const { machineFacts, foreignWork } = require("./facts.js");
const { CLUSTERS } = require("./peers/index.js");
const { planOf } = require("./options.js");
const { writePlain } = require("./report/plain.js");
const { median, pairedRatio } = require("./stats.js");

const FULL = { rounds: 9, slice: 300 };
const QUICK = { rounds: 3, slice: 100 };

/** `min`: the least speed beside ourselves on one server. */
const CALLS = [1, 100, 1_000].flatMap((atOnce) => {
  const min = { 1: 1 / 1.1, 100: 0.7, 1_000: 0.9 }[atOnce];
  return ["get", "set"].map((op) => ({ name: `${op}@${atOnce}`, op, atOnce, min, title: atOnce === 1 ? `${op}, one by one` : `${op}, ${atOnce} at once` }));
});
/** The most processor time of a call, beside ourselves on one server: the figure that stays true where servers have machines of their own. */
const MAX_CPU = 1.2;
/** Ids that are known: the most time and processor time of a call, beside ourselves on one server. */
const HITS = [
  { name: "hit get", op: "getSignalId", title: "getSignalId of known ids" },
  { name: "hit has", op: "hasCandleId", title: "hasCandleId of known ids" },
];
const MAX_HIT = 1.1;
const RIVALS = CLUSTERS.filter((entry) => entry.with?.cluster);

class Bench {
  constructor(options, progress) {
    this.plan = planOf(options, { full: FULL, quick: QUICK });
    this.progress = progress;
    this.samples = {};
    this.cpu = {};
  }

  async run() {
    const [cluster, redis] = await Promise.all([startCluster({ masters: 3, replicas: 0 }), startRedis()]);
    const peers = [];
    try {
      const busy = [await foreignWork()];
      this.skipped = [];
      for (const entry of CLUSTERS) {
        this.progress(`cluster · starting ${entry.title}`);
        const env = entry.single ? redis.env : { ...redis.env, CC_REDIS_URL: cluster.urlOf() };
        const opened = await openPeers([entry], { port: entry.single ? redis.port : cluster.nodes[0].port, env, cluster: true });
        this.skipped.push(...opened.skipped);
        peers.push(...opened.peers);
      }
      const caching = peers.filter(({ entry }) => entry.near);
      const asking = peers.filter(({ entry }) => !entry.near);
      for (const peer of asking) await peer.ask("fill");
      for (const peer of caching) await peer.ask("nearFill");
      await this.calls(asking);
      await this.hits(caching);
      busy.push(await foreignWork());
      const named = peers.map(({ id, title, version }) => ({ id, title, version }));
      return { peers: named, machine: { ...(await machineFacts(redis)), foreignWork: Math.max(...busy) } };
    } finally {
      for (const peer of peers) await peer.close();
      await Promise.all([cluster.stop(), redis.stop()]);
    }
  }

  async calls(peers) {
    for (let round = -1; round < this.plan.rounds; round++) {
      const order = round % 2 === 0 ? peers : [...peers].reverse();
      for (const { name, op, atOnce, title } of CALLS) {
        this.progress(`cluster · round ${round + 1} of ${this.plan.rounds} · ${title}`);
        for (const peer of order) {
          const shape = atOnce === 1 ? "sequential" : "batches";
          this.note(name, peer, round, await peer.ask("calls", { op, shape, atOnce, ms: this.plan.slice }));
        }
      }
    }
  }

  async hits(peers) {
    for (let round = -1; round < this.plan.rounds; round++) {
      const order = round % 2 === 0 ? peers : [...peers].reverse();
      for (const { name, op, title } of HITS) {
        this.progress(`cluster · round ${round + 1} of ${this.plan.rounds} · ${title}`);
        for (const peer of order) this.note(name, peer, round, await peer.ask("near", { op, atOnce: 1, ms: this.plan.slice }));
      }
    }
  }

  note(name, peer, round, { calls, us, cpu }) {
    // The round before the first warms up.
    if (round < 0) return;
    for (const [samples, value] of [[this.samples, us], [this.cpu, cpu]]) {
      samples[name] ??= {};
      samples[name][peer.id] ??= [];
      samples[name][peer.id][round] = value / calls;
    }
  }
}

/** How many times as fast we are, round by round: as ourselves on one server, and as the fastest other client. */
function verdictsOf(samples, cpu) {
  const verdict = (text, got, met) => ({ text, got, met });
  const hits = HITS.flatMap(({ name, title }) => {
    const ratioOf = ({ "cluster-near": cluster, "single-near": single } = {}) => cluster && single && pairedRatio(cluster, single).median;
    return [["time", samples], ["processor time", cpu]].map(([what, of]) => {
      const ratio = ratioOf(of[name]);
      if (!ratio) return verdict(title, null, false);
      return verdict(`${title}: ${ratio.toFixed(2)} times the ${what} on one server, at most ${MAX_HIT}`, ratio, ratio <= MAX_HIT);
    });
  });
  const calls = CALLS.flatMap(({ name, title, min }) => {
    const { cluster, single, ...others } = samples[name];
    if (!cluster || !single) return [verdict(title, null, false)];
    const speed = pairedRatio(single, cluster).median;
    const cost = pairedRatio(cpu[name].cluster, cpu[name].single).median;
    const rivals = RIVALS.filter(({ id }) => others[id]).map(({ id, title: who }) => ({ who, ratio: pairedRatio(others[id], cluster).median }));
    const best = rivals.sort((a, b) => a.ratio - b.ratio)[0];
    return [
      verdict(`${title}: ${speed.toFixed(2)} of the speed on one server, at least ${min.toFixed(2)}`, speed, speed >= min),
      verdict(`${title}: ${cost.toFixed(2)} times the processor time on one server, at most ${MAX_CPU}`, cost, cost <= MAX_CPU),
      ...(best ? [verdict(`${title}: ${best.ratio.toFixed(2)} times as fast as ${best.who}, at least 1`, best.ratio, best.ratio >= 1)] : []),
    ];
  });
  return [...calls, ...hits];
}

function linesOf({ plan, peers, skipped, samples, cpu, verdicts }) {
  const lines = [peers.map(({ title, version }) => `${title} ${version}`).join(" · ")];
  for (const { title, reason } of skipped) lines.push(`skipped: ${title} (${reason})`);
  lines.push("", "µs a call (processor time of the client):");
  for (const { name, title } of [...CALLS, ...HITS]) {
    const told = ({ id, title: who }) => `${who} ${median(samples[name][id]).toFixed(2)} (${median(cpu[name][id]).toFixed(2)})`;
    lines.push(`${title}: ${peers.filter(({ id }) => samples[name]?.[id]).map(told).join(", ")}`);
  }
  lines.push("");
  for (const { text, got, met } of verdicts) lines.push(`${met ? "met " : "MISS"} ${text}${got === null ? ": not measured" : ""}`);
  lines.push("", `three masters without replicas; ${plan.rounds} rounds in turns; medians, and ratios within a round.`);
  return lines;
}

async function benchCluster({ options, progress }) {
  const bench = new Bench(options, progress);
  const measured = await bench.run();
  progress.end();
  const { plan, samples, cpu, skipped } = bench;
  const found = { plan, skipped, samples, cpu, ...measured };
  found.verdicts = verdictsOf(samples, cpu);
  const lines = linesOf(found);
  console.log(`\nA Redis Cluster\n\n${lines.join("\n")}`);
  const kind = options.quick || options.rounds ? "partial" : "full";
  return { lines, result: { date: new Date().toISOString().slice(0, 10), kind, ...found } };
}

function writeCluster({ lines, result }, toJson) {
  writePlain({ name: "cluster", title: "A Redis Cluster", result, lines, toJson });
}

module.exports = { benchCluster, writeCluster };

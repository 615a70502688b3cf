"use strict";

// Calls of the embedded store beside what one would write by hand over other stores. README.md says what is compared with what.

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { ensureNodeModules, kitFolder } = require("../scripts/lib/tools.js");
const { startMongo } = require("../__test__/support/mongo.js");
const { startRedis } = require("../__test__/support/redis.js");
const { openPeers } = require("./driver.js");
const { planOf } = require("./options.js");
const { STORES, STORE_BASE } = require("./peers/index.js");
const { valueOf, payloadOf } = require("./peers/store-data.js");
const { median, pairedRatio } = require("./stats.js");

const FULL = { rounds: 7, slice: 200, times: 20_000 };
const QUICK = { rounds: 3, slice: 60, times: 2_000 };

/** `ops`: what must have been written before. `max`: the most times that we may take of better-sqlite3's. */
const CALLS = [
  { name: "get", op: "get", atOnce: 1, title: "get", max: 1.5, targetUs: 6 },
  { name: "set", op: "set", atOnce: 1, title: "set, awaited", max: 1.5, targetUs: 40 },
  { name: "set@100", op: "set", atOnce: 100, title: "set, 100 at once", max: 1.2, targetUs: 4 },
  { name: "upsert", op: "upsert", atOnce: 1, title: "upsert of a row", max: 1.3, targetUs: 60 },
  { name: "findByContext", op: "findByContext", atOnce: 1, title: "findByContext", max: 1.3, targetUs: 12 },
];
/** Files know rows alone. */
const takes = (peer, { op }) => peer.id !== "files" || op === "upsert" || op === "findByContext";

class Bench {
  constructor(options, progress) {
    this.plan = planOf(options, { full: FULL, quick: QUICK });
    this.progress = progress;
    this.samples = {};
    this.tails = {};
    this.skipped = [];
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), "bkn-bench-store-"));
  }

  async run() {
    const servers = await Promise.all([startMongo(), startRedis()]);
    const peers = [];
    try {
      for (const entry of STORES) await this.open(entry, servers, peers);
      for (const peer of peers) await this.fill(peer);
      await this.calls(peers);
      await this.times(peers);
      return { peers: peers.map(({ id, title, version }) => ({ id, title, version })), stats: await this.stats(peers) };
    } finally {
      for (const peer of peers) await peer.close();
      await Promise.all(servers.map((server) => server.stop()));
      fs.rmSync(this.folder, { recursive: true, force: true });
    }
  }

  /** Starts a peer in a folder of its own. Those over SQLite get a file that our store has made: its schema, its page size. */
  async open(entry, [mongo, redis], peers) {
    this.progress(`store · starting ${entry.title}`);
    const storePath = path.join(this.folder, entry.id);
    fs.mkdirSync(storePath);
    if (entry.file === "store-sqlite.js") {
      for (const name of fs.readdirSync(this.made)) fs.copyFileSync(path.join(this.made, name), path.join(storePath, name));
    }
    const url = mongo.urlOf("bench-store");
    const env = entry.servers ? { ...redis.env, CC_STORE_PATH: "", CC_MONGO_CONNECTION_STRING: url } : { CC_STORE_PATH: storePath };
    const opened = await openPeers([entry], { storePath, env });
    this.skipped.push(...opened.skipped);
    peers.push(...opened.peers);
    if (entry.id === "store") {
      if (opened.peers.length === 0) throw new Error(`the store cannot be opened: ${opened.skipped[0].reason}`);
      this.made = await this.empty(entry);
    }
  }

  /** A folder with an empty store, which nobody has open. */
  async empty(entry) {
    const folder = path.join(this.folder, "empty");
    const { peers, skipped } = await openPeers([entry], { storePath: folder, env: { CC_STORE_PATH: folder } });
    if (peers.length === 0) throw new Error(`an empty store cannot be made: ${skipped[0].reason}`);
    const [peer] = peers;
    await peer.ask("store", { op: "get", atOnce: 1, ms: 1 });
    await peer.close();
    return folder;
  }

  /** Equal work makes the times comparable: each peer gives back what it was asked to write. */
  async fill(peer) {
    this.progress(`store · filling ${peer.title}`);
    const ops = CALLS.filter((call) => takes(peer, call)).map(({ op }) => op);
    const { get, row } = await peer.ask("storeFill", { ops });
    if (ops.includes("get") && get !== valueOf(7)) throw new Error(`${peer.title}: get does not give what was written`);
    const found = JSON.parse(row);
    const payload = peer.id === "files" ? found : found.payload;
    if (JSON.stringify(payload) !== JSON.stringify(payloadOf(7))) throw new Error(`${peer.title}: a row is not what was written`);
  }

  async calls(peers) {
    // The round before the first warms up.
    for (let round = -1; round < this.plan.rounds; round++) {
      const order = round % 2 === 0 ? peers : [...peers].reverse();
      for (const call of CALLS) {
        this.progress(`store · calls · round ${round + 1} of ${this.plan.rounds}, ${call.title}`);
        for (const peer of order.filter((peer) => takes(peer, call))) {
          const { calls, us } = await peer.ask("store", { op: call.op, atOnce: call.atOnce, ms: this.plan.slice });
          if (round < 0) continue;
          this.samples[call.name] ??= {};
          this.samples[call.name][peer.id] ??= [];
          this.samples[call.name][peer.id][round] = us / calls;
        }
      }
    }
  }

  /** What single calls take, the slowest among them: syncs and checkpoints are in it. */
  async times(peers) {
    for (const call of CALLS.filter(({ atOnce }) => atOnce === 1)) {
      this.tails[call.name] = {};
      for (const peer of peers.filter((peer) => takes(peer, call))) {
        this.progress(`store · single calls · ${call.title}, ${peer.title}`);
        const count = peer.id === "files" || peer.id === "servers" ? Math.ceil(this.plan.times / 10) : this.plan.times;
        const { times } = await peer.ask("storeTimes", { op: call.op, count });
        const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))];
        this.tails[call.name][peer.id] = { p50: at(0.5), p99: at(0.99), p999: at(0.999), most: times.at(-1) };
      }
    }
  }

  async stats(peers) {
    const { state } = await peers.find(({ id }) => id === "store").ask("storeFill", { ops: [] });
    return state;
  }
}

/** How many times better-sqlite3's time ours is, round by round, and whether that is within the floor. */
function verdictsOf(samples) {
  return CALLS.map(({ name, title, max }) => {
    const found = samples[name].store && samples[name][STORE_BASE] ? pairedRatio(samples[name].store, samples[name][STORE_BASE]) : null;
    const got = found === null ? null : found.median;
    return { text: title, max, got, met: got !== null && got <= max };
  });
}

const us = (value) => (value >= 1_000 ? `${(value / 1_000).toFixed(2)} ms` : `${value.toFixed(2)} µs`);

function linesOf({ plan, peers, skipped, samples, tails, verdicts, stats }) {
  const lines = [peers.map(({ title, version }) => `${title} ${version}`).join(" · ")];
  for (const { title, reason } of skipped) lines.push(`skipped: ${title} (${reason})`);
  lines.push("");
  for (const { name, title, targetUs } of CALLS) {
    const times = peers.filter(({ id }) => samples[name][id]).map(({ id, title: who }) => `${who} ${us(median(samples[name][id]))}`);
    lines.push(`${title} (aim ${targetUs} µs): ${times.join(", ")}`);
  }
  lines.push("", "single calls, p50 / p99 / p99.9 / slowest:");
  for (const { name, title } of CALLS.filter(({ name }) => tails[name])) {
    for (const { id, title: who } of peers.filter(({ id }) => tails[name][id])) {
      const { p50, p99, p999, most } = tails[name][id];
      lines.push(`${title}, ${who}: ${[p50, p99, p999, most].map(us).join(" / ")}`);
    }
  }
  lines.push("");
  for (const { text, got, max, met } of verdicts) {
    lines.push(`${met ? "met " : "MISS"} ${text}: ${got === null ? "not measured" : `${got.toFixed(2)} times`} better-sqlite3's time, at most ${max}`);
  }
  lines.push("", `the store: ${JSON.stringify(stats)}`, `${plan.rounds} rounds in turns; medians, and ratios within a round.`);
  return lines;
}

async function benchStoreCalls({ options, progress }) {
  ensureNodeModules(kitFolder);
  ensureNodeModules(path.join(__dirname, "stores"), { scripts: true });
  const bench = new Bench(options, progress);
  const measured = await bench.run();
  const { plan, samples, tails, skipped } = bench;
  const result = { plan, skipped, samples, tails, ...measured };
  result.verdicts = verdictsOf(samples);
  return result;
}

module.exports = { benchStoreCalls, linesOf };

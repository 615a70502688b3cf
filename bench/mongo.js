"use strict";

// The db services: this package against the original's services on mongoose, and against the plain driver. One mongod and
// one Redis for all; peers take turns within each round.

const fs = require("node:fs");
const path = require("node:path");
const { startMongo } = require("../__test__/support/mongo.js");
const { startRedis } = require("../__test__/support/redis.js");
const { MONGO, MONGO_BASE } = require("./peers/index.js");
const { REGIMES, MONGO_FULL, MONGO_QUICK, mongoCases } = require("./cases.js");
const { openPeers } = require("./driver.js");
const { machineFacts, foreignWork } = require("./facts.js");
const { checkFloors } = require("./floors.js");
const { floors } = require("./mongo-floors.json");
const { heat } = require("./heat.js");
const { findCores, place } = require("./placement.js");
const { Results } = require("./rounds.js");
const { printMongo, mongoMarkdown } = require("./report/mongo.js");
const { mongoChart } = require("./report/mongo-svg.js");

async function benchMongo({ options, progress }) {
  const started = Date.now();
  const plan = { ...(options.quick ? MONGO_QUICK : MONGO_FULL) };
  if (options.rounds) plan.rounds = options.rounds;
  const [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
  const peers = [];
  try {
    const result = await measure({ options, plan, mongo, redis, peers, progress });
    progress.end();
    result.seconds = Math.round((Date.now() - started) / 1000);
    printMongo(result);
    return result;
  } finally {
    for (const peer of peers) await peer.close();
    await Promise.all([mongo.stop(), redis.stop()]);
  }
}

async function measure({ options, plan, mongo, redis, peers, progress }) {
  const skipped = [];
  for (const entry of MONGO) {
    progress(`MongoDB · starting ${entry.title}`);
    const url = mongo.urlOf(`bench-${entry.id}`);
    const server = { port: redis.port, mongoUrl: url, env: { ...redis.env, CC_MONGO_CONNECTION_STRING: url } };
    const opened = await openPeers([entry], server);
    skipped.push(...opened.skipped);
    for (const peer of opened.peers) {
      // What does not do the work takes no part, as on the Redis side.
      const reason = await verify(mongo, peer).then(() => null, (error) => error.message);
      if (reason === null) peers.push(peer);
      else {
        skipped.push({ id: peer.id, title: peer.title, reason });
        await peer.close();
      }
    }
  }
  const results = new Results(MONGO_BASE);
  const cores = findCores();
  const busy = [];
  const regimes = options.regimes.filter((regime) => !REGIMES[regime].mainOnly);
  for (const regime of regimes) {
    busy.push(await foreignWork());
    for (const { pid } of [mongo, redis]) place(cores, REGIMES[regime].placement, pid, peers.map((peer) => peer.process.pid));
    const cool = REGIMES[regime].heat ? await heat(cores) : () => {};
    try {
      await measureRegime({ regime, plan, peers, results, progress });
    } finally {
      cool();
    }
  }
  const memory = {};
  for (const peer of peers) memory[peer.id] = await peer.ask("memory").catch(() => null);
  const { version } = await mongo.command({ buildInfo: 1 }, { database: "admin" });
  const result = {
    date: new Date().toISOString().slice(0, 10),
    kind: options.quick || options.rounds || regimes.length < 2 ? "partial" : "full",
    machine: { ...(await machineFacts(redis)), mongo: version, placed: cores !== null, foreignWork: Math.max(...busy) },
    plan,
    regimes,
    peers: peers.map(({ id, title, version: own }) => ({ id, title, version: own })),
    skipped,
    failures: results.failures,
    cases: results.summary(),
    memory,
  };
  result.floors = checkFloors(result, floors);
  return result;
}

async function measureRegime({ regime, plan, peers, results, progress }) {
  const cases = mongoCases(plan);
  // The round before the first warms up; candles of a month are long enough to need none.
  for (let round = -1; round < plan.rounds; round++) {
    const order = round % 2 === 0 ? peers : [...peers].reverse();
    for (const info of cases) {
      if (info.rounds !== undefined && (round < 0 || round >= info.rounds)) continue;
      progress(`MongoDB, ${regime} · round ${round + 1} of ${plan.rounds} · ${info.name}`);
      for (const peer of order) {
        if (info.peers && !info.peers.includes(peer.id)) continue;
        await attempt(peer, info, round);
      }
    }
  }

  async function attempt(peer, info, round) {
    const symbol = `${peer.id}-${regime}-${info.data}-${round}`;
    try {
      const { calls, us, cpu } = await peer.ask("mongo", { op: info.op, atOnce: info.atOnce, ms: plan.slice, count: info.count, symbol });
      if (round >= 0) results.add(regime, info, peer, round, us / calls, cpu / calls);
    } catch (error) {
      results.fail(regime, info, peer, error);
    }
  }
}

/** Equal work makes the times comparable: the peer's document is there, with all its fields. */
async function verify(mongo, peer) {
  await peer.ask("mongoFill");
  const database = `bench-${peer.id}`;
  const [document] = await mongo.documents("signal-items", { database, filter: { symbol: `${peer.id}-0` } });
  const wanted = ["__v", "_id", "createDate", "exchangeName", "payload", "strategyName", "symbol", "updatedDate"];
  const got = Object.keys(document || {}).sort();
  if (got.join() !== wanted.join()) throw new Error(`${peer.title} stores the fields ${got}`);
}

/** Files beside those of the Redis side. */
function writeMongo(result, toJson) {
  const name = result.kind === "full" ? "mongo" : "mongo-quick";
  const dir = path.join(__dirname, "results");
  fs.mkdirSync(dir, { recursive: true });
  fs.writeFileSync(path.join(dir, `${name}.json`), `${toJson(result)}\n`);
  fs.writeFileSync(path.join(dir, `${name}.md`), mongoMarkdown(result, `${name}.svg`));
  fs.writeFileSync(path.join(dir, `${name}.svg`), mongoChart(result));
  console.log(`\nwritten: bench/results/${name}.json, ${name}.md, ${name}.svg`);
}

module.exports = { benchMongo, writeMongo };

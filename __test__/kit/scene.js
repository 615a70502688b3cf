"use strict";

// What a case of the kit's suite works with: runs of the kit in processes of their own, each on a database by its name, at
// servers or as an embedded store of that name. A case is `{ title, run(scene) }`, and `servers: true` where it is about servers;
// `scene.days(quick, whole)` says how long it trades: ava plays the quick ones (__test__/kit*.spec.js), and
// `npm run test:kit` whole months.

const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { tradesOf } = require("./results.js");
const { runKit } = require("../support/kit.js");
const { startMongo } = require("../support/mongo.js");
const { startRedis } = require("../support/redis.js");

const DAY_MINUTES = 1440;

class Scene {
  constructor({ mongo, redis, folder, whole }) {
    Object.assign(this, { mongo, redis, folder, whole, rows: [] });
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), "bkn-kit-scene-"));
  }

  end() {
    fs.rmSync(this.dir, { recursive: true, force: true });
  }

  /** Minutes of so many days, by the kind of the suite. */
  days(quick, whole = 31) {
    return Math.round((this.whole ? whole : quick) * DAY_MINUTES);
  }

  envOf(database) {
    if (this.folder) return { CC_STORE_PATH: path.join(this.folder, database) };
    return { ...this.redis.env, CC_REDIS_USER: "", CC_REDIS_PASSWORD: "", CC_MONGO_CONNECTION_STRING: this.mongo.urlOf(database) };
  }

  /** A backtest on a store; it must have traded without a complaint. `what` and `beside` make it a row of the table. */
  async backtest(store, { database = "kit", what = "", beside = null, complains = false, onMessage, ...options }) {
    const ended = await runKit("backtest", { store, ...options }, { env: this.envOf(database), onMessage });
    assert.equal(ended.code, 0, `${store}: ended with ${ended.signal ?? ended.code}\n${ended.stderr}`);
    if (!complains) assert.deepEqual([ended.stderr, ended.result.errors], ["", []], `${store}: it complained`);
    if (what) {
      const milliseconds = (ended.result.running + (ended.result.filling ?? 0)) / options.minutes / Object.keys(ended.result.symbols).length;
      this.rows.push({ what, trades: tradesOf(ended.result).length, milliseconds, beside });
    }
    return ended.result;
  }

  /** A fresh process finds what another one has written. */
  async reads(store, written, database = "kit") {
    const { result } = await runKit("reader", { store, reads: written }, { env: this.envOf(database) });
    for (const [i, { read, args, value }] of written.entries()) {
      const [got, wanted] = isList(value) ? [byId(result.values[i], value), byId(value, value)] : [result.values[i], value];
      assert.deepEqual(got, asStored(wanted), `${read}(${args.join(", ")})`);
    }
    return written.length;
  }

  /**
   * Live trading for so many minutes, by the events that it noted, and how often it was killed. A run that is killed, at
   * each of `kills` in turn, is started again at the minute that it had not ended.
   */
  async live(store, { database, minutes, kills = [], symbols }) {
    const log = path.join(this.dir, `${database}.log`);
    const events = () => (fs.existsSync(log) ? fs.readFileSync(log, "utf8").split("\n").filter(Boolean).map(JSON.parse) : []);
    const left = [...kills];
    for (let killed = 0; ; killed++) {
      const from = (events().findLast(({ action }) => action === "minute")?.minute ?? -1) + 1;
      const kill = left.shift();
      const ended = await runKit("live", { store, symbols, from, minutes: minutes - from, log, kill }, { env: this.envOf(database) });
      assert.equal(ended.stderr, "", `${store}: it complained`);
      if (ended.signal === null) {
        assert.equal(ended.code, 0);
        assert.deepEqual(ended.result.errors, []);
        return { events: events(), killed, ...ended.result };
      }
      assert.deepEqual([ended.signal, kill === undefined], ["SIGKILL", false], `${store}: it ended by ${ended.signal}`);
    }
  }
}

/** BSON knows no undefined: a field that holds it comes back as null, as with the original. */
function asStored(value) {
  if (value === undefined) return null;
  if (Array.isArray(value)) return value.map(asStored);
  if (value === null || typeof value !== "object" || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, asStored(field)]));
}

const isList = (value) => Array.isArray(value) && value.length > 0 && value.every((entry) => entry?.id !== undefined);

/** Entries in the order of their ids; of those that the kit does not list any more, nothing is asked. */
function byId(entries, wanted) {
  const ids = new Set(wanted.map(({ id }) => id));
  return entries.filter(({ id }) => ids.has(id)).sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** The same trades, numbers and result table. */
function same(result, wanted) {
  for (const [symbol, { trades, statistics, table }] of Object.entries(wanted.symbols)) {
    const got = result.symbols[symbol];
    assert.deepEqual(got.trades, trades, `${symbol}: the trades`);
    assert.deepEqual(got.statistics, statistics, `${symbol}: the statistics`);
    assert.equal(got.table, table, `${symbol}: the result table`);
  }
}

/** A comparison of runs that hardly traded would prove little. */
function traded(result, least) {
  const trades = tradesOf(result);
  assert.ok(trades.length >= least, `only ${trades.length} trades`);
  const reasons = new Set(trades.map(({ closeReason }) => closeReason));
  assert.ok(reasons.has("take_profit") && reasons.has("stop_loss"), [...reasons].join());
}

/** Starts the servers that all cases share; `whole`: months instead of days. */
async function openServers() {
  const [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
  return { mongo, redis, stop: () => Promise.all([mongo.stop(), redis.stop()]) };
}

/** A folder for the embedded stores of all cases, in the place of servers. */
async function openFolder() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bkn-kit-stores-"));
  return { folder, stop: async () => fs.rmSync(folder, { recursive: true, force: true }) };
}

/** Plays a case; resolves with its rows. */
async function play(one, { mongo, redis, folder, whole }) {
  const scene = new Scene({ mongo, redis, folder, whole });
  try {
    await one.run(scene);
    return scene.rows;
  } finally {
    scene.end();
  }
}

module.exports = { openFolder, openServers, play, same, traded };

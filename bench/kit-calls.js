"use strict";

// What the adapters cost a live cycle, in a process of its own: each write beside our own upsert of the same size, in turns.

const kit = require("../__test__/kit/kit.js");
const { serve } = require("../__test__/kit/child.js");
const { openStore } = require("../__test__/kit/stores.js");
const { place } = require("./placement.js");

const WHEN = new Date(Date.UTC(2025, 2, 1));
const CONTEXT = ["ETHUSDT", "bench", "made_up"];

/** The row that tells the noise. */
const BESIDE_ITSELF = "signal, an upsert beside itself";

/** A signal as the kit stores it, about 900 bytes. */
function signal(i) {
  const moment = { price: 2388.4422779307497 + i, timestamp: WHEN.getTime() + i, pnlCost: 0.5051462384250113, pnlPercentage: 0.5051462384250113, pnlEntries: 100, priceOpen: 2366.9629083172476, priceClose: 2388.4422779307497 };
  const prices = { priceOpen: 2366.9629083172476, priceTakeProfit: 2413.508718454007, priceStopLoss: 2343.690003248868, minuteEstimatedTime: Infinity };
  return { id: `signal-${i}`, position: "long", ...prices, symbol: CONTEXT[0], strategyName: CONTEXT[1], exchangeName: CONTEXT[2], frameName: "", pendingAt: WHEN.getTime(), scheduledAt: WHEN.getTime(), _peak: moment, _fall: moment, peakProfit: moment, maxDrawdown: moment };
}

const entry = (i) => ({ id: `entry-${i}`, type: "info", priority: i, timestamp: WHEN.getTime() + i, createdAt: WHEN.toISOString(), topic: "closed", args: [{ symbol: CONTEXT[0], profit: 0.51 + i }] });
const notification = (i) => ({ type: "signal.opened", createdAt: WHEN.getTime() + i, ...signal(i) });

/** A list as the kit sends it with each call: `size` entries of which one is new or has changed. */
function list(size, make) {
  const entries = Array.from({ length: size }, (_, i) => make(i));
  let next = size;
  return {
    /** The oldest one goes, a new one comes. */
    grown: () => (entries.shift(), entries.push(make(next++)), entries),
    /** One of them has changed. */
    changed: () => ((entries[next % size] = { ...entries[next % size], changed: next++ }), entries),
    entries,
  };
}

/**
 * By name: a call of an adapter, and what one upsert of its size would store; where the call makes a row of a list or changes
 * one, `upsert` does the same to one of the same collection.
 */
async function calls({ logDbService, notificationDbService, storageDbService }) {
  const log = list(1000, entry);
  const notifications = list(500, notification);
  const storage = list(50, signal);
  await kit.PersistLogAdapter.writeLogData(log.entries);
  await kit.PersistNotificationAdapter.writeNotificationData(notifications.entries, false);
  await kit.PersistStorageAdapter.writeStorageData(storage.entries, false);
  let i = 0;
  let rows = 0;
  return {
    "log, one of 1,000 new": { call: () => kit.PersistLogAdapter.writeLogData(log.grown()), upsert: () => logDbService.upsert(`row-${++rows}`, entry(rows)) },
    "notifications, one of 500 new": { call: () => kit.PersistNotificationAdapter.writeNotificationData(notifications.grown(), false), upsert: () => notificationDbService.upsert(true, `row-${++rows}`, notification(rows)) },
    "storage, one of 50 changed": { call: () => kit.PersistStorageAdapter.writeStorageData(storage.changed(), false), upsert: () => storageDbService.upsert(true, "row", { ...signal(0), changed: ++rows }) },
    signal: { call: () => kit.PersistSignalAdapter.writeSignalData(signal(i++), ...CONTEXT), size: signal },
    recent: { call: () => kit.PersistRecentAdapter.writeRecentData(signal(i++), ...CONTEXT, "", false, WHEN), size: signal },
    state: { call: () => kit.PersistStateAdapter.writeStateData({ id: "s", data: { peak: i++ }, when: WHEN.getTime() }, "signal-1", "peak", WHEN), size: () => ({ id: "s", data: { peak: i }, when: 1 }) },
    session: { call: () => kit.PersistSessionAdapter.writeSessionData({ id: "s", data: { losses: i++ }, when: WHEN.getTime() }, "bench", "made_up", "", WHEN, CONTEXT[0], false), size: () => ({ id: "s", data: { losses: i }, when: 1 }) },
    partial: { call: () => kit.PersistPartialAdapter.writePartialData({ s: { profitLevels: [10, i++], lossLevels: [] } }, CONTEXT[0], CONTEXT[1], "signal-1", CONTEXT[2], WHEN), size: () => ({ s: { profitLevels: [10, i], lossLevels: [] } }) },
  };
}

/**
 * `rounds` rounds of `each` calls, in each of which call and upsert take turns one by one: a machine's speed changes within a tenth of
 * a second. Every round is told. An upsert beside itself says how far that can be trusted. The `servers` (ids of processes) get a core
 * of their own, where `cores` tell that there are several.
 */
async function main({ rounds, each, cores, servers }) {
  for (const pid of servers) place(cores, "apart", pid, [process.pid]);
  const store = await openStore("setup", kit);
  const { ioc } = store.lib;
  const results = {};
  let sizes = 0;
  const ownUpsert = (name, size) => ioc.signalDbService.upsert("ROUNDTRIP", name, "made_up", size(sizes++));
  const all = Object.entries({ ...(await calls(ioc)), [BESIDE_ITSELF]: { call: () => ownUpsert("itself", signal), size: signal } });
  const time = async (call) => {
    const started = performance.now();
    await call();
    return ((performance.now() - started) / each) * 1000;
  };
  for (let round = -1; round < rounds; round++) {
    for (const [name, { call, size, upsert: own }] of all) {
      const made = { us: call, upsert: own ?? (() => ownUpsert(name, size)) };
      const spent = { us: 0, upsert: 0 };
      for (let n = 0; n < each; n++) {
        for (const what of n % 2 === 0 ? ["us", "upsert"] : ["upsert", "us"]) spent[what] += await time(made[what]);
      }
      // The first round warms up.
      if (round >= 0) (results[name] ??= []).push(spent);
    }
  }
  await store.close();
  return results;
}

if (require.main === module) serve(main);

module.exports = { BESIDE_ITSELF, calls, entry };

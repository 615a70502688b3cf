"use strict";

// Each case runs the real kit on a store and compares what it did with what it does on dummies or Maps, to the last digit.

const assert = require("node:assert/strict");
const { MINUTE_MS, SINCE } = require("./market.js");
const { same, traded } = require("./scene.js");

const ALL = ["BTCUSDT", "ETHUSDT", "SOL/USDT:USDT", "TRXUSDT"];

/** The commands that wrote candles while something ran; none is seen on the embedded store. */
async function candleWrites({ mongo }, database, action) {
  if (!mongo) return { result: await action(), writes: null };
  const watch = await mongo.watch(database);
  try {
    const result = await action();
    const operations = await watch.operations();
    return { result, writes: operations.filter(({ kind, collection }) => collection === "candle-items" && ["insert", "update", "findandmodify"].includes(kind)) };
  } finally {
    await watch.stop();
  }
}

/** Where a live run is killed. */
const kill = (method, when, nth = 1) => ({ method, when, nth });
const QUICK_KILLS = [kill("writeSignalData", "during"), kill("writeStorageData", "after", 3), kill("writeRecentData", "before", 30)];
const WRITTEN = ["Schedule", "Strategy", "Signal", "Position", "Storage", "Recent", "State", "Notification", "Partial", "Candles"];
const WHOLE_KILLS = WRITTEN.flatMap((kind, i) => ["before", "during", "after"].map((when, j) => kill(`write${kind}Data`, when, 1 + ((i + j) % 3))));

const tradesIn = (events) => events.filter(({ action }) => action === "closed").map(({ trade }) => trade);

const cases = [
  {
    title: "a strategy trades on setup() as on dummies, while its candles are fetched and stored, and when they are found",
    async run(scene) {
      const minutes = scene.days(3);
      const dummies = await scene.backtest("dummy", { minutes, what: "dummies" });
      traded(dummies, 6);
      const common = { minutes, database: "crossing", beside: "dummies" };
      const first = await scene.backtest("setup", { ...common, what: "setup(), candles fetched and stored" });
      same(first, dummies);
      assert.ok(first.fetched.candles > 0);
      const second = await scene.backtest("setup", { ...common, what: "setup(), candles from the store" });
      same(second, dummies);
      assert.deepEqual(second.fetched, { calls: 0, candles: 0 });
    },
  },
  {
    title: "the kit's own JSON files and unchanged adapters give the same trades",
    async run(scene) {
      const minutes = scene.days(0.75, 7);
      const dummies = await scene.backtest("dummy", { minutes, what: "dummies" });
      const common = { minutes, database: "unchanged", beside: "dummies" };
      same(await scene.backtest("json", { ...common, what: "JSON files" }), dummies);
      same(await scene.backtest("unchanged", { ...common, what: "unchanged adapters over ioc" }), dummies);
      const again = await scene.backtest("unchanged", { ...common, what: "unchanged adapters, candles from the store" });
      same(again, dummies);
      assert.deepEqual(again.fetched, { calls: 0, candles: 0 });
    },
  },
  {
    title: "the kit's build for ES modules trades on ours as the other builds do, and both find each other's candles",
    async run(scene) {
      const minutes = scene.days(0.75, 7);
      const dummies = await scene.backtest("dummy", { minutes });
      const database = "esm";
      const imported = await scene.backtest("setup", { minutes, database, esm: true });
      same(imported, dummies);
      assert.ok(imported.fetched.calls > 0);
      const required = await scene.backtest("setup", { minutes, database });
      same(required, dummies);
      assert.equal(required.fetched.calls, 0);
    },
  },
  {
    title: "a strategy that decides by what it has stored trades on setup() as on Maps, and a fresh process reads all of it",
    async run(scene) {
      const options = { strategy: "bookkeeper", persist: true, symbols: ["ETHUSDT"], minutes: scene.days(3) };
      const maps = await scene.backtest("map", { ...options, what: "everything in Maps" });
      traded(maps, 5);
      const ours = await scene.backtest("setup", { ...options, database: "bookkeeper", what: "everything by setup()", beside: "everything in Maps" });
      same(ours, maps);
      assert.deepEqual(ours.counts, maps.counts);
      const kinds = new Set(ours.written.map(({ read }) => read));
      for (const read of ["readLogData", "readStorageData", "readNotificationData", "readSessionData", "readStateData", "readMemoryData", "readMeasureData", "readIntervalData", "readRecentData"]) {
        assert.ok(kinds.has(read), `nothing was written for ${read}`);
      }
      await scene.reads("setup", ours.written, "bookkeeper");
    },
  },
  {
    title: "symbols side by side in one process trade as on dummies",
    async run(scene) {
      const options = { symbols: ALL, minutes: scene.days(1) };
      const dummies = await scene.backtest("dummy", { ...options, what: "four symbols on dummies" });
      traded(dummies, 6);
      const ours = await scene.backtest("setup", { ...options, database: "parallel", what: "four symbols by setup()", beside: "four symbols on dummies" });
      same(ours, dummies);
      const again = await scene.backtest("setup", { ...options, database: "parallel", what: "four symbols, candles from the store", beside: "four symbols on dummies" });
      same(again, dummies);
      assert.equal(again.fetched.calls, 0);
    },
  },
  {
    title: "warmCandles stores each chunk of candles with one insert, and the run that follows asks the exchange for nothing",
    async run(scene) {
      const minutes = scene.days(2);
      const dummies = await scene.backtest("dummy", { minutes, warm: true, what: "dummies, filled by warmCandles" });
      const database = "warm";
      const { result, writes } = await candleWrites(scene, database, () =>
        scene.backtest("setup", { minutes, warm: true, database, what: "setup(), filled by warmCandles", beside: "dummies, filled by warmCandles" }),
      );
      same(result, dummies);
      if (writes) assert.deepEqual(writes.map(({ kind }) => kind), new Array(result.filled.calls).fill("insert"));
      assert.deepEqual(result.fetched, result.filled);
      if (writes) assert.equal(await scene.mongo.count("candle-items", {}, database), result.fetched.candles);
    },
  },
  {
    servers: true,
    title: "a backtest that loses MongoDB in the middle is told so, goes on with the exchange's candles and trades the same",
    async run(scene) {
      const minutes = scene.days(0.5, 2);
      const dummies = await scene.backtest("dummy", { minutes });
      const database = "away";
      let gone = null;
      const onMessage = ({ progress }) => {
        if (progress?.share > 0.3 && gone === null) gone = scene.mongo.kill("SIGTERM");
      };
      try {
        const ours = await scene.backtest("setup", { minutes, database, progress: true, complains: true, onMessage, what: "setup(), MongoDB away from the middle on" });
        assert.notEqual(gone, null);
        same(ours, dummies);
        // Of the write that was under way when the server went nobody can tell whether it was carried out.
        const codes = ours.errors.map((error) => /MONGO_[A-Z]+/.exec(error)?.[0]);
        if (codes[0] === "MONGO_UNKNOWN") codes.shift();
        assert.deepEqual([...new Set(codes)], ["MONGO_UNAVAILABLE"], ours.errors.join("\n"));
      } finally {
        await gone;
        await scene.mongo.start();
      }
      // What was stored until then is what the exchange has: a run over it trades the same once more.
      same(await scene.backtest("setup", { minutes, database }), dummies);
    },
  },
  {
    title: "a live run that is killed with -9, before, in the middle of and after writes, goes on where it was",
    async run(scene) {
      const minutes = scene.whole ? 3 * 1440 : 260;
      const kills = scene.whole ? WHOLE_KILLS : QUICK_KILLS;
      const undisturbed = await scene.live("setup", { minutes, database: "live" });
      const trades = tradesIn(undisturbed.events);
      assert.ok(trades.length >= 2, `only ${trades.length} trades`);
      assert.equal(await scene.reads("setup", undisturbed.written, "live"), undisturbed.written.length);
      const onMaps = await scene.live("map", { minutes, database: "live-maps" });
      assert.deepEqual(trades, tradesIn(onMaps.events));
      const killed = await scene.live("setup", { minutes, kills, database: "live-killed" });
      assert.equal(killed.killed, kills.length);
      assert.deepEqual(tradesIn(killed.events), trades);
      // What was acknowledged is not opened again under another id.
      for (const { pendingAt, closeTimestamp } of trades) {
        const [opened, closed] = [pendingAt, closeTimestamp].map((time) => (time - SINCE) / MINUTE_MS);
        const held = killed.events.filter(({ action, minute }) => (action === "active" || action === "closed") && minute > opened && minute <= closed);
        assert.equal(new Set(held.map(({ id }) => id)).size, 1);
      }
      scene.rows.push({ what: `live, killed ${killed.killed} times`, trades: trades.length, milliseconds: null, beside: null });
    },
  },
  {
    title: "two symbols trade live in one process, and a killed one goes on with both",
    async run(scene) {
      const minutes = scene.whole ? 2 * 1440 : 130;
      const symbols = ["ETHUSDT", "TRXUSDT"];
      const undisturbed = await scene.live("setup", { minutes, symbols, database: "pair" });
      const killed = await scene.live("setup", { minutes, symbols, kills: [kill("writeRecentData", "during", 40)], database: "pair-killed" });
      assert.equal(killed.killed, 1);
      const bySymbol = (events, symbol) => tradesIn(events).filter((trade) => trade.symbol === symbol);
      for (const symbol of symbols) assert.deepEqual(bySymbol(killed.events, symbol), bySymbol(undisturbed.events, symbol));
      assert.ok(tradesIn(undisturbed.events).length > 0);
    },
  },
];

module.exports = { cases };

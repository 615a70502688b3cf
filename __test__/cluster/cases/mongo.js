"use strict";

// A replica set of three under load, whose primary fails in every way that an election follows. `run` resolves with the figures of
// the table; it rejects where something acknowledged is lost, or where a read or a row is wrong.

const assert = require("node:assert");
const { loadFresh } = require("../../support/addon.js");
const { startReplicaSet } = require("../../support/mongo-set.js");
const { startRedis } = require("../../support/redis.js");
const { Rows, sleep } = require("../rows.js");

const DATABASE = "judged";
const admin = { database: "admin" };

/** Until a member follows or leads the set, and has everything. */
async function untilCaughtUp({ members }) {
  const end = Date.now() + 120_000;
  for (;;) {
    const states = await Promise.all(members.map(({ server }) => server.command({ replSetGetStatus: 1 }, admin).catch(() => null)));
    const sound = states.every((state) => state !== null && [1, 2].includes(state.myState));
    const times = states.map((state) => JSON.stringify(state?.optimes.appliedOpTime));
    if (sound && new Set(times).size === 1) return;
    assert.ok(Date.now() < end, `the members are not of one state: ${states.map((state) => state?.myState)}, ${times}`);
    await sleep(100);
  }
}

/**
 * Load before, while and after `fail(set, primary, rows)`, which resolves with what mends it, and the member that is down if that is
 * another one by then, or null if none is. No call may be rejected.
 */
function failover({ title, quick = false, electionMs = 1_000, seconds = 6, fail }) {
  return {
    title: `replica set: ${title}`,
    quick,
    async run() {
      const [set, redis] = await Promise.all([startReplicaSet(3, { electionMs }), startRedis()]);
      let lib;
      try {
        lib = loadFresh({ CC_MONGO_CONNECTION_STRING: set.urlOf(DATABASE, { w: "majority" }), CC_REDIS_URL: redis.url });
        const before = await set.primary();
        const rows = new Rows(lib);
        await sleep(1_500);
        const since = performance.now();
        const { mend, down = before } = await fail(set, before, rows);
        await set.primary(down);
        const promoted = performance.now();
        await sleep(seconds * 1_000);
        await mend?.();
        await sleep(1_500);
        await rows.stop();
        const told = lib.health().mongo.topology;
        await untilCaughtUp(set);
        const last = await set.primary();
        const judged = await rows.settle(last.server, DATABASE);
        const report = { calls: rows.calls, lost: judged.lost, wrong: judged.wrong.length, stale: 0, lostByRedis: 0, seconds: rows.after(promoted), pause: rows.silence(since) };
        assert.strictEqual(judged.lost, 0, `${judged.lost} acknowledged writes are lost`);
        assert.deepStrictEqual(judged.wrong.slice(0, 5), []);
        assert.deepStrictEqual(rows.rejected, {}, `calls were rejected: ${rows.message}`);
        assert.strictEqual(told.set, "rs0");
        assert.strictEqual(told.primary, `127.0.0.1:${last.proxy.port}`);
        assert.ok(rows.moments.at(-1) > since + 1_000 * seconds, "writes went on");
        return report;
      } finally {
        await lib?.close();
        await Promise.all([set.stop(), redis.stop()]);
      }
    },
  };
}

const cases = [
  failover({
    title: "the primary is killed, and comes back",
    quick: true,
    async fail(set, { server }) {
      await server.kill();
      return { mend: () => server.start() };
    },
  }),
  failover({
    title: "the primary is killed in a set with the elections that MongoDB has by default",
    electionMs: 10_000,
    seconds: 3,
    async fail(set, { server }) {
      await server.kill();
      return { mend: () => server.start() };
    },
  }),
  failover({
    title: "the primary steps down for as long as another is found",
    async fail(set, { server }) {
      // The server closes the connections that hear of it.
      await server.command({ replSetStepDown: 30, secondaryCatchUpPeriodSecs: 5 }, admin).catch(() => {});
      return {};
    },
  }),
  failover({
    title: "the primary stands still for longer than an election, and goes on as if nothing had been",
    async fail(set, { server }) {
      await server.pause();
      return { mend: () => server.resume() };
    },
  }),
  failover({
    title: "the primary hears nothing of the others, steps down, and is reached by us all the time",
    async fail(set, primary, rows) {
      const others = set.members.filter((one) => one !== primary);
      await Promise.all(others.map(({ server }) => server.pause()));
      // What nobody has tried before that cannot be on two members.
      const tried = new Map([...rows.keys].map(([key, { high }]) => [key, high]));
      while ((await primary.server.command({ hello: 1 }, admin)).isWritablePrimary) await sleep(20);
      await sleep(1_000);
      const acknowledged = [...rows.keys].filter(([key, { low }]) => low > (tried.get(key) ?? 0));
      await Promise.all(others.map(({ server }) => server.resume()));
      assert.deepStrictEqual(acknowledged, [], "a write is acknowledged that no other member has");
      return { down: null };
    },
  }),
  failover({
    title: "one primary after the other is killed",
    async fail(set, first) {
      await first.server.kill();
      const second = await set.primary(first);
      await sleep(1_500);
      await first.server.start();
      await sleep(1_500);
      await second.server.kill();
      return { mend: () => second.server.start(), down: second };
    },
  }),
];

module.exports = cases;

"use strict";

// The near cache's cases, after all others: clients that cache need a server of their own (peers/index.js says why), and
// are started only for this.

const { startRedis } = require("../__test__/support/redis.js");
const { CACHING, NEAR_PEERS } = require("./peers/index.js");
const { coldKeys } = require("./peers/near.js");
const { REGIMES, planFor, nearCases } = require("./cases.js");
const { Peer, openPeers } = require("./driver.js");
const { foreign } = require("./foreign.js");
const { heat } = require("./heat.js");
const { place } = require("./placement.js");
const { run, fillCold, verify } = require("./server.js");

const PASSES = 10;
/** Turns of a round of first reads. */
const TURNS = 5;

/** The near cache's client with its cache turned off. */
const withoutCache = (server) => new Peer({ ...CACHING[0], id: "ours", title: "ours" }).open(server);

/** Measures all of them in all states; `peers` are those that are open. Resolves with facts beside the times. */
async function measureNear({ server, peers, options, plan, cores, results, progress }) {
  progress("near cache · starting its peers");
  const places = peers.filter(({ id }) => NEAR_PEERS.includes(id)).map((peer) => ({ peer, server }));
  /** The near cache's client without its cache, on the same server: first reads are compared to a few percent. */
  let twin;
  const skipped = [];
  const own = [];
  try {
    for (const entry of CACHING) {
      const one = await startRedis();
      own.push({ server: one });
      const opened = await openPeers([entry], one);
      skipped.push(...opened.skipped);
      const [peer] = opened.peers;
      if (!peer) continue;
      own.at(-1).peer = peer;
      await verify(one, peer);
      places.unshift({ peer, server: one });
    }
    if (own[0].peer) twin = { server: own[0].server, peer: await withoutCache(own[0].server) };
    for (const regime of options.regimes) await inRegime(regime);
    const costs = own[0].peer ? await measureCosts() : null;
    return { skipped, peers: own.flatMap(({ peer }) => peer || []), costs };
  } finally {
    if (twin) await twin.peer.close();
    for (const { peer, server: one } of own) {
      if (peer) await peer.close();
      await one.stop();
    }
  }

  function placeAll(rules, list) {
    for (const { peer, server: one } of list) place(cores, rules.placement, one.pid, [peer.process.pid]);
  }

  async function inRegime(regime) {
    const rules = REGIMES[regime];
    const mine = planFor(plan, rules, false);
    placeAll(rules, twin ? [twin, ...places] : places);
    const cool = rules.heat ? await heat(cores) : () => {};
    try {
      progress(`near cache, ${regime} · filling · servers`);
      const cases = nearCases(mine);
      const reads = (1 + mine.rounds) * mine.coldCalls.reduce((sum, calls) => sum + calls, 0);
      for (const one of new Set(places.map((entry) => entry.server))) await fillCold(one, coldKeys.slice(0, reads));
      // What the twin writes is announced to the near cache, which then begins with its own.
      if (twin) await twin.peer.ask("nearFill");
      for (const { peer } of places) await peer.ask("nearFill");
      for (let round = -1; round < mine.rounds; round++) {
        // Who comes first changes: two of them are compared to a few percent.
        const order = round % 2 === 0 ? places : [...places].reverse();
        for (const info of cases) {
          progress(`near cache, ${regime} · round ${round + 1} of ${mine.rounds} · ${info.name}`);
          if (info.op === "cold") await inTurns(regime, info, mine, round);
          else for (const { peer } of order) await attempt(regime, peer, info, mine, round);
        }
      }
      for (const { peer } of places) await peer.ask("nearCheck").catch((error) => results.fail(regime, { name: "near mixed" }, peer, error));
    } finally {
      cool();
    }
  }

  async function attempt(regime, peer, info, mine, round) {
    try {
      const { calls, us, cpu } = await peer.ask("near", { op: info.op, atOnce: info.atOnce, ms: mine.nearSlice });
      // The round before the first warms up.
      if (round >= 0) results.add(regime, info, peer, round, us / calls, cpu / calls);
    } catch (error) {
      results.fail(regime, info, peer, error);
    }
  }

  /** First reads: those who are compared take short turns, so that what drifts within a round hits all of them alike. */
  async function inTurns(regime, info, mine, round) {
    const takers = places.map(({ peer }) => (peer.id === "ours" && twin ? twin.peer : peer)).filter(({ id }) => info.peers.includes(id));
    const sums = new Map(takers.map((peer) => [peer, { calls: 0, us: 0, cpu: 0 }]));
    for (let turn = 0; turn < TURNS; turn++) {
      for (const peer of (round + turn) % 2 === 0 ? takers : [...takers].reverse()) {
        if (!sums.has(peer)) continue;
        try {
          const spent = await peer.ask("near", { op: info.op, atOnce: info.atOnce, calls: info.calls / TURNS });
          const sum = sums.get(peer);
          for (const what of Object.keys(sum)) sum[what] += spent[what];
        } catch (error) {
          results.fail(regime, info, peer, error);
          sums.delete(peer);
        }
      }
    }
    if (round < 0) return;
    for (const [peer, { calls, us, cpu }] of sums) results.add(regime, info, peer, round, us / calls, cpu / calls);
  }

  /** Memory per entry, and what it costs the client that others overwrite what it remembers; on a hot machine. */
  async function measureCosts() {
    const { server: one } = own[0];
    const cool = await heat(cores);
    const fresh = [];
    try {
      progress("near cache · memory · entries");
      await fillCold(one, coldKeys.slice(0, plan.entries));
      const off = await withoutCache(one);
      fresh.push(off);
      const on = await new Peer(CACHING[0]).open(one);
      fresh.push(on);
      const grown = [];
      for (const peer of fresh) {
        placeAll(REGIMES.hot, [{ peer, server: one }]);
        // The same calls first, over other keys, so that code and buffers are there.
        await peer.ask("nearFill");
        const before = await peer.ask("memory");
        const held = (await peer.ask("state")).cache;
        await peer.ask("readCold", { count: plan.entries });
        const after = await peer.ask("memory");
        const now = (await peer.ask("state")).cache;
        grown.push({ rss: after.rss - before.rss, bytes: now ? now.bytes - held.bytes : 0, entries: now ? now.entries - held.entries : 0 });
        if (peer === off) await peer.close();
      }
      const [without, withCache] = grown;
      const memory = {
        entries: withCache.entries,
        keyBytes: coldKeys[plan.entries >> 1].length,
        rssPerEntry: (withCache.rss - without.rss) / plan.entries,
        bytesPerEntry: withCache.bytes / withCache.entries,
      };
      return { memory, invalidations: await measureInvalidations(one, on) };
    } finally {
      for (const peer of fresh) await peer.close();
      cool();
    }
  }

  async function measureInvalidations(one, peer) {
    const each = Math.round(plan.invalidations / PASSES);
    const count = Math.min(each, plan.entries);
    const writer = await foreign(one, count);
    // Beside the server, so that the client has its core to itself.
    place(cores, "shared", writer.pid, []);
    const total = { cpu: 0, ms: 0, invalidations: 0, held: 0 };
    try {
      for (let pass = 0; pass < PASSES; pass++) {
        progress(`near cache · foreign writes · ${pass + 1} of ${PASSES}`);
        await peer.ask("readCold", { count });
        const before = await peer.ask("state");
        const start = performance.now();
        await writer.overwrite();
        let after = await peer.ask("state");
        while (after.cache.invalidations - before.cache.invalidations < count && performance.now() - start < 10_000) {
          await new Promise((resolve) => setTimeout(resolve, 5));
          after = await peer.ask("state");
        }
        total.ms += performance.now() - start;
        total.cpu += after.cpu - before.cpu;
        total.invalidations += after.cache.invalidations - before.cache.invalidations;
        total.held += before.cache.entries - after.cache.entries;
      }
    } finally {
      writer.stop();
    }
    if (!String(await run(one, "GET", coldKeys[0])).startsWith("foreign")) throw new Error("nothing was overwritten");
    return { count: total.invalidations, ofEntries: total.held, cpuPerInvalidation: total.cpu / total.invalidations, perSecond: (total.invalidations / total.ms) * 1000 };
  }
}

module.exports = { measureNear };

"use strict";

// Masters that sentinels watch: replaced on demand, killed, stopped, and cut off from everybody but us.

const { loadFresh } = require("../../support/addon.js");
const { NAME, WATCHER, startSentinels, sleep, until } = require("../../support/sentinels.js");
const { Judged } = require("../judged.js");

const SENTINEL = (lib) => lib.health().redis.sentinel;
const masterOf = (lib) => SENTINEL(lib).master;
const addressOf = (server) => `127.0.0.1:${server.port}`;

/** A load on a master of its own with sentinels of its own, disturbed by `disturb(set, master)`, and judged. */
async function judged(title, disturb, { config = {}, options, allowed = [] } = {}) {
  const set = await startSentinels(options);
  const clients = [];
  try {
    const client = () => {
      const lib = loadFresh({ CC_REDIS_URL: set.urlOf({ of: set.sentinels.slice(0, 2) }), CC_REDIS_TIMEOUT_MS: 30_000, CC_NEAR_CACHE: "on", ...config });
      clients.push(lib);
      return lib;
    };
    const [writer, reader] = [client(), client()];
    await Promise.all([writer, reader].map((lib) => lib.ioc.redisService.waitForInit()));
    await until("a majority vouches for the master", () => SENTINEL(reader).majority || reader.ioc.signalCacheService.hasSignalId("a", "b", "c").then(() => false));
    const load = new Judged(writer, reader, masterOf).start();
    await sleep(1_500);
    const before = await set.master();
    const { since, cut = 0, after = await set.master(before) } = await disturb({ set, master: before, writer, reader, load });
    const isThere = () => [writer, reader].every((lib) => masterOf(lib) === addressOf(after));
    await until("both are on the master", isThere);
    await until("writes go on", () => load.wroteAfter(performance.now() - 50) > 0);
    // The lease is renewed, and the caches answer again.
    const hits = reader.stats().nearCache.hits;
    await until("the near cache answers", () => reader.stats().nearCache.hits > hits);
    await sleep(1_000);
    const promoted = load.wroteAfter(since());
    const report = await load.stop((key) => after.command("GET", key).then((value) => value && value.toString()), cut || since());
    const { problems, errors, message } = load;
    if (problems.length > 0) throw new Error(`${title}: ${problems.slice(0, 5).join("; ")}`);
    if (Object.keys(errors).some((code) => !allowed.includes(code))) throw new Error(`${title}: ${JSON.stringify(errors)}: ${message}`);
    return { ...report, seconds: Math.max(0, promoted - since()) / 1000, pause: load.longestPause() / 1000 };
  } finally {
    await Promise.all(clients.map((lib) => lib.close()));
    await set.stop();
  }
}

/** When a majority of the sentinels came to name another master. */
async function promoted(set, master) {
  await set.master(master);
  const moment = performance.now();
  return { since: () => moment };
}

module.exports = [
  {
    title: "SENTINEL FAILOVER: the client follows, and nothing that the new master acknowledged is lost",
    quick: true,
    run: () =>
      judged("failover on demand", async ({ set, master }) => {
        await until("the failover begins", async () => String(await set.sentinels[2].command("SENTINEL", "FAILOVER", NAME)) === "OK");
        return promoted(set, master);
      }),
  },
  {
    title: "kill -9 of the master: calls wait for the next one and none is rejected",
    quick: true,
    run: () =>
      judged("a killed master", async ({ set, master }) => {
        await master.kill("SIGKILL");
        return promoted(set, master);
      }),
  },
  {
    title: "a master that is stopped, whose connections live on, is left for the one that replaces it",
    run: () =>
      judged("a stopped master", async ({ set, master }) => {
        await master.kill("SIGSTOP");
        const result = await promoted(set, master);
        await sleep(3_000);
        await master.kill("SIGCONT");
        return result;
      }),
  },
  {
    title: "a master that only we still reach is left as soon as the sentinels have replaced it",
    quick: true,
    run: () =>
      judged("a master that is cut off", async ({ set, master }) => {
        const cut = performance.now();
        // Sentinels and replicas come as this user.
        await master.command("ACL", "SETUSER", WATCHER.user, "off");
        for (const kind of ["replica", "normal", "pubsub"]) await master.command("CLIENT", "KILL", "TYPE", kind, "USER", WATCHER.user);
        return { ...(await promoted(set, master)), cut };
      }),
  },
  {
    title: "the same with min-replicas-to-write: the master that is cut off refuses writes in its own words",
    run: () =>
      judged(
        "a master that is cut off and refuses writes",
        async ({ set, master, load }) => {
          const cut = performance.now();
          await master.command("ACL", "SETUSER", WATCHER.user, "off");
          for (const kind of ["replica", "normal", "pubsub"]) await master.command("CLIENT", "KILL", "TYPE", kind, "USER", WATCHER.user);
          const result = await promoted(set, master);
          if (!/^NOREPLICAS/.test(load.message)) throw new Error("no write was refused");
          return { ...result, cut };
        },
        { options: { args: ["--min-replicas-to-write", "1", "--min-replicas-max-lag", "1"] }, allowed: ["REDIS_REPLY"] },
      ),
  },
  {
    title: "without a majority of the sentinels nothing is answered from memory, calls go on, and with it the cache is back",
    run: () =>
      judged("sentinels that are away", async ({ set, master, reader }) => {
        await Promise.all(set.sentinels.slice(1).map((sentinel) => sentinel.kill("SIGSTOP")));
        await until("the lease ends", () => !SENTINEL(reader).majority && reader.health().nearCache.state === "expired");
        const { hits } = reader.stats().nearCache;
        await sleep(1_000);
        if (reader.stats().nearCache.hits !== hits) throw new Error("the cache answered without a majority");
        await Promise.all(set.sentinels.slice(1).map((sentinel) => sentinel.kill("SIGCONT")));
        const moment = performance.now();
        return { since: () => moment, after: master };
      }),
  },
  {
    title: "all sentinels away for a while: calls go on; and where the master goes too, they go on when the sentinels are back",
    run: () =>
      judged("all sentinels away", async ({ set, master, load }) => {
        await Promise.all(set.sentinels.map((sentinel) => sentinel.end("SIGKILL")));
        await sleep(3_000);
        if (!load.wroteAfter(performance.now() - 500)) throw new Error("writes did not go on without sentinels");
        await master.kill("SIGKILL");
        await sleep(2_000);
        await Promise.all(set.sentinels.map((sentinel) => sentinel.start()));
        return promoted(set, master);
      }),
  },
  {
    title: "ten failovers in a row, each in another way",
    run: () =>
      judged("many failovers", async ({ set, master }) => {
        let current = master;
        let result;
        for (let round = 0; round < 10; round++) {
          const stopped = round % 2 === 0;
          await current.kill(stopped ? "SIGSTOP" : "SIGKILL");
          result = await promoted(set, current);
          if (stopped) await current.kill("SIGCONT");
          else await current.start();
          current = await set.master(current);
          await set.settle();
        }
        return { ...result, after: current };
      }),
  },
];

"use strict";
// What is done to the server and to its clients, each by name. Whatever of it writes is entered in the history.

const { SHARED, KEYS, key, now } = require("./keys.js");

/** Longer than the lease. */
const HUNG_MS = 2600;
const BLOCKED_MS = 2200;
/** By how much an expiry may miss the moment that was computed for it here: Redis counts in whole milliseconds. */
const EXPIRY_SLACK_MS = 3;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * @param {{ server: object, chance: object, history: object[], proxies: object[], processes: object }} world
 *   `history` gets the writes, as the judge takes them.
 */
function disturbances({ server, chance, history, proxies, processes }) {
  const anyKey = () => (chance.next() < 0.5 ? chance.below(SHARED) : SHARED + chance.below(KEYS - SHARED));
  let sequence = 0;
  let hung = Promise.resolve();

  /** Does something that leaves these keys with that id. */
  async function writing(keys, id, action) {
    const start = now();
    const result = await action();
    if (result instanceof Error) throw result;
    const end = now();
    for (const one of keys) history.push({ key: one, id, start, end, by: "parent", sure: true });
    return { start, end, result };
  }
  const everything = Array.from({ length: KEYS }, (_, i) => i);
  const set = (one) => {
    const id = `parent-${sequence++}`;
    return writing([one], id, () => server.command("SET", key(one), id));
  };

  const acts = {
    "CLIENT KILL": () => server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"),
    FLUSHALL: () => writing(everything, null, () => server.command("FLUSHALL")),
    "CLIENT PAUSE": () => server.command("CLIENT", "PAUSE", "150", "ALL"),
    SIGSTOP: async () => {
      server.kill("SIGSTOP");
      await sleep(250);
      server.kill("SIGCONT");
    },
    restart: () => writing(everything, null, () => server.restart()),
    expiry: async () => {
      for (let i = 0; i < 10; i++) {
        const one = anyKey();
        if (i % 2 === 0) await set(one);
        const ms = 20 + i * 20;
        const sent = now();
        const there = await server.command("PEXPIRE", key(one), String(ms));
        if (there !== 1) continue;
        const [start, end] = [sent + ms - EXPIRY_SLACK_MS, now() + ms + EXPIRY_SLACK_MS];
        // Whether it comes to that is known at the end: a later write of the key takes the expiry away.
        history.push({ key: one, id: null, start, end, by: "parent", sure: false, unlessWrittenSince: sent });
      }
    },
    "foreign SET": async () => {
      for (let i = 0; i < 10; i++) await set(anyKey());
    },
    "foreign DEL": async () => {
      for (let i = 0; i < 10; i++) {
        const one = anyKey();
        await writing([one], null, () => server.command("DEL", key(one)));
      }
    },
    "a process is killed": () => processes.replace(chance.below(processes.size)),
    "a process stands still": () => processes.block(chance.below(processes.size), BLOCKED_MS),
    "a cable is held": async () => {
      await hung;
      const proxy = chance.pick(proxies);
      proxy.hold();
      hung = sleep(HUNG_MS).then(() => proxy.release());
      // The process behind it is not told of these before the lease is over.
      for (const one of everything.slice(SHARED)) await set(one);
    },
  };
  return { acts, calm: () => hung };
}

/** Expiries are sure where nobody else wrote to the key from their order to their end. */
function decideExpiries(history) {
  const byKey = Array.from({ length: KEYS }, () => []);
  for (const write of history) byKey[write.key].push(write);
  for (const expiry of history) {
    if (expiry.unlessWrittenSince === undefined) continue;
    const others = byKey[expiry.key].filter((one) => one !== expiry);
    expiry.sure = others.every((one) => one.end < expiry.unlessWrittenSince || one.start > expiry.end);
  }
}

module.exports = { disturbances, decideExpiries };

"use strict";

// Live trading in a process of its own, by a clock that goes on as soon as everything of a minute is done. What happens is
// appended to a file at once, so that nothing of it is lost where the process is killed.

const fs = require("node:fs");
const market = require("./market.js");
const { installClock } = require("./clock.js");
const { serve } = require("./child.js");

let kit;

/** Resolves when every symbol has had its tick of this minute. */
function ticks(symbols) {
  let waiting = new Set();
  let resolve;
  kit.listenPerformance(({ metricType, symbol }) => {
    if (metricType !== "live_tick") return;
    waiting.delete(symbol);
    if (waiting.size === 0) resolve();
  });
  return () => {
    waiting = new Set(symbols);
    return new Promise((done) => (resolve = done));
  };
}

/** Minutes after which a run that is to be killed is killed at the latest, whether its call has come or not. */
const KILLED_WITHIN = 130;

/**
 * Where a run ends by kill -9: at the `nth` call of a method of the adapters, before it, while it is under way, or after it.
 * Writes of null do not count: they end a position, and the kit tells of that only afterwards.
 */
function murderer({ method, nth, when }) {
  let seen = 0;
  const kill = () => process.kill(process.pid, "SIGKILL");
  return (name, args, call) => {
    if (name !== method || args[0] === null || ++seen !== nth) return call();
    if (when === "before") kill();
    const answer = call();
    if (when === "during") setImmediate(kill);
    else answer.then(kill);
    // Nothing that comes after it may happen.
    return new Promise(() => {});
  };
}

/**
 * `store`, `symbols`, `minutes` of trading from minute `from` of the month on, `log` (the file), `kill` (see murderer).
 */
async function main({ store: name, symbols = ["ETHUSDT"], from = 0, minutes, log, kill }) {
  const clock = installClock(market.SINCE + from * market.MINUTE_MS);
  kit = require("./kit.js");
  const { addBookkeeper, addMarket, persistAll, EXCHANGE } = require("./strategies.js");
  const { openStore } = require("./stores.js");
  const { tradeOf } = require("./results.js");
  const { watch } = require("./watch.js");

  addMarket(kit);
  addBookkeeper(kit);
  const errors = [];
  kit.listenError((error) => errors.push(String(error?.stack ?? error)));
  const store = await openStore(name, kit);
  const say = (line) => fs.appendFileSync(log, `${JSON.stringify({ minute: (clock.now() - market.SINCE) / market.MINUTE_MS, ...line })}\n`);
  kit.listenSignalLive((event) => {
    const { action, symbol } = event;
    if (action === "opened" || action === "scheduled") say({ action, symbol, id: event.signal.id, position: event.signal.position, priceOpen: event.signal.priceOpen });
    if (action === "active") say({ action, symbol, id: event.signal.id });
    if (action === "closed") say({ action, symbol, id: event.signal.id, trade: tradeOf(event) });
  });

  // After our listener, so that what is told first is noted first.
  persistAll(kit);
  const watched = watch(kit, kill ? { around: murderer(kill) } : {});

  const tick = ticks(symbols);
  let done = tick();
  for (const symbol of symbols) kit.Live.background(symbol, { strategyName: "bookkeeper", exchangeName: EXCHANGE });
  for (let minute = 0; ; minute++) {
    await done;
    await watched.settled();
    // The loops have still to come to where they wait for the next minute.
    await new Promise((resolve) => setImmediate(resolve));
    say({ action: "minute" });
    if (minute === minutes) break;
    if (kill && minute === KILLED_WITHIN) process.kill(process.pid, "SIGKILL");
    done = tick();
    clock.nextMinute();
  }
  const result = { counts: watched.counts, written: watched.written(), errors };
  await store.close();
  // The kit's live loop never ends by itself; what it waits for keeps no process alive.
  return result;
}

serve(main);

"use strict";

// The clock of a live run. The kit's live loop looks at Date.now() every five seconds and begins a tick when a minute has
// begun. Here a minute begins when it is told to: `Date` stands still in between, and the timers of those looks are held
// back. All other timers, and performance.now(), are the real ones. Install it before the kit is loaded.

const { MINUTE_MS } = require("./market.js");

/** The kit's interval between two looks at the clock. */
const LOOK_MS = 5_000;

function installClock(start) {
  let now = start;
  const held = new Set();

  const RealDate = Date;
  globalThis.Date = new Proxy(RealDate, {
    construct: (Target, args, NewTarget) => Reflect.construct(Target, args.length === 0 ? [now] : args, NewTarget),
    apply: (Target) => new Target(now).toString(),
    get: (Target, name) => (name === "now" ? () => now : Reflect.get(Target, name)),
  });

  const realSetTimeout = setTimeout;
  const realClearTimeout = clearTimeout;
  globalThis.setTimeout = (look, ms, ...args) => {
    if (ms !== LOOK_MS) return realSetTimeout(look, ms, ...args);
    const timer = { look: () => look(...args) };
    held.add(timer);
    return timer;
  };
  globalThis.clearTimeout = (timer) => {
    if (!held.delete(timer)) realClearTimeout(timer);
  };

  return {
    now: () => now,
    /** Begins the next minute: everybody who waits for one sees it. */
    nextMinute() {
      now += MINUTE_MS;
      const due = [...held];
      held.clear();
      for (const { look } of due) look();
    },
  };
}

module.exports = { installClock };

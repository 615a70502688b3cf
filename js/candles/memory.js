"use strict";
// The engine's candle cache with its configuration and its clock.

const { CandleCache } = require("./cache.js");
const { native } = require("../engine.js");

// Captured now: fake timers replace the global ones later.
const wall = Date.now;
const awake = performance.now.bind(performance);

/** Milliseconds of either clock when they were last read, and what has passed. */
let [lastWall, lastAwake, passed] = [wall(), awake(), 0];

/**
 * Milliseconds that have passed: of the two clocks the one that went further, because one stands still while the machine
 * is suspended, and the other may be set back.
 */
function elapsed() {
  const [nowWall, nowAwake] = [wall(), awake()];
  passed += Math.max(nowWall - lastWall, nowAwake - lastAwake, 0);
  [lastWall, lastAwake] = [nowWall, nowAwake];
  return passed;
}

/** What is counted goes on over close(). */
let counters;

const memory = {
  /** The cache; null before the first call and where it is turned off. */
  cache: null,
  /** Whether bulk writes of adapters write ids to Redis. */
  ids: false,
  /** Whether candles are in the embedded store. There an id is found without a key, so keys are written only where `ids` says so. */
  store: false,
  /** `elapsed` for how long absence is remembered; `present` for which candles are over, in milliseconds since 1970. */
  clock: { elapsed, present: () => Date.now() },

  /** Takes configuration into use, before the first call and after each close(). */
  configure({ CC_CANDLE_CACHE_MAX_BYTES: maxBytes, CC_CANDLE_ABSENCE_MS: absenceMs, CC_CANDLE_IDS: ids, CC_STORE_PATH: path }) {
    memory.ids = ids === "on";
    memory.store = path !== null;
    memory.cache = maxBytes === 0 ? null : new CandleCache({ maxBytes, absenceMs, counters });
    counters ??= memory.cache?.counters;
  },

  /** Forgets everything: at close(), and before and after whatever changes or deletes rows. */
  empty() {
    memory.cache?.empty();
  },
};
native.candles.stats = () => memory.cache?.stats() ?? null;

module.exports = { memory };

"use strict";
// The keys that the coherence test works on.

/** Keys that all processes read and write. */
const SHARED = 40;
/** Keys that the processes only read: all that befalls them is known exactly, so that expiry can be judged too. */
const WATCHED = 8;

module.exports = {
  SHARED,
  WATCHED,
  KEYS: SHARED + WATCHED,
  symbol: (number) => `S${number}`,
  key: (number) => `signal_cache:x:s:S${number}`,
  /** Milliseconds of CLOCK_MONOTONIC, which is one for all processes of a machine. */
  now: () => Number(process.hrtime.bigint() / 1000n) / 1000,
};

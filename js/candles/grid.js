"use strict";
// The grid that candles stand on: a moment is a multiple of the interval's step since 1970.

const MINUTE = 60_000;

/** Milliseconds of each interval. */
const STEPS = new Map(
  Object.entries({ "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480, "1d": 1440 }).map(
    ([interval, minutes]) => [interval, minutes * MINUTE],
  ),
);

/** Slots of a block. A power of two, so that a slot's place in its block is a mask. */
const BLOCK = 1_024;
/** The most candles of one range, as in src/mongo/candles.rs. */
const LONGEST_RANGE = 1_000_000;

/**
 * Whether a timestamp is exactly a moment of the grid. -0 is not: it is stored as another number than 0. Products of whole
 * numbers that are safe are exact, and cost a tenth of a remainder.
 */
const onGrid = (timestamp, step) =>
  Number.isSafeInteger(timestamp) && Math.trunc(timestamp / step) * step === timestamp && !Object.is(timestamp, -0);

/** The block of a slot, and the slot's place in it. Slots are counted from 1970, and are negative before. */
const blockOf = (slot) => Math.floor(slot / BLOCK);
const placeOf = (slot) => slot & (BLOCK - 1);

/** The stretches of a window, block by block: `see(index, from, to)`, until it returns true. Whether it did. */
function stretches(first, limit, see) {
  for (let slot = first, end = first + limit; slot < end; ) {
    const from = placeOf(slot);
    const to = Math.min(BLOCK, from + end - slot);
    if (see(blockOf(slot), from, to)) {
      return true;
    }
    slot += to - from;
  }
  return false;
}

module.exports = { BLOCK, LONGEST_RANGE, MINUTE, STEPS, blockOf, onGrid, placeOf, stretches };

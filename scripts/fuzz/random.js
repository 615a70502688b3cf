"use strict";

// Chance that can be repeated: the same seed gives the same choices.

/** mulberry32: small, seeded, good enough to choose from a list. `next()` is in [0, 1). */
function chance(seed) {
  let state = seed | 0;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    below: (end) => Math.floor(next() * end),
    pick: (list) => list[Math.floor(next() * list.length)],
    maybe: (share) => next() < share,
  };
}

module.exports = { chance };

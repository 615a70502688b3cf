"use strict";

// Chance that can be repeated: whoever uses it prints the seed.

/** mulberry32: small, seeded, good enough to choose from a list. Returns a function like Math.random. */
function randomFrom(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A seed for a run that was told none. */
function anySeed() {
  return Date.now() % 2 ** 31;
}

/** Chance with a seed: numbers in [0, 1) and below a bound, members of a list, a share of all cases, lists in another order. */
function chance(seed) {
  const next = randomFrom(seed);
  const below = (bound) => Math.floor(next() * bound);
  return {
    next,
    below,
    pick: (list) => list[below(list.length)],
    maybe: (share) => next() < share,
    shuffled(list) {
      const left = [...list];
      return list.map(() => left.splice(below(left.length), 1)[0]);
    },
  };
}

module.exports = { chance, anySeed };

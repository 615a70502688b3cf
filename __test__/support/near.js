"use strict";

// What tests of the near cache share.

/** How long an answer may be out of date, in milliseconds. */
const LEASE_MS = 2000;

/** Asks until the answer is right, which it must be before the lease is over; resolves with the milliseconds that it took. */
async function becomes(t, ask, expected) {
  const start = performance.now();
  for (let asked = start; (await ask()) !== expected; asked = performance.now()) {
    t.true(asked - start < LEASE_MS, `still not ${expected}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.pass();
  return performance.now() - start;
}

module.exports = { LEASE_MS, becomes };

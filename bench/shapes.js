"use strict";

// How calls follow one another. Each shape makes calls for about `ms` milliseconds and returns how many it made.

const { KEYS } = require("./peers/data.js");

let cursor = 0;
/** The next of the keys, so that no two neighbouring calls ask for the same one. */
function next() {
  cursor += 1;
  if (cursor === KEYS) cursor = 0;
  return cursor;
}

/** One after the other. Sixteen calls between two looks at the clock keep the clock out of the measurement. */
async function sequential(call, _atOnce, ms) {
  const end = performance.now() + ms;
  let calls = 0;
  do {
    for (let i = 0; i < 16; i++) await call(next());
    calls += 16;
  } while (performance.now() < end);
  return calls;
}

/** `atOnce` calls in one tick, wait for all, again: a `Promise.all` over a list, as user code has it. */
async function batches(call, atOnce, ms) {
  const end = performance.now() + ms;
  const batch = new Array(atOnce);
  let calls = 0;
  do {
    for (let i = 0; i < atOnce; i++) batch[i] = call(next());
    await Promise.all(batch);
    calls += atOnce;
  } while (performance.now() < end);
  return calls;
}

/** The same where one call takes a list. */
async function lists(call, atOnce, ms) {
  const end = performance.now() + ms;
  const numbers = new Array(atOnce);
  let calls = 0;
  do {
    for (let i = 0; i < atOnce; i++) numbers[i] = next();
    await call(numbers);
    calls += atOnce;
  } while (performance.now() < end);
  return calls;
}

/** `atOnce` independent loops, each one call after the other: many strategies at work in one process. */
async function loops(call, atOnce, ms) {
  const end = performance.now() + ms;
  let calls = 0;
  let running = true;
  async function loop(clock) {
    while (running) {
      await call(next());
      calls += 1;
      if (clock && performance.now() >= end) running = false;
    }
  }
  await Promise.all(Array.from({ length: atOnce }, (_, i) => loop(i === 0)));
  return calls;
}

/** So many calls, for what can be done only once. */
async function counted(call, atOnce, calls) {
  const batch = new Array(atOnce);
  for (let made = 0; made < calls; made += atOnce) {
    if (atOnce === 1) {
      await call();
      continue;
    }
    for (let i = 0; i < atOnce; i++) batch[i] = call();
    await Promise.all(batch);
  }
  return calls;
}

module.exports = { shapes: { sequential, batches, lists, loops, counted } };

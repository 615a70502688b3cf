"use strict";

// The embedded store under load: what it holds up, and how large its log becomes. The whole of it, on a quiet machine: `npm run
// store:loop` and `npm run store:load`.

const { serial: test } = require("ava");
const { hindrance, measure } = require("../scripts/store-loop/run.js");
const { load } = require("../scripts/store-load/run.js");

const MIB = 1024 * 1024;

// Skipped, and named so in the results, only where there is no Linux or no C compiler: see hindrance().
const measured = hindrance() === null ? test : test.skip;

measured("the loop goes on while each sync takes long", async (t) => {
  t.timeout(170_000);
  const stall = 1_000;
  const told = await measure("stalled", 5_000, stall);
  t.true(told.store.syncs > 0, JSON.stringify(told.store));
  // A loop that waits for a sync waits for as long as that takes; what a busy machine does to it is less.
  t.true(told.mostMs < stall, `${told.mostMs} ms`);
  t.true(told.answered > 0);
  t.deepEqual(told.missing, []);
});

measured("the loop goes on while another process holds the lock, what is in memory is answered, and writes come when it lets go", async (t) => {
  t.timeout(170_000);
  const held = 3_000;
  const told = await measure("locked", held);
  // No write was let through, so all of them wait. A loop that waits for the lock would have waited for as long as it was held.
  t.true(told.mostMs < held / 2, `${told.mostMs} ms`);
  t.true(told.turns > 10 && told.answered > 0, JSON.stringify(told));
  t.true(told.store.waiting > 0);
  t.deepEqual(told.missing, []);
});

test("the log of three processes that write all the time, with iterators open, stays below 64 MiB", async (t) => {
  t.timeout(170_000);
  const { pages, mostBytes, turns } = await load(5_000);
  t.true(turns > 0, "as much was written as makes the log begin anew");
  t.true(pages > 0);
  t.true(mostBytes > 0 && mostBytes < 64 * MIB, `${mostBytes}`);
});

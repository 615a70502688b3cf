"use strict";

// Reads of the log, in a process of its own: milliseconds of each. The first one connects.

const kit = require("../__test__/kit/kit.js");
const { serve, timed } = require("../__test__/kit/child.js");
const { openStore } = require("../__test__/kit/stores.js");
const { entry } = require("./kit-calls.js");

/** `write`: makes the collection with its indexes; otherwise reads so many times. */
serve(async ({ write, reads }) => {
  const store = await openStore("setup", kit);
  const milliseconds = [];
  if (write) await kit.PersistLogAdapter.writeLogData([entry(0)]);
  for (let i = 0; i <= (reads ?? -1); i++) {
    let found;
    const ms = await timed(async () => (found = await kit.PersistLogAdapter.readLogData()));
    if (found.length !== 1_000) throw new Error(`${found.length} entries instead of 1,000`);
    if (i > 0) milliseconds.push(ms);
  }
  await store.close();
  return { milliseconds };
});

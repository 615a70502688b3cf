"use strict";

// The first write after setup(), in a process of its own: milliseconds from setup() to its answer.

const kit = require("../__test__/kit/kit.js");
const { serve } = require("../__test__/kit/child.js");
const lib = require("../index.js");

serve(async () => {
  lib.setup();
  const started = performance.now();
  await kit.PersistSignalAdapter.writeSignalData({ id: "first" }, "ETHUSDT", "bench", "made_up");
  const milliseconds = performance.now() - started;
  await lib.close();
  return { milliseconds };
});

"use strict";

// Several processes on the same keys while the server is disturbed; `npm run coherence` does the same for a minute.

const { serial: test } = require("ava");
const { coherence } = require("../scripts/coherence/run.js");

test("four processes on the same keys see nothing older than the lease, whatever befalls the server, and agree with Redis after quiet", async (t) => {
  t.timeout(90_000);
  const { problems, reads, writes, hits, oldest, done } = await coherence({ seconds: 6 });
  t.log(`${reads} reads, ${hits} of them from memory, ${writes} writes; oldest value ${oldest.toFixed(0)} ms; ${JSON.stringify(done)}`);
  t.deepEqual(problems, []);
  t.true(reads > 1000 && writes > 100 && hits > 1000, "they worked");
  t.true(Object.keys(done).length >= 3, "the server was disturbed");
});

"use strict";

// Worker threads that come and go. What a thread leaves behind in the process (handles, callbacks, memory, the library
// itself) shows as an abort, as wrong answers in the main thread, or as growth.

const { serial: test } = require("ava");
const { withRedis, connectionsOf, until } = require("./support/addon.js");
const { runChild } = require("./support/child.js");

const own = withRedis(test);

function endedWell(t, result) {
  t.is(result.stderr, "");
  t.is(result.signal, null);
  t.is(result.code, 0);
}

const noneLeft = () => until(async () => (await connectionsOf(own.server)).length === 0, "every connection has ended");

test("rounds of twenty worker threads, terminated at any moment, change no answer of the main thread and leave no memory", async (t) => {
  t.timeout(120_000);
  await own.lib.close();
  const result = await runChild("rounds", { env: own.server.env, args: ["12"], nodeArgs: ["--expose-gc"] });
  endedWell(t, result);
  const { wrong, calls, before, after } = result.lines.at(-1);
  t.deepEqual(wrong, []);
  t.true(calls > 50, `${calls} calls of the main thread`);
  const grown = Object.fromEntries(Object.keys(before).map((key) => [key, after[key] - before[key]]));
  t.log(JSON.stringify(grown));
  const MB = 1024 * 1024;
  t.true(grown.heapUsed < 3 * MB, JSON.stringify(grown));
  // 160 threads in between, each of which had a heap of several megabytes: one that leaked would be far beyond this.
  t.true(grown.rss < 100 * MB, JSON.stringify(grown));
  t.true(grown.descriptors <= 2, JSON.stringify(grown));
  await noneLeft();
});

for (const [ending, expected] of Object.entries({
  "process.exit": { message: null, error: null, code: 5 },
  "an uncaught error": { message: null, error: "uncaught", code: 1 },
  "an error in a callback of a reply": { message: null, error: "rejected", code: 1 },
  "its heap's limit": { message: null, error: "ERR_WORKER_OUT_OF_MEMORY", code: 1 },
  "a wait that never ends": { message: { waits: true }, error: null, code: 1 },
  "a loop over hits": { message: { waits: true }, error: null, code: 1 },
  "a worker of its own": { message: { waits: true }, error: null, code: 1 },
  "close and nothing more": { message: null, error: null, code: 0 },
})) {
  for (const when of ["main loads first", "main loads last"]) {
    test(`worker threads that end by ${ending} harm nobody where ${when}`, async (t) => {
      const result = await runChild("threads", { env: own.server.env, args: [ending, when] });
      endedWell(t, result);
      const { ends, value } = result.lines.at(-1);
      t.deepEqual(ends, Array(9).fill(expected));
      t.is(value, "v");
      await noneLeft();
    });
  }
}

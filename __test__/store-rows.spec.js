"use strict";

// Rows of the embedded store that are read at once: by a context of texts, without a request that waits for the end of the tick.

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { serial: test } = require("ava");
const { loadFor } = require("./support/addon.js");

/** On a folder of its own, which is open, with one row. */
async function openStore(t, more = {}) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bkn-store-rows-"));
  t.teardown(() => fs.rmSync(folder, { recursive: true, force: true }));
  const lib = loadFor(t, { CC_STORE_PATH: folder, ...more });
  const { signalDbService, signalCacheService, mongoService } = lib.ioc;
  await mongoService.waitForInit();
  await signalDbService.upsert("S", "s", "e", { n: 1, text: "ü" });
  return { lib, folder, signals: signalDbService, ids: signalCacheService };
}

/** The answer, and whether it was there before the tick had ended. */
async function observed(call) {
  // From within a microtask, so that what is arranged for the end of the tick comes after all that is settled already.
  await null;
  let ended = false;
  process.nextTick(() => (ended = true));
  const answer = await call();
  return { answer, atOnce: !ended };
}

/** The same of a call that a busy machine may have made wait for a turn of the loop. */
async function atOnce(call) {
  let seen;
  for (let attempt = 0; attempt < 50; attempt++) {
    seen = await observed(call);
    if (seen.atOnce) {
      break;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return seen;
}

test("a row whose context is text is there before the tick ends, as the row that it is", async (t) => {
  const { signals } = await openStore(t);
  const { answer, atOnce: soon } = await atOnce(() => signals.findByContext("S", "s", "e"));
  t.true(soon);
  t.like(answer, { symbol: "S", strategyName: "s", exchangeName: "e", payload: { n: 1, text: "ü" } });
  t.is(answer.id, answer._id.toHexString());
  t.deepEqual(answer, (await signals.findAll({}))[0]);
});

test("a read behind a write of its tick waits for it, and one behind that write is at once again", async (t) => {
  const { signals } = await openStore(t);
  for (let n = 2; n < 50; n++) {
    const write = signals.upsert("S", "s", "e", { n });
    t.deepEqual((await signals.findByContext("S", "s", "e")).payload, { n });
    await write;
    const { answer, atOnce: soon } = await atOnce(() => signals.findByContext("S", "s", "e"));
    t.true(soon);
    t.deepEqual(answer.payload, { n });
  }
});

test("an id that somebody has taken out of the cache is noted anew by the next read", async (t) => {
  const { signals, ids } = await openStore(t);
  const { id } = await signals.findByContext("S", "s", "e");
  await ids.delete("S:s:e");
  await ids.clear();
  t.false(await ids.hasSignalId("S", "s", "e"));
  const { answer, atOnce: soon } = await observed(() => signals.findByContext("S", "s", "e"));
  t.false(soon);
  t.is(answer.id, id);
  t.is(await ids.getSignalId("S", "s", "e"), id);
});

test("what is not there, and a context that is not text, is told as by a request", async (t) => {
  const { signals } = await openStore(t);
  t.is(await signals.findByContext("T", "s", "e"), null);
  t.is(await signals.findByContext("", "s", "e"), null);
  await signals.upsert("5", "s", "e", { n: 5 });
  t.deepEqual((await signals.findByContext(5, "s", "e")).payload, { n: 5 });
  await t.throwsAsync(signals.findByContext("S", "s"), { code: "INVALID_CONTEXT" });
});

test("a loop of rows that are there at once lets timers fire", async (t) => {
  const { signals } = await openStore(t);
  let fired = 0;
  const timer = setInterval(() => fired++, 1);
  let reads = 0;
  while (fired < 5 && reads < 1_000_000) {
    await signals.findByContext("S", "s", "e");
    reads++;
  }
  clearInterval(timer);
  t.true(fired >= 5, `${fired} in ${reads} reads`);
});

test("what another process has written, and what it has removed, is told by the next read", async (t) => {
  const { lib, folder, signals } = await openStore(t);
  t.is((await signals.findByContext("S", "s", "e")).payload.n, 1);
  const { execFileSync } = require("node:child_process");
  const script = `const lib = require(${JSON.stringify(path.join(__dirname, ".."))});
    lib.ioc.signalDbService.upsert("S", "s", "e", { n: 2 }).then(() => lib.close());`;
  const elsewhere = (program) => execFileSync(process.execPath, ["-e", program], { env: { ...process.env, CC_STORE_PATH: folder } });
  elsewhere(script);
  t.is((await signals.findByContext("S", "s", "e")).payload.n, 2);
  const { intervalDbService } = lib.ioc;
  await intervalDbService.upsert("b", "k", { n: 1 }, new Date(0));
  t.is((await intervalDbService.findByKey("b", "k")).payload.n, 1);
  elsewhere(`const lib = require(${JSON.stringify(path.join(__dirname, ".."))}); lib.ioc.intervalDbService.clearBucket("b").then(() => lib.close());`);
  t.is(await intervalDbService.findByKey("b", "k"), null);
  await lib.close();
  t.is((await signals.findByContext("S", "s", "e")).payload.n, 2, "a call after close() opens the store anew");
});

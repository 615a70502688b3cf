"use strict";

// Cursors that the server keeps for iterators: they go when an iterator ends, however it ends.

const { serial: test } = require("ava");
const { until } = require("./support/addon.js");
const { runChild } = require("./support/child.js");
const { startMongo } = require("./support/mongo.js");
const { startRedis } = require("./support/redis.js");

/** More than one batch of the server's holds: 16 MB. */
const ROWS = 4_000;
const TEXT = "x".repeat(8_000);

let mongo, redis;
test.before(async () => {
  [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
  for (let at = 0; at < ROWS; at += 1_000) {
    const row = (_, i) => ({ entryId: `l${at + i}`, payload: { text: TEXT }, __v: 0 });
    await mongo.insert("log-items", Array.from({ length: 1_000 }, row));
  }
});
test.after.always(() => Promise.all([mongo, redis].map((server) => server && server.stop())));

const open = async () => Number((await mongo.command({ serverStatus: 1 }, { database: "admin" })).metrics.cursor.open.total);

test("iterators that are dropped in the middle and collected leave no cursor open, nor do those that end", async (t) => {
  const counts = {};
  const onLine = async ({ stage, iterators }, child) => {
    counts[stage] = await open();
    child.stdin.write("go on\n");
    if (stage !== "begun") return;
    counts.iterators = iterators;
    await until(async () => (await open()) === 0, "the cursors were closed", 30_000);
    child.stdin.write("go on\n");
  };
  const { code, stderr, lines } = await runChild("cursors", { env: { ...mongo.env, ...redis.env }, nodeArgs: ["--expose-gc"], onLine });
  t.is(code, 0, stderr);
  t.is(counts.begun, counts.iterators, "each had a cursor");
  t.is(lines.at(-1).rows, ROWS);
  t.is(await open(), 0);
});

"use strict";

// One of several processes that write first rows into an empty database at once. Waits for a message, so that all
// begin together; says how many writes failed and why.

const { ioc, close } = require("../../../index.js");

process.send("ready");
process.once("message", async ({ writes, symbols }) => {
  const when = new Date(1767323045678);
  const calls = Array.from({ length: writes }, (_, i) => {
    const symbol = `S${i % symbols}`;
    const state = ioc.stateDbService.upsert(symbol, "b", { pid: process.pid, i }, when);
    const candle = ioc.candleDbService.create({ exchangeName: "e", symbol, interval: "1m", timestamp: 60_000, open: i, high: i, low: i, close: i, volume: 0 });
    return [ioc.signalDbService.upsert(symbol, "s", "e", { pid: process.pid, i }), state, candle];
  });
  const results = await Promise.allSettled(calls.flat());
  const failures = results.filter((result) => result.status === "rejected").map((result) => String(result.reason));
  await close();
  process.send({ failures }, () => process.disconnect());
});

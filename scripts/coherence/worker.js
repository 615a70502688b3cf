"use strict";
// One process of the coherence test: reads and writes shared keys through ioc, and reports what it saw.
//
// Every id that it writes is unique. It reports each write with the moments of its call and its answer, and for each key
// and id the last moment at which that id was returned. The clock (CLOCK_MONOTONIC) is one for all processes of a machine.

const { ioc, close, stats } = require("../..");

const { COHERENCE_ME: me, COHERENCE_KEYS: keyCount } = process.env;
const keys = Number(keyCount);
const service = ioc.signalCacheService;
const now = () => Number(process.hrtime.bigint() / 1000n) / 1000;
const symbol = (key) => `S${key}`;

const writes = [];
const sightings = [];
const errors = {};
const violations = [];
const shown = new Array(keys).fill(undefined);
const acknowledged = new Array(keys).fill(-1);
let reads = 0;
let sequence = 0;
let running = true;

function failed(error) {
  errors[error.code] = (errors[error.code] ?? 0) + 1;
}

/** Notes what a read that began at a moment returned. */
function saw(key, id, at) {
  const before = shown[key];
  if (before !== undefined && before.id !== id) {
    sightings.push([key, before.id, before.at]);
  }
  shown[key] = { id, at };
}

async function read(key) {
  const mine = acknowledged[key];
  const at = now();
  const id = await service.getSignalId(symbol(key), "s", "x");
  reads++;
  saw(key, id, at);
  const [writer, number] = id === null ? [] : id.split("-");
  // Read-your-writes: an id of our own from before our latest answered write is old.
  if (writer === me && Number(number) < mine) {
    violations.push(`read ${id} after our own write ${mine} was answered`);
  }
}

async function write(key) {
  const number = sequence++;
  const id = `${me}-${number}`;
  const start = now();
  await service.setSignalId({ symbol: symbol(key), strategyName: "s", exchangeName: "x", id });
  writes.push([key, id, start, now()]);
  acknowledged[key] = Math.max(acknowledged[key], number);
}

async function work() {
  while (running) {
    const key = Math.floor(Math.random() * keys);
    const act = Math.random() < 0.02 ? write : read;
    await act(key).catch(failed);
  }
}

async function finish() {
  const held = [];
  for (let key = 0; key < keys; key++) {
    held.push(await service.getSignalId(symbol(key), "s", "x"));
  }
  shown.forEach((last, key) => last !== undefined && sightings.push([key, last.id, last.at]));
  process.send({ kind: "report", writes, sightings, held, errors, violations, reads });
}

process.on("unhandledRejection", (error) => {
  violations.push(`unhandled rejection: ${error.stack}`);
});

process.on("message", async (message) => {
  if (message === "stop") {
    running = false;
  } else if (message === "report") {
    await finish();
  } else if (message === "end") {
    await close();
    process.disconnect();
  }
});

setInterval(() => running && process.send({ kind: "tick", reads, writes: writes.length, hits: stats().nearCache.hits, errors }), 500).unref();
// Several at a time, so that reads, writes and replies overlap; each by itself goes on without a pause.
Promise.all([work(), work(), work()]).then(() => process.send({ kind: "stopped" }));

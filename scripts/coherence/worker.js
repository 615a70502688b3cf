"use strict";
// One process of the coherence test: reads and writes shared keys through ioc, and reports what it saw.
//
// Every id that it writes is unique. It reports each write with the moments of its call and its answer, and for each
// key and answer the last read that returned it, again every 100 ms as long as it does.

const { ioc, close, stats } = require("../..");
const { SHARED, KEYS, symbol, now } = require("./keys.js");

const { COHERENCE_ME: me } = process.env;
const service = ioc.signalCacheService;
const NOTED_MS = 100;
/** One of so many answered writes is told to the others, who read at once and when the lease must be over. */
const TOLD = 50;
const LATER_MS = 2100;
const REPORT_MS = 250;

let history = { writes: [], sightings: [] };
const errors = {};
const violations = [];
/** What is shown of each key: by reads of its id, and by questions whether there is one. */
const shown = { id: new Array(KEYS), presence: new Array(KEYS) };
const counts = { reads: 0, writes: 0, told: 0 };
let sequence = 0;
let running = true;
/** Writes without an answer so far. */
const underway = new Set();

const any = (bound) => Math.floor(Math.random() * bound);

function failed(error) {
  errors[error.code] = (errors[error.code] ?? 0) + 1;
}

function note(list, key) {
  const last = list[key];
  if (last !== undefined) history.sightings.push([key, last.id, last.at, last.until]);
  list[key] = undefined;
}

/** Notes what a read that began at a moment returned. */
function saw(list, key, id, at) {
  const last = list[key];
  if (last !== undefined && (last.id !== id || at - last.since > NOTED_MS)) note(list, key);
  const same = list[key];
  if (same === undefined) list[key] = { id, at, since: at, until: now() };
  else if (at > same.at) Object.assign(same, { at, until: now() });
}

async function read(key) {
  const at = now();
  const id = await service.getSignalId(symbol(key), "s", "x");
  counts.reads++;
  saw(shown.id, key, id, at);
}

async function ask(key) {
  const at = now();
  const there = await service.hasSignalId(symbol(key), "s", "x");
  counts.reads++;
  saw(shown.presence, key, there ? true : null, at);
}

/** Begins a write. Until it is reported, each report says that it is under way. */
function begin(key, id) {
  const one = { key, id, start: now() };
  underway.add(one);
  return one;
}

/** Reports a write that was answered at `end`, or null where nobody knows whether it was carried out. What was read
 * before its answer is not to be mixed with what is read after it. */
function wrote(one, end) {
  const { key, id, start } = one;
  underway.delete(one);
  counts.writes++;
  history.writes.push([key, id, start, end]);
  note(shown.id, key);
  note(shown.presence, key);
}

async function writeOnce(key, id) {
  const one = begin(key, id);
  try {
    await service.setSignalId({ symbol: symbol(key), strategyName: "s", exchangeName: "x", id });
  } catch (error) {
    wrote(one, null);
    throw error;
  }
  wrote(one, now());
}

async function write(key) {
  const id = `${me}-${sequence++}`;
  await writeOnce(key, id);
  if (sequence % TOLD === 0) process.send({ kind: "told", key });
  // Once more: what this process knows of the key must not keep it from being a write like any other.
  await writeOnce(key, id);
}

async function remove(key) {
  const one = begin(key, null);
  try {
    await service.delete(`x:s:${symbol(key)}`);
  } catch (error) {
    wrote(one, null);
    throw error;
  }
  wrote(one, now());
}

async function work() {
  while (running) {
    const die = Math.random();
    if (die < 0.01) await write(any(SHARED)).catch(failed);
    else if (die < 0.013) await remove(any(SHARED)).catch(failed);
    else if (die < 0.1) await ask(any(KEYS)).catch(failed);
    else await read(any(KEYS)).catch(failed);
  }
}

/** Goes on reading what is in memory while other calls wait for a server that does not answer. */
const watch = setInterval(() => {
  for (let i = 0; i < 4; i++) read(any(KEYS)).catch(failed);
}, 5);

/** Reports what has not been reported yet. */
function report() {
  const { hits } = stats().nearCache ?? { hits: 0 };
  const sums = { ...counts, hits };
  process.send({ kind: "history", at: now(), ...history, underway: [...underway], counts: sums, errors, violations });
  history = { writes: [], sightings: [] };
}

/** What every key holds, asked several times, and how many of each time's answers came from memory. */
async function hold() {
  const rounds = [];
  for (let round = 0; round < 4; round++) {
    const { hits } = stats().nearCache;
    const ids = [];
    for (let key = 0; key < KEYS; key++) ids.push(await service.getSignalId(symbol(key), "s", "x"));
    rounds.push({ ids, hits: stats().nearCache.hits - hits });
  }
  process.send({ kind: "held", rounds });
}

process.on("unhandledRejection", (error) => {
  violations.push(`unhandled rejection: ${error.stack}`);
});

/** Stands still, and then reads everything before the event loop has turned: old news lies in the socket by then. */
function block(ms) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  for (let key = 0; key < KEYS; key++) {
    read(key).catch(failed);
    ask(key).catch(failed);
  }
}

process.on("message", async (message) => {
  if (message.block !== undefined) {
    block(message.block);
  } else if (message.told !== undefined) {
    counts.told++;
    read(message.told).catch(failed);
    setTimeout(() => running && read(message.told).catch(failed), LATER_MS);
  } else if (message === "stop") {
    running = false;
    clearInterval(watch);
  } else if (message === "hold") {
    await hold();
  } else if (message === "end") {
    await close();
    process.disconnect();
  }
});

const reports = setInterval(report, REPORT_MS);
// Several at a time, so that reads, writes and replies overlap; each by itself goes on without a pause.
Promise.all([work(), work(), work()]).then(async () => {
  clearInterval(reports);
  for (let key = 0; key < KEYS; key++) {
    note(shown.id, key);
    note(shown.presence, key);
  }
  report();
  process.send({ kind: "stopped" });
});

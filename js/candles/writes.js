"use strict";
// Candles in bulk: what is known to be there is not sent, what is under way is waited for, and what the server confirms is
// remembered.

const { ID } = require("./columns.js");
const { STEPS, onGrid } = require("./grid.js");
const { memory } = require("./memory.js");
const codec = require("../codec.js");
const { CANDLES, OPS, ask } = require("../mongo.js");

/** Numbers of a candle on its way to Rust, in the order of src/mongo/candles.rs: timestamp, open, high, low, close, volume. */
const GIVEN = 6;

const bytesOf = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);

/** The series and first slot of a chunk whose candles follow each other, and of which nothing is known; or null. */
function runOf(cache, { texts, which, numbers }) {
  const [symbol, interval, exchangeName] = texts;
  const step = STEPS.get(interval);
  const [since] = numbers;
  const count = which.length;
  if (texts.length !== 3 || step === undefined || !(since >= 0) || !onGrid(since, step) || !Number.isSafeInteger(since + count * step)) {
    return null;
  }
  for (let i = 1; i < count; i++) {
    if (numbers[i * GIVEN] !== since + i * step) {
      return null;
    }
  }
  const series = cache.open(symbol, interval, exchangeName);
  const first = since / step;
  return cache.isFree(series, first, count) ? { series, first } : null;
}

/** Which candles of a chunk are to be sent, what is known of the others, and the write that has them. */
class Sorted {
  /** `ids`: a candle counts as known only where its id is, because it is wanted. */
  constructor(cache, { texts, which, numbers }, ids) {
    this.cache = cache;
    this.write = cache?.begin() ?? null;
    /** Places of the candles that are sent, and the series and slot of each; null where the cache does not know such. */
    this.sent = [];
    this.series = [];
    this.slots = [];
    /** Places of those that are known, with their ids. */
    this.known = [];
    /** Writes of others that have candles of ours. */
    this.others = new Set();
    /** Some are sent whose slots nobody can tell. */
    this.odd = false;
    const series = [];
    this.opened = series;
    for (let at = 0; cache !== null && at < texts.length; at += 3) {
      const [symbol, interval, exchangeName] = texts.slice(at, at + 3);
      series.push(STEPS.has(interval) ? cache.open(symbol, interval, exchangeName) : null);
    }
    for (let place = 0; place < which.length; place++) {
      this.sort(place, series[which[place]] ?? null, numbers[place * GIVEN], ids);
    }
  }

  sort(place, series, timestamp, ids) {
    const { cache, write } = this;
    if (series === null || !onGrid(timestamp, series.step)) {
      this.odd = true;
      this.send(place, null, 0);
      return;
    }
    const slot = timestamp / series.step;
    const known = cache.known(series, slot);
    if (known === true) {
      const id = ids ? cache.idOf(series, slot) : null;
      // The store writes keys of those that are there, too.
      if ((ids && id === null) || (memory.store && memory.ids)) {
        this.send(place, null, 0);
        return;
      }
      this.known.push({ place, id });
    } else if (known === null) {
      cache.claim(write, series, slot);
      this.send(place, series, slot);
    } else if (known !== write) {
      this.others.add(known);
    }
    // What stands twice in a chunk is sent once: the first write wins.
  }

  send(place, series, slot) {
    this.sent.push(place);
    this.series.push(series);
    this.slots.push(slot);
  }

  /** Nobody can tell which absence a write with odd slots ends, when it begins and when it is over. */
  disturb() {
    if (this.odd) {
      this.cache?.voidAbsence();
    }
  }

  /** All is over. */
  end() {
    if (this.cache !== null) {
      this.cache.end(this.write);
      this.opened.forEach((series) => series !== null && this.cache.registry.tidy(series));
      this.disturb();
    }
  }
}

/** The columns of those places, as they are sent. */
function columnsAt({ texts, which, numbers }, places) {
  const { Binary } = codec();
  if (texts.length === 3 && (places === null || places.length === which.length)) {
    // Without places of names all have the first.
    return { texts, numbers: new Binary(bytesOf(numbers)) };
  }
  if (places === null || places.length === which.length) {
    return { texts, which: new Binary(bytesOf(which)), numbers: new Binary(bytesOf(numbers)) };
  }
  const ofWhich = new Uint32Array(places.length);
  const ofNumbers = new Float64Array(places.length * GIVEN);
  places.forEach((place, i) => {
    ofWhich[i] = which[place];
    ofNumbers.set(numbers.subarray(place * GIVEN, (place + 1) * GIVEN), i * GIVEN);
  });
  return { texts, which: new Binary(bytesOf(ofWhich)), numbers: new Binary(bytesOf(ofNumbers)) };
}

/** Stores a chunk that is a run. None of its candles is looked at alone, unless one of them is there already. */
async function storeRun(cache, { series, first }, chunk) {
  const count = chunk.which.length;
  const write = cache.begin();
  cache.claimRun(write, series, first, count);
  const stored = async () => {
    try {
      const { inserted, bytes, certain, date } = await insert(chunk, null, false);
      if (inserted === count && !certain.includes(0)) {
        cache.storedRun(write, series, first, count, chunk.numbers);
        return inserted;
      }
      for (let i = 0; i < count; i++) {
        if (certain[i] === 1) {
          cache.stored(write, series, first + i, candleAt(chunk, i), { ids: bytes, at: i * ID, createDate: date, updatedDate: date }, false);
        }
      }
      return inserted;
    } finally {
      cache.end(write);
    }
  };
  write.done = stored();
  return { inserted: await write.done, ids: [] };
}

/** Sends candles: `places` of a chunk, or all of it. What is told of them: how many are new, ids, which are certainly, dates. */
async function insert(chunk, places, ids) {
  const body = { ...columnsAt(chunk, places), bare: !ids };
  const { number: inserted, bytes } = await ask(OPS.candles, CANDLES, { ...body, keys: memory.store && memory.ids });
  const count = places === null ? chunk.which.length : places.length;
  return { inserted, bytes, certain: bytes.subarray(count * ID, count * (ID + 1)), date: bytes.readDoubleLE(count * (ID + 1)) };
}

/** By places: to take a typed array apart by its iterator costs more than all else here. */
function candleAt({ numbers }, place) {
  const at = place * GIVEN;
  return { open: numbers[at + 1], high: numbers[at + 2], low: numbers[at + 3], close: numbers[at + 4], volume: numbers[at + 5] };
}

/**
 * Stores the candles of a chunk `{ texts, which, numbers }`: the names (symbol, interval, exchangeName, …), which three of
 * them each candle has, and six numbers each. It resolves with how many were inserted, and the ids of all whose ids are
 * known, by place: `{ inserted, ids }`; `ids`: whether those of candles that were there are wanted.
 */
async function store(chunk, ids) {
  const run = ids || memory.cache === null ? null : runOf(memory.cache, chunk);
  if (run !== null) {
    return storeRun(memory.cache, run, chunk);
  }
  const sorted = new Sorted(memory.cache, chunk, ids);
  const { cache, write, sent, known, others } = sorted;
  if (cache !== null) {
    cache.counters.skippedWrites += chunk.which.length - sent.length;
  }
  if (sent.length === 0) {
    await waitFor(others);
    return { inserted: 0, ids: known };
  }
  const stored = send(sorted, chunk, ids);
  if (write !== null) {
    // Nobody else has run since it has its candles.
    write.done = stored;
  }
  const [{ inserted, ids: own }] = await Promise.all([stored, waitFor(others)]);
  return { inserted, ids: [...known, ...own] };
}

/** Those candles are stored by other calls: this one is through when they are, and fails with them. */
function waitFor(writes) {
  return Promise.all([...writes].map((write) => write.done));
}

/** Sends what is to be sent, and remembers what is confirmed. */
async function send(sorted, chunk, ids) {
  const { cache, write, sent, series, slots } = sorted;
  sorted.disturb();
  try {
    const { inserted, bytes, certain, date } = await insert(chunk, sent, ids);
    for (let i = 0; i < sent.length; i++) {
      if (series[i] !== null && certain[i] === 1) {
        const row = { ids: bytes, at: i * ID, createDate: date, updatedDate: date };
        cache.stored(write, series[i], slots[i], candleAt(chunk, sent[i]), row, ids);
      }
    }
    const hex = ids ? bytes.toString("hex", 0, sent.length * ID) : "";
    return { inserted, ids: ids ? sent.map((place, i) => ({ place, id: hex.slice(i * ID * 2, (i + 1) * ID * 2) })) : [] };
  } finally {
    sorted.end();
  }
}

module.exports = { GIVEN, store };

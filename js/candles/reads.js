"use strict";
// Windows of candles from memory; what is missing there is asked for.

const { HELD, ODD } = require("./cache.js");
const { Columns, ID, NUMBERS, addCandles } = require("./columns.js");
const { fetch } = require("./fetch.js");
const { BLOCK, LONGEST_RANGE, STEPS, onGrid, stretches } = require("./grid.js");
const { memory } = require("./memory.js");
const { MOST, blocksOf, copyColumns, partOf } = require("./spot.js");
const { native } = require("../engine.js");
const { fair } = require("../fairness.js");
const { CANDLES, OPS, ask, askQuietly, ready } = require("../mongo.js");

/** What a read comes to that must not go through the cache: what is asked for, or a row, does not fit into columns. */
const BYPASS = Symbol("bypass");

/**
 * What is made of a window. `rows`: with ids and dates; `begin` and `add` make it of columns, stretch by stretch; `partial` is it
 * where a candle is missing.
 */
const SHAPES = {
  candles: {
    rows: false,
    begin: (limit) => new Array(limit),
    add: (list, at, columns, from, to, timestamp, { step }) => addCandles(list, at, columns, from, to, timestamp, step),
    partial: () => null,
  },
  rows: {
    rows: true,
    begin: (limit) => new Array(limit),
    add: (list, at, columns, from, to, timestamp, series) => columns.rows(list, at, from, to, timestamp, series),
    partial: () => null,
  },
  columns: {
    rows: false,
    begin: gridColumns,
    add: addColumns,
    partial: () => null,
  },
  present: {
    rows: false,
    begin: gridColumns,
    add: addColumns,
    partial: presentOf,
  },
};

/** So many timestamps are not written by a loop of JavaScript, which takes milliseconds before it is compiled. */
const MANY = 1_024;

/** A window of so many candles is long: in the embedded store it is read at once, and not remembered the first time. */
const LONG = 8 * BLOCK;

/** Columns whose numbers are not set yet; each of them must be. To clear them first takes a third of a month's time. */
function emptyColumns(limit) {
  const column = () => new Float64Array(Buffer.allocUnsafeSlow(limit * 8).buffer);
  const made = { timestamp: column() };
  for (const name of NUMBERS) {
    made[name] = column();
  }
  return made;
}

/** The same with their timestamps. */
function gridColumns(limit, since, step) {
  const made = emptyColumns(limit);
  const { timestamp } = made;
  if (limit >= MANY) {
    native.engine.gridColumn(Buffer.from(timestamp.buffer), since, step);
    return made;
  }
  for (let i = 0; i < limit; i++) {
    timestamp[i] = since + i * step;
  }
  return made;
}

function addColumns(made, at, columns, from, to) {
  for (const name of NUMBERS) {
    made[name].set(columns[name].subarray(from, to), at);
  }
}

/** The candles that are there, and no others. */
function presentOf(columns, timestamp, { step }) {
  const made = emptyColumns(columns.count);
  for (let slot = 0, at = 0; slot < columns.size; slot++) {
    if (columns.has(slot, false)) {
      made.timestamp[at] = timestamp + slot * step;
      for (const name of NUMBERS) {
        made[name][at] = columns[name][slot];
      }
      at++;
    }
  }
  return made;
}

/** An answer as columns; see `Found::into_bytes` in src/mongo/candle_window.rs. */
function foundIn({ number: count, bytes }, rows) {
  // A copy, because the numbers of a Float64Array must be aligned.
  const { buffer } = Uint8Array.prototype.slice.call(bytes);
  const numbers = new Float64Array(buffer, 0, count * (NUMBERS.length + (rows ? 2 : 0)));
  const offsets = new Uint32Array(buffer, numbers.byteLength, count);
  const ids = new Uint8Array(buffer, numbers.byteLength + offsets.byteLength, rows ? count * ID : 0);
  const fits = new Uint8Array(buffer, ids.byteOffset + ids.byteLength, count);
  return { numbers, offsets, ids, fits };
}

/** The request for a window, or for some places of it. */
function requestOf({ symbol, interval, exchangeName }, timestamp, limit, rows, places = null) {
  const request = { k: { symbol, interval, exchangeName, timestamp }, limit, rows };
  return places === null ? request : { ...request, slots: Buffer.from(Uint32Array.from(places).buffer) };
}

/** Sends a question of the cache's. `done` is the answer, when it has filled what it may; `hold()`: somebody waits for it. */
function put(cache, question, quietly = false) {
  const { series, index, from, to, places, rows } = question;
  const request = requestOf(series, (index * BLOCK + from) * series.step, to - from, rows, places?.map((place) => place - from));
  let answer;
  try {
    if (quietly) {
      ({ answer, hold: question.hold } = askQuietly(OPS.window, CANDLES, request));
    } else {
      answer = ask(OPS.window, CANDLES, request);
      question.hold = () => {};
    }
  } catch (error) {
    answer = Promise.reject(error);
  }
  const take = (bytes) => {
    const found = foundIn(bytes, rows);
    cache.fill(question, found);
    return found;
  };
  const fail = (error) => {
    cache.finish(question);
    throw error;
  };
  question.done = answer.then(take, fail);
  // Who waits for it hears of a failure; for a block that is fetched beforehand nobody may.
  question.done.catch(() => {});
}

/** Fetches the block behind a window where reads go forward. It neither delays nor fails the call that it comes with. */
function lookAhead(cache, series, first, limit, rows, remember) {
  const question = cache.ahead(series, first, limit, rows, remember, memory.clock);
  if (question !== null) {
    put(cache, question, true);
  }
}

/** A window of which nothing is to be remembered, in columns. */
async function fetchOnce(names, since, limit, rows) {
  // The server's side looks at the limit before any memory is taken for it.
  const answer = await ask(OPS.window, CANDLES, requestOf(names, since, limit, rows));
  const columns = new Columns(limit);
  columns.take(foundIn(answer, rows), 0, rows);
  return columns;
}

/** What a shape makes of columns that were fetched. */
function shaped(columns, shape, since, series) {
  const limit = columns.size;
  if (columns.isOdd(0, limit, shape.rows)) {
    return BYPASS;
  }
  if (!columns.holds(0, limit, shape.rows)) {
    return shape.partial(columns, since, series);
  }
  const made = shape.begin(limit, since, series.step);
  if (limit > 0) {
    shape.add(made, 0, columns, 0, limit, since, series);
  }
  return made;
}

/** What a shape makes of a window that is held. */
function recall(series, blocks, first, limit, shape) {
  const made = shape.begin(limit, first * series.step, series.step);
  stretches(first, limit, (index, from, to) => {
    const slot = index * BLOCK + from;
    shape.add(made, slot - first, blocks.get(index), from, to, slot * series.step, series);
  });
  return made;
}

/**
 * What a shape makes of a long window of the embedded store that is read at once; undefined where that is not to be, or cannot be
 * told so. Nothing of it is remembered: most are read once, and to remember as much takes as long as to read it. What meets the
 * last such window of its series is.
 */
function inOnePass(cache, names, first, limit, shape) {
  if (shape.rows || limit < LONG || limit > MOST * BLOCK || cache?.passes(names, first, limit) === false) {
    return undefined;
  }
  const since = first * names.step;
  const isColumns = shape.begin === gridColumns;
  const columns = isColumns ? gridColumns(limit, since, names.step) : emptyColumns(limit);
  const count = copyColumns(names, first, limit, columns);
  if (count === null) {
    return undefined;
  }
  if (cache !== null) {
    cache.counters.queries++;
  }
  // Nobody need know what is not there.
  if (count > 0) {
    cache?.passed(names, first, limit);
  }
  if (count < limit) {
    return shape.partial === SHAPES.present.partial ? undefined : null;
  }
  if (isColumns) {
    return columns;
  }
  const made = shape.begin(limit);
  shape.add(made, 0, columns, 0, limit, since, names);
  return made;
}

/** What a shape makes of a window of the embedded store; undefined where that cannot be told on the spot. */
function onTheSpot(cache, names, first, limit, shape) {
  const blocks = blocksOf(cache, names, first, limit, shape.rows);
  if (blocks === null) {
    return undefined;
  }
  const misses = stretches(first, limit, (index, from, to) => !blocks.get(index).holds(from, to, shape.rows));
  if (!misses) {
    return recall(names, blocks, first, limit, shape);
  }
  return shape.partial === SHAPES.present.partial ? shape.partial(partOf(blocks, first, limit, shape.rows), first * names.step, names) : null;
}

/** The same, or by requests: when what waits before it is done, it may be told on the spot after all. */
function fromStore(names, first, limit, shape, byRequests) {
  const spot = () => {
    const cache = memory.cache !== null && memory.cache.keeps(limit, shape.rows) ? memory.cache : null;
    const found = inOnePass(cache, names, first, limit, shape);
    return found === undefined ? onTheSpot(cache, names, first, limit, shape) : found;
  };
  const found = spot();
  if (found !== undefined) {
    return fair(found, limit);
  }
  const again = () => {
    const later = spot();
    return later === undefined ? byRequests() : later;
  };
  return ask(OPS.ping, CANDLES, {}).then(again);
}

const isText = (name) => typeof name === "string";

/**
 * A window in a shape, or what the shape is where candles are missing; BYPASS. What is in memory is returned itself, anything
 * else as a promise. `remember`: absence may be.
 */
function read(symbol, interval, exchangeName, since, limit, shape, remember) {
  ready();
  const { cache } = memory;
  const series = cache?.find(symbol, interval, exchangeName);
  const step = series === undefined ? STEPS.get(interval) : series.step;
  const remembers = cache !== null || memory.store;
  if (!remembers || step === undefined || !Number.isInteger(limit) || limit <= 0 || limit > LONGEST_RANGE || !onGrid(since, step)) {
    return BYPASS;
  }
  const first = since / step;
  const { rows } = shape;
  if (series !== undefined) {
    const what = cache.look(series, first, limit, rows);
    if (what === ODD) {
      return BYPASS;
    }
    if (what === HELD) {
      cache.counters.hits++;
      if (!memory.store) {
        lookAhead(cache, series, first, limit, rows, remember);
      }
      return fair(recall(series, series.blocks, first, limit, shape), limit);
    }
    if (remember && cache.absent(series, first, limit, memory.clock.elapsed())) {
      cache.counters.absences++;
      return fair(null);
    }
  } else if (!isText(symbol) || !isText(exchangeName)) {
    return BYPASS;
  }
  if (cache !== null) {
    cache.counters.misses++;
  }
  const names = { symbol, interval, exchangeName, step };
  if (memory.store) {
    return fromStore(names, first, limit, shape, () => (memory.cache === null ? BYPASS : asked(memory.cache, names, since, limit, shape, remember)));
  }
  return asked(cache, names, since, limit, shape, remember);
}

/** What a shape makes of a window that is asked for by requests. */
function asked(cache, names, since, limit, shape, remember) {
  const { rows } = shape;
  const make = (columns) => shaped(columns, shape, since, names);
  if (!cache.keeps(limit, rows)) {
    cache.counters.queries++;
    return fetchOnce(names, since, limit, rows).then(make);
  }
  const first = since / names.step;
  const fetched = fetch(cache, names, first, limit, { rows, remember }, { put, clock: memory.clock });
  if (!memory.store) {
    lookAhead(cache, cache.open(names.symbol, names.interval, names.exchangeName), first, limit, rows, remember);
  }
  return fetched.then(make);
}

module.exports = { BYPASS, SHAPES, fetchOnce, read, shaped };

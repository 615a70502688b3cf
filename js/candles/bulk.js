"use strict";
// Candles by the chunk: columns where they fit, documents where they do not.

const { columnsIn, columnsOf, documentOf } = require("./wire.js");
const { rememberAll } = require("./ids.js");
const { listens, saySet } = require("./log.js");
const { memory } = require("./memory.js");
const { GIVEN, store } = require("./writes.js");
const { ID } = require("./columns.js");
const { BLOCK } = require("./grid.js");
const { fair } = require("../fairness.js");
const { CANDLES, OPS, ask, ready } = require("../mongo.js");

/** The exchange of candles that name none: the original's constant. */
const EXCHANGE = "ccxt_binance";
/** Candles of one insert: bounds the memory, whatever the month. */
const CHUNK = 5_000;
/** The same of the embedded store, which writes each block of a chunk once; and how many chunks are under way there. */
const [LARGE, AT_ONCE] = [8 * BLOCK, 2];

/** Whether a candle is stored under exactly these values. */
function hasPlainKey({ symbol, interval, exchangeName, timestamp }) {
  return [symbol, interval, exchangeName].every((text) => typeof text === "string") && Number.isFinite(timestamp);
}

/** Candles that fit into columns. */
class ColumnChunk {
  constructor(columns) {
    this.columns = columns;
  }

  store(ids) {
    return store(this.columns, ids);
  }

  /** What names a candle, with its id. A key that was cast is none of these. */
  identity({ place, id }) {
    const { texts, which, numbers } = this.columns;
    const [symbol, interval, exchangeName] = texts.slice(which[place] * 3, which[place] * 3 + 3);
    return { symbol, interval, exchangeName, timestamp: numbers[place * GIVEN], id };
  }
}

/** Candles that go as they are. Nothing is known of them, and nothing is remembered. */
class DocumentChunk {
  constructor(dtos, names) {
    this.rows = dtos.map((dto) => documentOf(dto, names));
  }

  /** Rejects where one of them could not be stored. */
  check() {
    return ask(OPS.candles, CANDLES, { rows: this.rows, check: true });
  }

  async store(ids) {
    memory.cache?.voidAbsence();
    try {
      const { number: inserted, bytes } = await ask(OPS.candles, CANDLES, { rows: this.rows, bare: !ids, keys: memory.store && memory.ids });
      const hex = ids ? bytes.toString("hex", 0, this.rows.length * ID) : "";
      return { inserted, ids: ids ? this.rows.map((_, place) => ({ place, id: hex.slice(place * ID * 2, (place + 1) * ID * 2) })) : [] };
    } finally {
      memory.cache?.voidAbsence();
    }
  }

  /** What names a candle, with its id. What a key that was cast became is not known here: it is left to the first read. */
  identity({ place, id }) {
    const { symbol, interval, exchangeName, timestamp } = this.rows[place];
    const named = { symbol, interval, exchangeName: exchangeName ?? EXCHANGE, timestamp, id };
    return hasPlainKey(named) ? named : null;
  }
}

/** Candles as columns, or null. A getter that throws does so again where they are read as documents, which names it. */
function fitted(candles, names) {
  try {
    return names === null ? columnsOf(candles, EXCHANGE) : columnsIn(names, candles);
  } catch {
    return null;
  }
}

/** Chunks of candles; `names`: the context of all of them, or null where each has its own. */
function chunksOf(candles, names) {
  const chunks = [];
  const size = memory.store ? LARGE : CHUNK;
  for (let at = 0; at < candles.length; at += size) {
    const chunk = candles.slice(at, at + size);
    const columns = fitted(chunk, names);
    chunks.push(columns === null ? new DocumentChunk(chunk, names) : new ColumnChunk(columns));
  }
  return chunks;
}

/** Notes the ids of rows. The embedded store has done so, as far as keys are wanted: here they are only told to who listens. */
function note(rows) {
  if (!memory.store) {
    return rememberAll(rows);
  }
  rows.forEach(saySet);
  return Promise.resolve();
}

/**
 * Stores candles, and their ids in Redis where `wanted` says so. Where one cannot be stored, none is. `names`: the context of all
 * of them, or null where each has its own.
 */
async function storeAll(candles, names, wanted) {
  ready();
  const ids = wanted && (!memory.store || listens(null));
  const chunks = chunksOf(candles, names);
  if (chunks.length > 1) {
    await Promise.all(chunks.filter((chunk) => chunk instanceof DocumentChunk).map((chunk) => chunk.check()));
  }
  let inserted = 0;
  let noted = Promise.resolve();
  const underWay = [];
  const end = async () => {
    const { chunk, storing } = underWay.shift();
    // The ids of the chunk before are written meanwhile.
    const stored = await storing;
    inserted += stored.inserted;
    await noted;
    if (ids) {
      noted = note(stored.ids.map((one) => chunk.identity(one)).filter((named) => named !== null));
      // It is awaited later; until then a failure must not count as unhandled.
      noted.catch(() => {});
    }
  };
  for (const chunk of chunks) {
    const storing = chunk.store(ids);
    storing.catch(() => {});
    underWay.push({ chunk, storing });
    if (underWay.length === (memory.store ? AT_ONCE : 1)) {
      await end();
    }
  }
  while (underWay.length > 0) {
    await end();
  }
  await noted;
  return fair({ inserted, existing: candles.length - inserted });
}

module.exports = { EXCHANGE, storeAll };

"use strict";
// Candles in bulk. They cross to Rust and back as columns of numbers; what does not fit into columns goes as documents.

const { log } = require("./base-crud.js");
const codec = require("./codec.js");
const { makeError } = require("./errors.js");
const { COLUMNS, NONE, OPS, ask, rowsOf } = require("./mongo.js");

/** Candles of one insert: bounds the memory, whatever the month. */
const CHUNK = 5_000;
/** Columns of a candle on its way to Rust, in the order of src/mongo/candles.rs. */
const GIVEN = ["timestamp", "open", "high", "low", "close", "volume"];
/** Numbers of a candle on its way back. */
const ANSWERED = 7;

/** A chunk as columns, or null where a candle is not all text and numbers. What is in columns can be stored. */
function columnsOf(dtos, exchange) {
  const numbers = new Float64Array(dtos.length * GIVEN.length);
  const which = new Uint32Array(dtos.length);
  const places = new Map();
  const texts = [];
  for (let i = 0; i < dtos.length; i++) {
    const dto = dtos[i];
    const { symbol, interval } = dto;
    const exchangeName = dto.exchangeName ?? exchange;
    if (typeof symbol !== "string" || typeof interval !== "string" || typeof exchangeName !== "string") {
      return null;
    }
    for (let column = 0; column < GIVEN.length; column++) {
      const number = dto[GIVEN[column]];
      if (typeof number !== "number" || Number.isNaN(number)) {
        return null;
      }
      numbers[i * GIVEN.length + column] = number;
    }
    // JSON keeps the three apart whatever characters they hold.
    const same = i > 0 && texts.length === 3 && texts[0] === symbol && texts[1] === interval && texts[2] === exchangeName;
    if (!same) {
      const name = JSON.stringify([symbol, interval, exchangeName]);
      if (!places.has(name)) {
        places.set(name, texts.length / 3);
        texts.push(symbol, interval, exchangeName);
      }
      which[i] = places.get(name);
    }
  }
  const { Binary } = codec();
  return { texts, which: new Binary(bytesOf(which)), numbers: new Binary(bytesOf(numbers)) };
}

const bytesOf = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength);

/** A dto as a document. What is undefined names nothing; what has no BSON form must not count as that. */
function documentOf(dto) {
  const { exchangeName } = dto;
  if (typeof exchangeName === "function" || typeof exchangeName === "symbol") {
    throw makeError("INVALID_VALUE", "TypeError", `candleDbService: exchangeName is a ${typeof exchangeName}`);
  }
  return Object.fromEntries(Object.entries(dto).filter(([, value]) => value !== undefined));
}

/** Candles of an answer in columns. */
function candlesOf({ bytes }, { symbol, interval, exchangeName, since, step }) {
  const count = bytes.length / (ANSWERED * 8 + 12);
  // A copy, because the numbers of a Float64Array must be aligned.
  const numbers = new Float64Array(Uint8Array.prototype.slice.call(bytes, 0, count * ANSWERED * 8).buffer);
  const ids = count * ANSWERED * 8;
  const { ObjectId } = codec();
  const hex = bytes.toString("hex", ids);
  const rows = new Array(count);
  for (let i = 0; i < count; i++) {
    const at = i * ANSWERED;
    const id = Uint8Array.prototype.slice.call(bytes, ids + i * 12, ids + i * 12 + 12);
    rows[i] = {
      _id: new ObjectId(id),
      exchangeName,
      interval,
      symbol,
      timestamp: since + i * step,
      __v: 0,
      close: numbers[at + 3],
      createDate: new Date(numbers[at + 5]),
      high: numbers[at + 1],
      low: numbers[at + 2],
      open: numbers[at],
      updatedDate: new Date(numbers[at + 6]),
      volume: numbers[at + 4],
      id: hex.slice(i * 24, i * 24 + 24),
    };
  }
  return rows;
}

/** Whether a candle is stored under exactly these values. */
function hasPlainKey({ symbol, interval, exchangeName, timestamp }) {
  return [symbol, interval, exchangeName].every((text) => typeof text === "string") && Number.isFinite(timestamp);
}

/** Milliseconds of each interval. */
const MINUTES = { "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480, "1d": 1440 };

/** The bulk methods of the candles' service. `remember` writes the ids of rows to the cache. */
function bulkMethods(number, exchange, remember) {
  /** The requests that write candles, a chunk each. Those that Rust would refuse are refused before anything is written. */
  async function requests(dtos) {
    const chunks = [];
    for (let at = 0; at < dtos.length; at += CHUNK) {
      const chunk = dtos.slice(at, at + CHUNK);
      chunks.push(columnsOf(chunk, exchange) ?? { rows: chunk.map(documentOf) });
    }
    if (chunks.length > 1) {
      await Promise.all(chunks.filter(({ rows }) => rows).map((chunk) => ask(OPS.candles, number, { ...chunk, check: true })));
    }
    return chunks;
  }

  /**
   * Writes the ids of a chunk to the cache. A key that was cast is left to the first read: what it became is not known
   * here.
   */
  function note(dtos, answer) {
    const ids = answer.bytes.toString("hex");
    const rows = dtos.map(({ symbol, interval, exchangeName, timestamp }, i) => {
      const id = ids.slice(i * 24, i * 24 + 24);
      return { symbol, interval, exchangeName: exchangeName ?? exchange, timestamp, id };
    });
    return remember(rows.filter(hasPlainKey));
  }

  return {
    async createMany(dtos) {
      if (!Array.isArray(dtos) || dtos.some((dto) => dto === null || typeof dto !== "object")) {
        throw makeError("INVALID_VALUE", "TypeError", "candleDbService.createMany: it takes an array of candles");
      }
      log(this, "log", "candleDbService createMany", { count: dtos.length });
      let inserted = 0;
      let noted = Promise.resolve();
      for (const [place, chunk] of (await requests(dtos)).entries()) {
        // The ids of the chunk before are written meanwhile.
        const answer = await ask(OPS.candles, number, chunk);
        inserted += answer.number;
        await noted;
        noted = note(dtos.slice(place * CHUNK, (place + 1) * CHUNK), answer);
        // It is awaited later; until then a failure must not count as unhandled.
        noted.catch(() => {});
      }
      await noted;
      return { inserted, existing: dtos.length - inserted };
    },

    async findRange(symbol, interval, exchangeName, sinceTimestamp, limit) {
      log(this, "log", "candleDbService findRange", { symbol, interval, exchangeName, sinceTimestamp, limit });
      const key = { symbol, interval, exchangeName, timestamp: Number(sinceTimestamp) };
      const answer = await ask(OPS.range, number, { k: key, limit });
      if (answer.kind === NONE) {
        return null;
      }
      if (answer.kind !== COLUMNS) {
        return rowsOf(answer);
      }
      const texts = { symbol: String(symbol), interval, exchangeName: String(exchangeName) };
      return candlesOf(answer, { ...texts, since: key.timestamp, step: MINUTES[interval] * 60_000 });
    },
  };
}

module.exports = { bulkMethods, documentOf };

"use strict";
// Candles as they cross to Rust and back: columns of numbers, and documents where they do not fit into columns.

const codec = require("../codec.js");
const { ID, NUMBERS } = require("./columns.js");
const { withCode } = require("../errors.js");
const { stored } = require("../given.js");

/** Columns of a candle on its way to Rust, in the order of src/mongo/candles.rs. */
const GIVEN = ["timestamp", ...NUMBERS];
/** Numbers of a candle on its way back. */
const ANSWERED = 7;

/**
 * A chunk as columns, or null where a candle is not all text and numbers. What is in columns can be stored. `texts` has names by
 * threes (symbol, interval, exchangeName), `which` says which three each candle has, `numbers` has six of each.
 */
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
    if (!putNumbers(numbers, i, dto)) {
      return null;
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
  return { texts, which, numbers };
}

/** The same of candles that have one context. */
function columnsIn({ symbol, interval, exchangeName }, candles) {
  if (typeof symbol !== "string" || typeof interval !== "string" || typeof exchangeName !== "string") {
    return null;
  }
  const numbers = new Float64Array(candles.length * GIVEN.length);
  for (let i = 0; i < candles.length; i++) {
    if (!putNumbers(numbers, i, candles[i])) {
      return null;
    }
  }
  return { texts: [symbol, interval, exchangeName], which: new Uint32Array(candles.length), numbers };
}

const isNumber = (value) => typeof value === "number" && !Number.isNaN(value);

/** Puts a candle's numbers into columns, in the order of `GIVEN`; false where one is none. Each is read once, by its name. */
function putNumbers(numbers, place, candle) {
  const { timestamp, open, high, low, close, volume } = candle;
  if (!isNumber(timestamp) || !isNumber(open) || !isNumber(high) || !isNumber(low) || !isNumber(close) || !isNumber(volume)) {
    return false;
  }
  const at = place * GIVEN.length;
  numbers[at] = timestamp;
  numbers[at + 1] = open;
  numbers[at + 2] = high;
  numbers[at + 3] = low;
  numbers[at + 4] = close;
  numbers[at + 5] = volume;
  return true;
}

/** The fields of a candle. */
const FIELDS = ["symbol", "interval", "exchangeName", ...GIVEN];

/**
 * A dto as a document; `names`: its context where it has none of its own. What is undefined names nothing; what has no BSON
 * form is refused, because it must not count as that. The fields are read by their names: an object of a class may have them
 * as getters, which are anybody's code.
 */
function documentOf(dto, names = null) {
  const document = {};
  for (const name of FIELDS) {
    let value;
    try {
      value = names !== null && name in names ? names[name] : dto[name];
    } catch (error) {
      throw withCode(error, "INVALID_VALUE", `candleDbService: reading ${name} of a candle failed`);
    }
    if (value !== undefined) {
      document[name] = stored(value, `candleDbService: ${name}`);
    }
  }
  return document;
}

/** Candles of an answer in columns. */
function candlesOf({ bytes }, { symbol, interval, exchangeName, since, step }) {
  const count = bytes.length / (ANSWERED * 8 + ID);
  // A copy, because the numbers of a Float64Array must be aligned.
  const numbers = new Float64Array(Uint8Array.prototype.slice.call(bytes, 0, count * ANSWERED * 8).buffer);
  const ids = count * ANSWERED * 8;
  const { ObjectId } = codec();
  const hex = bytes.toString("hex", ids);
  const rows = new Array(count);
  for (let i = 0; i < count; i++) {
    const at = i * ANSWERED;
    const id = Uint8Array.prototype.slice.call(bytes, ids + i * ID, ids + i * ID + ID);
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
      id: hex.slice(i * ID * 2, i * ID * 2 + ID * 2),
    };
  }
  return rows;
}

/** The fields of a candle's row in the order in which we store them, and the text of its id. */
const LAYOUT = [
  ...["_id", "exchangeName", "interval", "symbol", "timestamp", "__v", "close", "createDate", "high", "low", "open", "updatedDate"],
  ...["volume", "id"],
].join();

/** Id and dates of a row as columns hold them, or null where it is not exactly as we store it. */
function wholeOf(row) {
  const { ObjectId } = codec();
  const fits = Object.keys(row).join() === LAYOUT && row._id instanceof ObjectId && row.__v === 0;
  if (!fits || !NUMBERS.every((name) => typeof row[name] === "number") || !isDate(row.createDate) || !isDate(row.updatedDate)) {
    return null;
  }
  return { ids: row._id.id, at: 0, createDate: row.createDate.getTime(), updatedDate: row.updatedDate.getTime() };
}

const isDate = (value) => value instanceof Date;

module.exports = { GIVEN, candlesOf, columnsIn, columnsOf, documentOf, wholeOf };

"use strict";
// The calls of candleDbService. Candles that are in memory are not asked for, and not sent again.

const { log } = require("../logger-service.js");
const { EXCHANGE, storeAll } = require("./bulk.js");
const { HELD } = require("./cache.js");
const { NUMBERS } = require("./columns.js");
const { STEPS, onGrid } = require("./grid.js");
const { listens, sayRead, saySet } = require("./log.js");
const { memory } = require("./memory.js");
const { oddColumns } = require("./odd.js");
const { BYPASS, SHAPES, fetchOnce, read, shaped } = require("./reads.js");
const { candlesOf, documentOf, wholeOf } = require("./wire.js");
const { makeError } = require("../errors.js");
const { fair } = require("../fairness.js");
const { CANDLES, COLUMNS, NONE, OPS, ask, onlyRow, ready, rowsOf } = require("../mongo.js");

/** A range as rows, from the server; null where one is missing. */
async function askRange(symbol, interval, exchangeName, since, limit) {
  const key = { symbol, interval, exchangeName, timestamp: Number(since) };
  const answer = await ask(OPS.range, CANDLES, { k: key, limit });
  if (answer.kind === NONE) {
    return null;
  }
  if (answer.kind !== COLUMNS) {
    return rowsOf(answer);
  }
  const texts = { symbol: String(symbol), interval, exchangeName: String(exchangeName) };
  return candlesOf(answer, { ...texts, since: key.timestamp, step: STEPS.get(interval) });
}

/** What a window comes to in columns, whatever is in it. */
async function inColumns(method, shape, names, since, limit) {
  let found = await read(names.symbol, names.interval, names.exchangeName, since, limit, shape, false);
  if (found === BYPASS) {
    const timestamp = Number(since);
    const series = { ...names, step: STEPS.get(names.interval) };
    found = shaped(await fetchOnce(names, timestamp, limit, false), shape, timestamp, series);
    if (found === BYPASS) {
      found = await oddColumns(method, shape, series, timestamp, limit);
    }
  }
  return found;
}

/** The series and slot of a dto that columns could hold as it is, or null. */
function slotOf({ symbol, interval, exchangeName, timestamp, ...rest }) {
  const { cache } = memory;
  const step = STEPS.get(interval);
  const exchange = exchangeName ?? EXCHANGE;
  const plain = typeof symbol === "string" && typeof exchange === "string" && onGrid(timestamp, step);
  if (cache === null || step === undefined || !plain || !NUMBERS.every((name) => typeof rest[name] === "number" && !Number.isNaN(rest[name]))) {
    return null;
  }
  return { cache, series: cache.open(symbol, interval, exchange), slot: timestamp / step };
}

/** The request for a candle; the embedded store writes the key of its id where that is wanted. */
const requestOf = (dto) => (memory.store && memory.ids ? { dto, keys: true } : { dto });

/** Sends a candle; the row that is there afterwards. */
async function send(document, at) {
  if (at === null) {
    memory.cache?.voidAbsence();
    try {
      return onlyRow(await ask(OPS.candle, CANDLES, requestOf(document)));
    } finally {
      memory.cache?.voidAbsence();
    }
  }
  const { cache, series, slot } = at;
  const write = cache.begin();
  cache.claim(write, series, slot);
  try {
    write.done = ask(OPS.candle, CANDLES, requestOf(document));
    const row = onlyRow(await write.done);
    const whole = wholeOf(row);
    if (whole !== null) {
      cache.stored(write, series, slot, row, whole, true);
    }
    return row;
  } finally {
    cache.end(write);
  }
}

/** Notes the id of a row in the cache of ids. In the embedded store it is found without: who listens is told as if. */
async function note(access, row) {
  if (!memory.store || memory.ids) {
    await access.remember(row);
  } else if (row !== null) {
    saySet(row);
  }
}

/** The methods, over what reads and writes of a collection have in common; see `accessOf` in js/db-services.js. */
function candleMethods(access, { find, has }) {
  /** The arguments with the exchange, and those that the caller gave, by name. */
  function whole(args) {
    const [symbol, interval, ...rest] = args;
    if (args.length >= 4) {
      const [exchangeName, timestamp] = rest;
      return [args, { symbol, interval, exchangeName, timestamp }];
    }
    return [[symbol, interval, EXCHANGE, rest[0]], { symbol, interval, timestamp: rest[0] }];
  }

  /** The id of a candle in memory, or null. */
  function heldId([symbol, interval, exchangeName, timestamp]) {
    const step = STEPS.get(interval);
    const series = memory.cache?.find(symbol, interval, exchangeName);
    return series !== undefined && onGrid(timestamp, step) ? memory.cache.idOf(series, timestamp / step) : null;
  }

  function isHeld([symbol, interval, exchangeName, timestamp]) {
    const series = memory.cache?.find(symbol, interval, exchangeName);
    return series !== undefined && onGrid(timestamp, series.step) && memory.cache.look(series, timestamp / series.step, 1, false) === HELD;
  }

  /** The row of a key. The entries in the log are those of a read that goes through the cache of ids. */
  async function readRow(service, key) {
    const [symbol, interval, exchangeName, timestamp] = key;
    const id = listens(service) ? heldId(key) : null;
    // Without memory a row is read as all others are.
    const found = memory.cache === null ? BYPASS : read(symbol, interval, exchangeName, timestamp, 1, SHAPES.rows, false);
    if (found === BYPASS) {
      return access.read(service, key);
    }
    sayRead(service, key, id);
    const held = !(found instanceof Promise) || id !== null;
    const rows = await found;
    if (rows === BYPASS) {
      return access.read(service, key);
    }
    const row = rows === null ? null : rows[0];
    if (!held) {
      await note(access, row);
    }
    return row;
  }

  const methods = {
    async create(dto) {
      log(this, "log", "candleDbService create", { dto });
      if (dto === null || typeof dto !== "object") {
        throw makeError("INVALID_VALUE", "TypeError", "candleDbService.create: the candle is not an object");
      }
      const document = documentOf(dto);
      ready();
      const at = slotOf(document);
      if (at !== null && at.cache.known(at.series, at.slot) === true) {
        const { symbol, interval, exchangeName } = at.series;
        const rows = await read(symbol, interval, exchangeName, document.timestamp, 1, SHAPES.rows, false);
        if (rows !== null && rows !== BYPASS) {
          at.cache.counters.skippedWrites++;
          saySet(rows[0]);
          return rows[0];
        }
      }
      const created = await send(document, at);
      await note(access, created);
      return created;
    },

    async createMany(...args) {
      const [symbol, interval, exchangeName] = args;
      const names = args.length > 1 ? { symbol, interval, exchangeName } : null;
      const candles = names === null ? args[0] : args[3];
      if (!Array.isArray(candles) || candles.some((candle) => candle === null || typeof candle !== "object")) {
        throw makeError("INVALID_VALUE", "TypeError", "candleDbService.createMany: it takes an array of candles");
      }
      if (names !== null && exchangeName == null) {
        throw makeError("INVALID_CONTEXT", "TypeError", `candleDbService.createMany: exchangeName is ${exchangeName}; it must be a string`);
      }
      log(this, "log", "candleDbService createMany", { ...names, count: candles.length });
      return storeAll(candles, names, true);
    },

    async findRange(symbol, interval, exchangeName, sinceTimestamp, limit) {
      log(this, "log", "candleDbService findRange", { symbol, interval, exchangeName, sinceTimestamp, limit });
      const found = await read(symbol, interval, exchangeName, sinceTimestamp, limit, SHAPES.rows, false);
      return found === BYPASS ? askRange(symbol, interval, exchangeName, sinceTimestamp, limit) : found;
    },

    async findColumns(symbol, interval, exchangeName, sinceTimestamp, limit) {
      log(this, "log", "candleDbService findColumns", { symbol, interval, exchangeName, sinceTimestamp, limit });
      return inColumns("findColumns", SHAPES.columns, { symbol, interval, exchangeName }, sinceTimestamp, limit);
    },

    async findPresent(symbol, interval, exchangeName, sinceTimestamp, limit) {
      log(this, "log", "candleDbService findPresent", { symbol, interval, exchangeName, sinceTimestamp, limit });
      return inColumns("findPresent", SHAPES.present, { symbol, interval, exchangeName }, sinceTimestamp, limit);
    },

    forget(symbol, interval, exchangeName) {
      log(this, "log", "candleDbService forget", { symbol, interval, exchangeName });
      memory.cache?.forget(symbol, interval, exchangeName);
    },

    async [has](...args) {
      const [key, given] = whole(args);
      log(this, "log", `candleDbService ${has}`, given);
      if (isHeld(key)) {
        memory.cache.counters.hits++;
        return fair(true);
      }
      return (await access.has(key)) || (await methods[find].apply(this, args)) !== null;
    },

    async [find](...args) {
      const [key, given] = whole(args);
      log(this, "log", `candleDbService ${find}`, given);
      return readRow(this, key);
    },
  };
  return methods;
}

module.exports = { askRange, candleMethods };

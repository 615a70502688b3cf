"use strict";
// What the candle cache is made of: series, their blocks, and the order in which blocks were used.

const { Columns } = require("./columns.js");
const { BLOCK, STEPS } = require("./grid.js");

/** Bytes of a block: its bitmaps and objects; its numbers; ids and dates; the times of absence. */
const [BASE, NUMBERS, ROWS, ABSENCE] = [1_024, 40 * BLOCK, 28 * BLOCK, 8 * BLOCK];

/** Bytes of a block that holds candles, without and with ids and dates. */
const bytesOf = (rows) => BASE + NUMBERS + (rows ? ROWS : 0);

/** The candles of one exchange, symbol and interval. */
class Series {
  constructor(symbol, interval, exchangeName, step) {
    this.symbol = symbol;
    this.interval = interval;
    this.exchangeName = exchangeName;
    /** Milliseconds from one slot to the next. */
    this.step = step;
    this.blocks = new Map();
    /** Questions under way. */
    this.asks = new Set();
    /** Slots that are being written, and by which write; and whole stretches: `{ write, from, to }`. */
    this.writing = new Map();
    this.runs = [];
    /** How often a write began or ended here. */
    this.writes = 0;
    /** The slot that was read last, and the block that was last fetched, or thought of, beforehand. */
    this.before = NaN;
    this.ahead = NaN;
    /** The last long window that was answered without being remembered, `{ from, to }`, or null. */
    this.passed = null;
  }

  get idle() {
    return this.passed === null && this.blocks.size === 0 && this.asks.size === 0 && this.writing.size === 0 && this.runs.length === 0;
  }

  /** The write under way that has a slot, or null. */
  writerOf(slot) {
    return this.writing.get(slot) ?? this.runs.find(({ from, to }) => slot >= from && slot < to)?.write ?? null;
  }

  /** Whether any slot of a stretch is being written. */
  isBeingWritten(from, to) {
    if (this.runs.some((run) => run.from < to && run.to > from)) {
      return true;
    }
    for (const slot of this.writing.keys()) {
      if (slot >= from && slot < to) {
        return true;
      }
    }
    return false;
  }
}

class Block extends Columns {
  constructor(series, index) {
    super(BLOCK);
    this.series = series;
    this.index = index;
    /** Whether all of it was asked for once: the numbers, the rows. */
    this.asked = false;
    this.askedRows = false;
    /** When the question was sent that found a slot absent; null: none was. */
    this.absentSince = null;
    /** Bytes that are accounted for. */
    this.bytes = 0;
    this.newer = null;
    this.older = null;
  }

  /** Bytes that it takes now. */
  get weight() {
    return BASE + (this.hasNumbers ? NUMBERS : 0) + (this.hasRows ? ROWS : 0) + (this.absentSince === null ? 0 : ABSENCE);
  }

  /** Notes that a slot was absent when a question was sent. */
  miss(place, sent) {
    this.absentSince ??= new Float64Array(BLOCK).fill(-Infinity);
    this.absentSince[place] = sent;
  }

  /** Absence of a stretch of slots is void. */
  expect(from, to) {
    this.absentSince?.fill(-Infinity, from, to);
  }
}

/** Blocks in the order of their use. */
class Recency {
  constructor() {
    this.newest = null;
    this.oldest = null;
  }

  use(block) {
    if (block === this.newest) {
      return;
    }
    this.remove(block);
    block.older = this.newest;
    if (this.newest !== null) {
      this.newest.newer = block;
    }
    this.newest = block;
    this.oldest ??= block;
  }

  /** Takes a block out, if it is in. */
  remove(block) {
    const { newer, older } = block;
    if (newer !== null) {
      newer.older = older;
    } else if (block === this.newest) {
      this.newest = older;
    }
    if (older !== null) {
      older.newer = newer;
    } else if (block === this.oldest) {
      this.oldest = newer;
    }
    block.newer = block.older = null;
  }
}

/** Series by exchange, symbol and interval: maps in maps, because names are compared and never joined. */
class Registry {
  constructor() {
    this.exchanges = new Map();
    /** The one that was asked for last. */
    this.last = null;
  }

  find(symbol, interval, exchangeName) {
    const { last } = this;
    if (last !== null && last.symbol === symbol && last.interval === interval && last.exchangeName === exchangeName) {
      return last;
    }
    const series = this.exchanges.get(exchangeName)?.get(symbol)?.get(interval);
    if (series !== undefined) {
      this.last = series;
    }
    return series;
  }

  open(symbol, interval, exchangeName) {
    let series = this.find(symbol, interval, exchangeName);
    if (series === undefined) {
      series = new Series(symbol, interval, exchangeName, STEPS.get(interval));
      inner(inner(this.exchanges, exchangeName), symbol).set(interval, series);
    }
    return series;
  }

  /** Lets go of a series of which nothing is known. Who has waited opens it anew. */
  tidy(series) {
    const { symbol, interval, exchangeName } = series;
    const symbols = this.exchanges.get(exchangeName);
    const intervals = symbols?.get(symbol);
    if (!series.idle || intervals?.get(interval) !== series) {
      return;
    }
    intervals.delete(interval);
    if (intervals.size === 0) {
      symbols.delete(symbol);
    }
    if (symbols.size === 0) {
      this.exchanges.delete(exchangeName);
    }
    if (this.last === series) {
      this.last = null;
    }
  }

  *all() {
    for (const symbols of this.exchanges.values()) {
      for (const intervals of symbols.values()) {
        yield* intervals.values();
      }
    }
  }
}

/** The map under a key of a map, made where there is none. */
function inner(map, key) {
  let found = map.get(key);
  if (found === undefined) {
    found = new Map();
    map.set(key, found);
  }
  return found;
}

module.exports = { Block, Recency, Registry, bytesOf };

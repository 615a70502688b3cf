"use strict";
// The rules of the candle cache: what may be remembered, what must be asked for, what is forgotten when. No I/O, no clock.
//
// A stored candle does not change (the first write wins), so remembering candles needs no protocol. But an answer may be
// remembered only if nothing of ours has changed or deleted rows since the question. Hence generations: whatever empties
// the cache raises the generation, and an answer of an older one fills nothing.

const { Block, Recency, Registry, bytesOf } = require("./block.js");
const { BLOCK, MINUTE, blockOf, placeOf, stretches } = require("./grid.js");

/** What there is to say of a window: all of it is held; the server must be asked, whatever is held; something is missing. */
const [HELD, ODD, MISSING] = [0, 1, 2];
/** A range that takes more than this part of the bound is answered without filling. */
const QUARTER = 4;

class CandleCache {
  /** `maxBytes`: the bound; `absenceMs`: how long absence is remembered, 0 never; `counters`: goes on counting in there. */
  constructor({ maxBytes, absenceMs, counters = newCounters() }) {
    this.maxBytes = maxBytes;
    this.absenceMs = absenceMs;
    this.counters = counters;
    this.generation = 0;
    this.bytes = 0;
    this.blocks = 0;
    this.candles = 0;
    this.registry = new Registry();
    this.recency = new Recency();
  }

  /** A series, if anything is known of it. */
  find(symbol, interval, exchangeName) {
    return this.registry.find(symbol, interval, exchangeName);
  }

  /** A series; the names are text, the interval is a known one. */
  open(symbol, interval, exchangeName) {
    return this.registry.open(symbol, interval, exchangeName);
  }

  /** The stretches of a window, block by block, until `see` returns true. Whether it did. */
  some(series, first, limit, see) {
    return stretches(first, limit, (index, from, to) => see(series.blocks.get(index), from, to, index));
  }

  /** What there is to say of a window. What is held counts as used. */
  look(series, first, limit, rows) {
    const from = placeOf(first);
    // Most windows are short, and within one block.
    if (from + limit <= BLOCK) {
      return this.lookAt(series.blocks.get(blockOf(first)), from, from + limit, rows);
    }
    let what = HELD;
    this.some(series, first, limit, (block, start, to) => {
      what = this.lookAt(block, start, to, rows);
      return what !== HELD;
    });
    return what;
  }

  lookAt(block, from, to, rows) {
    if (block === undefined) {
      return MISSING;
    }
    if (block.isOdd(from, to, rows)) {
      return ODD;
    }
    if (!block.holds(from, to, rows)) {
      return MISSING;
    }
    this.recency.use(block);
    return HELD;
  }

  /** Whether a slot of a window is remembered to be absent. */
  absent(series, first, limit, elapsed) {
    const since = elapsed - this.absenceMs;
    return this.some(series, first, limit, (block, from, to) => {
      const times = block?.absentSince ?? null;
      for (let place = from; times !== null && place < to; place++) {
        if (times[place] > since) {
          return true;
        }
      }
      return false;
    });
  }

  /** Whether what a range of so many candles brings may be remembered. */
  keeps(limit, rows) {
    const whole = bytesOf(rows);
    return whole <= this.maxBytes && (limit * whole) / BLOCK <= this.maxBytes / QUARTER;
  }

  /**
   * Whether a long window is answered without being remembered: nothing of it is held, and the last such window of its series
   * was another stretch.
   */
  passes({ symbol, interval, exchangeName }, first, limit) {
    const series = this.find(symbol, interval, exchangeName);
    if (series === undefined) {
      return true;
    }
    const { passed } = series;
    const again = passed !== null && first < passed.to && passed.from < first + limit;
    return !again && !this.some(series, first, limit, (block) => block !== undefined);
  }

  /** A long window was answered so. */
  passed({ symbol, interval, exchangeName }, first, limit) {
    this.open(symbol, interval, exchangeName).passed = { from: first, to: first + limit };
  }

  /**
   * What must be asked for a window that misses something: questions, which are under way from now on, and those under way
   * that may bring it, unless `join` is false. `remember`: who asks may be told of absence that is remembered. Then a question
   * reaches to the end of its block: the same round trip says what it says of the next windows too.
   */
  questions(series, first, limit, { rows, remember, join = true }, clock) {
    const asks = [];
    const joins = [];
    const under = [...series.asks];
    this.some(series, first, limit, (block, from, to, index) => {
      const missing = missingOf(block, from, to, rows);
      const joined = join && under.find((ask) => ask.index === index && this.covers(ask, missing, rows));
      if (missing.length === 0) {
        return;
      }
      if (joined) {
        joins.push(joined);
      } else if (block === undefined || !(rows ? block.askedRows : block.asked)) {
        asks.push(this.ask(series, { index, from: 0, to: BLOCK, places: null, rows, whole: true, remember }, clock));
      } else {
        const places = remember ? missingOf(block, from, BLOCK, rows) : missing;
        const [start, end] = [places[0], places.at(-1) + 1];
        const gaps = places.length < end - start;
        asks.push(this.ask(series, { index, from: start, to: end, places: gaps ? places : null, rows, whole: false, remember }, clock));
      }
    });
    return { asks, joins };
  }

  /** Whether a question under way may bring those slots. */
  covers(ask, places, rows) {
    const within = places[0] >= ask.from && places.at(-1) < ask.to && (ask.rows || !rows);
    return within && (ask.places === null || places.every((place) => ask.places.includes(place)));
  }

  /**
   * The question for the block behind a window, where reads go forward and it was not asked for; or null. It never reaches
   * beyond the present.
   */
  ahead(series, first, limit, rows, remember, clock) {
    const forward = first > series.before && first - series.before <= BLOCK;
    const last = first + limit - 1;
    series.before = first;
    if (!forward || placeOf(last) < BLOCK / 2) {
      return null;
    }
    const index = blockOf(last) + 1;
    if (series.ahead === index || this.maxBytes < QUARTER * bytesOf(rows)) {
      return null;
    }
    const to = Math.min(BLOCK, Math.floor(clock.present() / series.step) + 1 - index * BLOCK);
    if (to <= 0) {
      return null;
    }
    series.ahead = index;
    const block = series.blocks.get(index);
    const known = rows ? block?.askedRows : block?.asked;
    if (known || block?.holds(0, to, rows) || [...series.asks].some((ask) => ask.index === index)) {
      return null;
    }
    this.counters.readAheads++;
    return this.ask(series, { index, from: 0, to, places: null, rows, whole: true, remember }, clock);
  }

  /** A question is sent. */
  ask(series, what, clock) {
    const at = { generation: this.generation, sent: clock.elapsed(), present: clock.present(), writes: series.writes };
    const ask = { ...what, ...at, series, done: null, hold: null };
    series.asks.add(ask);
    this.counters.queries++;
    return ask;
  }

  /** A question has failed, or is answered. */
  finish(ask) {
    ask.series.asks.delete(ask);
    this.registry.tidy(ask.series);
  }

  /** A question is answered. */
  fill(ask, answer) {
    const { series, rows } = ask;
    if (ask.generation !== this.generation) {
      this.counters.dropped++;
      this.finish(ask);
      return;
    }
    const block = this.blockFor(series, ask.index);
    const fresh = block.take(answer, ask.from, rows);
    this.candles += fresh;
    this.counters.fills += fresh;
    if (ask.whole) {
      block.asked = true;
      block.askedRows ||= rows;
    }
    if (ask.remember && this.absenceMs > 0 && ask.writes === series.writes) {
      this.noteAbsence(ask, block);
    }
    this.weigh(block);
    this.finish(ask);
  }

  /** All of a block, as the store holds it now; see `Columns.adopt`. */
  replace(series, index, buffer, rows) {
    const block = this.blockFor(series, index);
    const fresh = block.adopt(buffer, rows);
    block.absentSince = null;
    this.candles += fresh;
    this.counters.fills += Math.max(fresh, 0);
    this.weigh(block);
    return block;
  }

  /**
   * What an answer did not bring was absent when it was asked for. It is remembered only of candles that were over for a minute
   * then, and that nobody of ours is writing or has written since.
   */
  noteAbsence({ series, index, from, to, places, sent, present }, block) {
    const over = Math.floor((present - MINUTE) / series.step) - 1 - index * BLOCK;
    const note = (place) => {
      if (place <= over && !block.has(place, false) && !block.isOdd(place, place + 1, false) && series.writerOf(index * BLOCK + place) === null) {
        block.miss(place, sent);
      }
    };
    if (places !== null) {
      places.forEach(note);
      return;
    }
    for (let place = from; place < to; place++) {
      note(place);
    }
  }

  /** A write that begins; the edge sets what it comes to. Slots are added as it claims them. */
  begin() {
    return { generation: this.generation, claims: [], runs: [], done: null };
  }

  /** What is known of a slot that is to be written: true, it is there; the write under way that has it; or null. */
  known(series, slot) {
    const block = series.blocks.get(blockOf(slot));
    const place = placeOf(slot);
    if (block?.has(place, false)) {
      this.recency.use(block);
      return true;
    }
    return series.writerOf(slot);
  }

  /** Whether nothing is known of a stretch of slots, and nobody is writing any of it. */
  isFree(series, first, count) {
    const known = this.some(series, first, count, (block, from, to) => block !== undefined && block.hasAny(from, to));
    return !known && !series.isBeingWritten(first, first + count);
  }

  /** A write has a slot. */
  claim(write, series, slot) {
    write.claims.push([series, slot]);
    if (!series.writing.has(slot)) {
      series.writing.set(slot, write);
    }
    this.touched(series, slot, 1);
  }

  /** A write has a stretch of slots, which is free. */
  claimRun(write, series, first, count) {
    const run = { write, from: first, to: first + count };
    write.runs.push([series, run]);
    series.runs.push(run);
    this.touched(series, first, count);
  }

  /** What was known of the absence of slots is void, and what is being asked about absence in their series. */
  touched(series, first, count) {
    series.writes++;
    this.some(series, first, count, (block, from, to) => block?.expect(from, to));
  }

  /**
   * A write has stored a slot, as the server has confirmed of this very command; or it was answered with the row that is
   * there. `row` has `{ ids, at, createDate, updatedDate }`; without `rows` it is kept only where there is room for it already.
   */
  stored(write, series, slot, { open, high, low, close, volume }, row, rows) {
    if (write.generation !== this.generation) {
      this.counters.dropped++;
      return;
    }
    if (bytesOf(rows) > this.maxBytes) {
      return;
    }
    const block = this.blockFor(series, blockOf(slot));
    const place = placeOf(slot);
    const fresh = Number(!block.has(place, false));
    const whole = (rows || block.hasRows) && !block.has(place, true);
    // Id and dates never stand beside the numbers of another answer.
    if (whole || fresh) {
      block.put(place, open, high, low, close, volume);
    }
    if (whole) {
      block.putRow(place, row.ids, row.at, row.createDate, row.updatedDate);
    }
    this.candles += fresh;
    this.counters.fills += fresh;
    this.weigh(block);
  }

  /** The same of a whole stretch, of which all was stored: six numbers a candle, timestamp first, from a place on. */
  storedRun(write, series, first, count, numbers) {
    if (write.generation !== this.generation) {
      this.counters.dropped++;
      return;
    }
    if (!this.keeps(count, false)) {
      return;
    }
    let at = 0;
    this.some(series, first, count, (_, from, to, index) => {
      const block = this.blockFor(series, index);
      const fresh = block.putRun(from, to, numbers, at);
      at += to - from;
      this.candles += fresh;
      this.counters.fills += fresh;
      this.weigh(block);
    });
  }

  /** The text of the id of a slot, or null where it is not held. */
  idOf(series, slot) {
    const block = series.blocks.get(blockOf(slot));
    const place = placeOf(slot);
    return block !== undefined && block.has(place, true) ? block.idOf(place) : null;
  }

  /** A write is over, however it ended. Whatever has emptied the cache meanwhile, absence that was seen before is void. */
  end(write) {
    for (const [series, slot] of write.claims) {
      if (series.writing.get(slot) === write) {
        series.writing.delete(slot);
      }
      const now = this.find(series.symbol, series.interval, series.exchangeName);
      if (now !== undefined) {
        this.touched(now, slot, 1);
      }
      this.registry.tidy(series);
    }
    for (const [series, run] of write.runs) {
      series.runs = series.runs.filter((one) => one !== run);
      const now = this.find(series.symbol, series.interval, series.exchangeName);
      if (now !== undefined) {
        this.touched(now, run.from, run.to - run.from);
      }
      this.registry.tidy(series);
    }
  }

  /** Something is written whose slots nobody can tell, or was: what is known of absence is void. */
  voidAbsence() {
    for (const series of this.registry.all()) {
      series.writes++;
      for (const block of series.blocks.values()) {
        block.absentSince = null;
        this.weigh(block);
      }
    }
  }

  /** Forgets everything. */
  empty() {
    this.forget();
  }

  /** Forgets what fits all that is named; nothing named is everything. */
  forget(symbol, interval, exchangeName) {
    this.generation++;
    const fits = (name, asked) => asked === undefined || name === asked;
    for (const series of [...this.registry.all()]) {
      if (fits(series.symbol, symbol) && fits(series.interval, interval) && fits(series.exchangeName, exchangeName)) {
        for (const block of series.blocks.values()) {
          this.drop(block);
        }
        series.blocks.clear();
        series.asks.clear();
        series.writing.clear();
        series.runs = [];
        series.passed = null;
        this.registry.tidy(series);
      }
    }
  }

  blockFor(series, index) {
    let block = series.blocks.get(index);
    if (block === undefined) {
      block = new Block(series, index);
      series.blocks.set(index, block);
      this.blocks++;
    }
    this.recency.use(block);
    return block;
  }

  /** Accounts for a block's growth, and makes room. */
  weigh(block) {
    this.bytes += block.weight - block.bytes;
    block.bytes = block.weight;
    while (this.bytes > this.maxBytes && this.recency.oldest !== null) {
      const { oldest } = this.recency;
      this.drop(oldest);
      oldest.series.blocks.delete(oldest.index);
      this.registry.tidy(oldest.series);
      this.counters.evictions++;
    }
  }

  /** Takes a block out of the accounts. */
  drop(block) {
    this.recency.remove(block);
    this.bytes -= block.bytes;
    this.candles -= block.count;
    this.blocks--;
  }

  /** Counters, and what is held now. */
  stats() {
    const { counters, candles, blocks, bytes } = this;
    return { ...counters, candles, blocks, bytes };
  }
}

/** The places of a stretch that are not held, and of which it is not known that they cannot be. */
function missingOf(block, from, to, rows) {
  const places = [];
  for (let place = from; place < to; place++) {
    if (block === undefined || (!block.has(place, rows) && !block.isOdd(place, place + 1, rows))) {
      places.push(place);
    }
  }
  return places;
}

function newCounters() {
  return { hits: 0, misses: 0, queries: 0, readAheads: 0, fills: 0, dropped: 0, absences: 0, skippedWrites: 0, evictions: 0 };
}

module.exports = { CandleCache, HELD, MISSING, ODD };

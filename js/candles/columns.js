"use strict";
// Candles as columns of numbers, slot by slot, and what is made of them. It knows nothing of where they come from.

const codec = require("../codec.js");

/** The columns that every candle has, in the order in which they come from Rust. */
const NUMBERS = ["open", "high", "low", "close", "volume"];
/** Bytes of an id. */
const ID = 12;
/** What fits of a row, as in src/mongo/candle_window.rs. */
const [NUMBERS_FIT, ROW_FITS] = [1, 2];
/** The offset of a row whose moment cannot be told. */
const NOWHERE = 0xffffffff;

const isSet = (bits, slot) => ((bits[slot >>> 5] >>> (slot & 31)) & 1) === 1;

function set(bits, slot) {
  bits[slot >>> 5] |= 1 << (slot & 31);
}

/** Whether all bits from a slot on, up to another, are set; by words where there are many. */
function allSet(bits, from, to) {
  for (let slot = from; slot < to; ) {
    if ((slot & 31) === 0 && to - slot >= 32) {
      if (bits[slot >>> 5] !== -1) {
        return false;
      }
      slot += 32;
    } else if (!isSet(bits, slot++)) {
      return false;
    }
  }
  return true;
}

/** Whether any of them is. */
function anySet(bits, from, to) {
  for (let slot = from; slot < to; ) {
    if ((slot & 31) === 0 && to - slot >= 32) {
      if (bits[slot >>> 5] !== 0) {
        return true;
      }
      slot += 32;
    } else if (isSet(bits, slot++)) {
      return true;
    }
  }
  return false;
}

/** Sets all bits from a slot on, up to another; how many of them were not set. */
function setAll(bits, from, to) {
  let fresh = 0;
  for (let slot = from; slot < to; ) {
    if ((slot & 31) === 0 && to - slot >= 32) {
      fresh += 32 - ones(bits[slot >>> 5]);
      bits[slot >>> 5] = -1;
      slot += 32;
    } else {
      fresh += Number(!isSet(bits, slot));
      set(bits, slot++);
    }
  }
  return fresh;
}

/** How many bits of a word are set. */
function ones(word) {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Puts candles of a stretch of columns that have all of them into an array, from a place on. */
function addCandles(list, at, { open, high, low, close, volume }, from, to, timestamp, step) {
  for (let slot = from; slot < to; slot++) {
    list[at++] = { timestamp, open: open[slot], high: high[slot], low: low[slot], close: close[slot], volume: volume[slot] };
    timestamp += step;
  }
}

/** So many slots. Memory for numbers, and for ids and dates, is taken when the first of them is put in. */
class Columns {
  constructor(size) {
    const words = (size + 31) >>> 5;
    const bits = new Int32Array(words * 4);
    this.size = size;
    /** The numbers are held. */
    this.known = bits.subarray(0, words);
    /** So are id and dates. */
    this.whole = bits.subarray(words, words * 2);
    /** The row's numbers do not fit: the server must be asked for it. */
    this.odd = bits.subarray(words * 2, words * 3);
    /** The numbers fit, the row is not as we write it: the server must be asked for rows. */
    this.oddRow = bits.subarray(words * 3);
    /** Whether any slot is odd. */
    this.oddities = false;
    /** Nothing of it can be relied on: there are rows whose moment cannot be told. */
    this.unreliable = false;
    /** How many candles are held. */
    this.count = 0;
    this.hasNumbers = false;
    this.hasRows = false;
    this.open = this.high = this.low = this.close = this.volume = null;
    this.ids = this.createDates = this.updatedDates = null;
  }

  /** Whether all slots of a stretch are held; `rows`: with ids and dates. */
  holds(from, to, rows) {
    return allSet(rows ? this.whole : this.known, from, to);
  }

  has(slot, rows) {
    return isSet(rows ? this.whole : this.known, slot);
  }

  /** Whether the server must be asked for a slot of a stretch, whatever is held. */
  isOdd(from, to, rows) {
    return this.unreliable || (this.oddities && (anySet(this.odd, from, to) || (rows && anySet(this.oddRow, from, to))));
  }

  /** Notes that a slot does not fit; `row`: only ids and dates do not. */
  mark(slot, row) {
    set(row ? this.oddRow : this.odd, slot);
    this.oddities = true;
  }

  /** Whether any slot of a stretch is held. */
  hasAny(from, to) {
    return anySet(this.known, from, to);
  }

  /** Takes memory for the numbers. */
  make() {
    if (!this.hasNumbers) {
      const all = new Float64Array(this.size * NUMBERS.length);
      NUMBERS.forEach((name, i) => (this[name] = all.subarray(i * this.size, (i + 1) * this.size)));
      this.hasNumbers = true;
    }
  }

  /**
   * Numbers of a stretch of slots, six a candle (timestamp first) from a candle of an array on; what is held already stays. How
   * many are new.
   */
  putRun(from, to, numbers, candle) {
    this.make();
    const { open, high, low, close, volume } = this;
    const some = this.hasAny(from, to);
    for (let slot = from, at = candle * (NUMBERS.length + 1); slot < to; slot++, at += NUMBERS.length + 1) {
      if (some && isSet(this.known, slot)) {
        continue;
      }
      open[slot] = numbers[at + 1];
      high[slot] = numbers[at + 2];
      low[slot] = numbers[at + 3];
      close[slot] = numbers[at + 4];
      volume[slot] = numbers[at + 5];
    }
    const fresh = setAll(this.known, from, to);
    this.count += fresh;
    return fresh;
  }

  /**
   * Takes the memory that a block of the store was read into, in place of all that is held; see src/store/columns.rs. `rows`: with
   * ids and dates. How many candles are more than before.
   */
  adopt(buffer, rows) {
    const { size } = this;
    const before = this.count;
    const bitmap = new Int32Array(buffer, 0, this.known.length);
    let at = bitmap.byteLength;
    const column = () => {
      const numbers = new Float64Array(buffer, at, size);
      at += numbers.byteLength;
      return numbers;
    };
    this.known.set(bitmap);
    this.count = bitmap.reduce((sum, word) => sum + ones(word), 0);
    this.odd.fill(0);
    this.oddRow.fill(0);
    this.oddities = this.unreliable = false;
    NUMBERS.forEach((name) => (this[name] = column()));
    this.hasNumbers = true;
    this.hasRows = rows;
    if (rows) {
      this.whole.set(bitmap);
      this.createDates = column();
      this.updatedDates = column();
      this.ids = new Uint8Array(buffer, at, size * ID);
    } else {
      this.whole.fill(0);
      this.createDates = this.updatedDates = this.ids = null;
    }
    return this.count - before;
  }

  put(slot, open, high, low, close, volume) {
    this.make();
    this.open[slot] = open;
    this.high[slot] = high;
    this.low[slot] = low;
    this.close[slot] = close;
    this.volume[slot] = volume;
    if (!isSet(this.known, slot)) {
      set(this.known, slot);
      this.count++;
    }
  }

  /** Id (its bytes from a place of an array) and dates, in milliseconds, of a slot whose numbers are held. */
  putRow(slot, ids, at, createDate, updatedDate) {
    if (!this.hasRows) {
      this.ids = new Uint8Array(this.size * ID);
      this.createDates = new Float64Array(this.size);
      this.updatedDates = new Float64Array(this.size);
      this.hasRows = true;
    }
    for (let i = 0; i < ID; i++) {
      this.ids[slot * ID + i] = ids[at + i];
    }
    this.createDates[slot] = createDate;
    this.updatedDates[slot] = updatedDate;
    set(this.whole, slot);
  }

  /**
   * Takes what an answer brings, whose first slot is `shift` here. What is held already stays as it is, but gets its id and
   * dates. `rows`: the answer has those. How many candles are new.
   */
  take({ numbers, offsets, ids, fits }, shift, rows) {
    const stride = rows ? NUMBERS.length + 2 : NUMBERS.length;
    let fresh = 0;
    for (let i = 0, at = 0; i < offsets.length; i++, at += stride) {
      if (offsets[i] === NOWHERE) {
        this.unreliable = true;
      }
      const slot = offsets[i] + shift;
      if (slot < 0 || slot >= this.size) {
        continue;
      }
      if ((fits[i] & NUMBERS_FIT) === 0) {
        this.mark(slot, false);
        continue;
      }
      const whole = rows && (fits[i] & ROW_FITS) !== 0 && !isSet(this.whole, slot);
      fresh += Number(!isSet(this.known, slot));
      // Id and dates never stand beside the numbers of another answer.
      if (whole || !isSet(this.known, slot)) {
        this.put(slot, numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3], numbers[at + 4]);
      }
      if (whole) {
        this.putRow(slot, ids, i * ID, numbers[at + 5], numbers[at + 6]);
      } else if (rows && !isSet(this.whole, slot)) {
        this.mark(slot, true);
      }
    }
    return fresh;
  }

  /** Takes what another one knows of a stretch, from a slot of this one on. */
  copy(at, other, from, end, rows) {
    this.unreliable ||= other.unreliable;
    for (let slot = from, to = at; slot < end; slot++, to++) {
      if (other.isOdd(slot, slot + 1, rows)) {
        this.mark(to, !isSet(other.odd, slot));
      }
      const whole = rows && isSet(other.whole, slot) && !isSet(this.whole, to);
      // As in take(): what one answer has brought is not mixed with another's.
      if (whole || (isSet(other.known, slot) && !isSet(this.known, to))) {
        this.put(to, other.open[slot], other.high[slot], other.low[slot], other.close[slot], other.volume[slot]);
      }
      if (whole) {
        this.putRow(to, other.ids, slot * ID, other.createDates[slot], other.updatedDates[slot]);
      }
    }
  }

  /** Appends rows of a stretch that is held, ids and dates too; `of` has what they share. */
  rows(list, at, from, to, timestamp, { exchangeName, interval, symbol, step }) {
    const { ObjectId } = codec();
    const hex = Buffer.from(this.ids.buffer, this.ids.byteOffset + from * ID, (to - from) * ID).toString("hex");
    for (let slot = from; slot < to; slot++) {
      const text = (slot - from) * ID * 2;
      list[at++] = {
        // Copies, because who has a row may change it.
        _id: new ObjectId(this.ids.slice(slot * ID, slot * ID + ID)),
        exchangeName,
        interval,
        symbol,
        timestamp,
        __v: 0,
        close: this.close[slot],
        createDate: new Date(this.createDates[slot]),
        high: this.high[slot],
        low: this.low[slot],
        open: this.open[slot],
        updatedDate: new Date(this.updatedDates[slot]),
        volume: this.volume[slot],
        id: hex.slice(text, text + ID * 2),
      };
      timestamp += step;
    }
  }

  /** The text of a slot's id. */
  idOf(slot) {
    return Buffer.from(this.ids.buffer, this.ids.byteOffset + slot * ID, ID).toString("hex");
  }
}

module.exports = { Columns, ID, NUMBERS, addCandles };

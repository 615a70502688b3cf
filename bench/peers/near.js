"use strict";

// The cases of the near cache, the same for every peer: rows under the keys of two services, a mixed load, and keys that
// nobody has read before.

const data = require("./data.js");

const { NEAR_KEYS, COLD_KEYS, KEYS, VALUE, EXCHANGE } = data;
// Peers that share a server must not read what another has written.
const STRATEGY = `near_${process.pid}`;
const AT_ONCE = 100;
const WRITE_EVERY = 100;

const list = (count, make) => Array.from({ length: count }, (_, i) => make(i));
const signals = list(NEAR_KEYS, (i) => ({ symbol: `SYM${i}`, strategyName: STRATEGY, exchangeName: EXCHANGE }));
const candles = list(KEYS, (i) => ({ symbol: `SYM${i}`, interval: "1m", exchangeName: EXCHANGE, timestamp: 1_767_600_000_000 + i * 60_000 }));
const candleRows = candles.map((row) => ({ ...row, id: VALUE }));
const coldSymbols = list(COLD_KEYS, (i) => `COLD${i}`);

// For the bare clients, which get them ready-made.
const signalKeys = signals.map(({ symbol }) => `signal_cache:${EXCHANGE}:${STRATEGY}:${symbol}`);
const candleKeys = candles.map(({ symbol, interval, timestamp }) => `candle_cache:${EXCHANGE}:${symbol}:${interval}:${timestamp}`);
const coldKeys = coldSymbols.map((symbol) => `signal_cache:${EXCHANGE}:${data.COLD_STRATEGY}:${symbol}`);

// Ids that change: a prime number of them, so that a key hardly ever gets the one that it has.
const ids = list(997, (i) => `6745a1b2c3d4e5f6071${String(i).padStart(5, "0")}`);

/** `calls`: get(i), set(i, id), has(i), setCandle(i), cold(i). */
function nearOps({ get, set, has, setCandle, cold }) {
  // What every key must hold now.
  const last = new Array(NEAR_KEYS).fill(VALUE);
  let seed = 1;
  let mixed = 0;
  let writes = 0;
  let unread = 0;

  async function inBatches(count, call) {
    for (let from = 0; from < count; from += AT_ONCE) await Promise.all(list(Math.min(AT_ONCE, count - from), (i) => call(from + i)));
  }

  return {
    ops: {
      getSignalId: get,
      hasCandleId: has,
      /** 99 reads and a write of a new id, over all keys in random order. */
      mixed() {
        seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
        const i = Math.floor((seed / 2 ** 32) * NEAR_KEYS);
        if (++mixed % WRITE_EVERY !== 0) return get(i);
        last[i] = ids[++writes % ids.length];
        return set(i, last[i]);
      },
      cold() {
        if (unread === COLD_KEYS) throw new Error("all keys have been read");
        return cold(unread++);
      },
    },
    /** Reads what the case reads, so that a cache that forgets what its client writes begins the case with all of it. */
    async warm(op) {
      if (op === "getSignalId") await inBatches(KEYS, get);
      if (op === "hasCandleId") await inBatches(KEYS, has);
      if (op === "mixed") await inBatches(NEAR_KEYS, get);
    },
    /** Writes and reads everything, so that all that can be remembered is. */
    async fill() {
      unread = 0;
      last.fill(VALUE);
      await inBatches(NEAR_KEYS, (i) => set(i, VALUE));
      await inBatches(KEYS, setCandle);
      await inBatches(NEAR_KEYS, get);
      await inBatches(KEYS, has);
    },
    /** Throws unless every key is read as it was written last. */
    async check() {
      await inBatches(NEAR_KEYS, async (i) => {
        const id = await get(i);
        if (id !== last[i]) throw new Error(`key ${i} is read as ${id}, written was ${last[i]}`);
      });
      if (!(await has(0))) throw new Error("a candle that was written is not there");
    },
    /** Reads so many cold keys. */
    readCold: (count) => inBatches(count, cold),
  };
}

/** The same over a bare client: get, set, exists. */
function bareNear(client) {
  return nearOps({
    get: (i) => client.get(signalKeys[i]),
    set: (i, id) => client.set(signalKeys[i], id),
    has: (i) => client.exists(candleKeys[i]),
    setCandle: (i) => client.set(candleKeys[i], VALUE),
    cold: (i) => client.get(coldKeys[i]),
  });
}

module.exports = { nearOps, bareNear, signals, candles, candleRows, coldSymbols, coldKeys };

"use strict";

// Adapters over Maps, for what a store has to equal: the rules of the contract and nothing else. Values are copied, as they
// are by a server; entries of lists only when they are read, because the kit never changes them.

const STEPS = { "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480, "1d": 1440 };

const copy = (value) => structuredClone(value);

/** The adapters by the kit's names; each call makes a store of its own. */
function mapAdapters() {
  const store = new Map();
  const placeOf = (...parts) => {
    const name = JSON.stringify(parts);
    if (!store.has(name)) store.set(name, new Map());
    return store.get(name);
  };

  /** What all adapters share: the place of their context. */
  const base = (kind) =>
    class {
      constructor(...context) {
        this.context = context;
        this.place = placeOf(kind, ...context);
      }
      async waitForInit() {}
      dispose() {}
    };

  /** One value for each context, or for each id within it. */
  const row = (kind, none, { byId = false } = {}) =>
    class extends base(kind) {
      async [`read${kind}Data`](id) {
        const place = byId ? id : "";
        return this.place.has(place) ? copy(this.place.get(place)) : copy(none);
      }
      async [`write${kind}Data`](data, id) {
        this.place.set(byId ? id : "", copy(data));
      }
    };

  const list = (kind) =>
    class extends base(kind) {
      async [`read${kind}Data`]() {
        return [...this.place.values()].map(copy);
      }
      async [`write${kind}Data`](entries) {
        for (const entry of entries) this.place.set(entry.id, entry);
      }
    };

  /** Values by key, which are marked where they are removed. */
  const bucket = (kind) =>
    class extends base(kind) {
      async [`read${kind}Data`](key) {
        const found = this.place.get(key);
        return found === undefined || found.removed ? null : copy(found);
      }
      async [`write${kind}Data`](data, key) {
        this.place.set(key, copy(data));
      }
      async [`remove${kind}Data`](key) {
        if (this.place.has(key)) this.place.get(key).removed = true;
      }
      present() {
        return [...this.place].filter(([, { removed }]) => !removed);
      }
      async *[`list${kind}Data`]() {
        for (const [key] of this.present()) yield key;
      }
    };

  class Candle extends base("Candle") {
    async readCandlesData(limit, since) {
      const step = STEPS[this.context[1]] * 60_000;
      const found = [];
      for (let i = 0; i < limit; i++) {
        const candle = this.place.get(since + i * step);
        if (candle === undefined) return null;
        found.push(candle);
      }
      return found;
    }
    async writeCandlesData(candles) {
      for (const candle of candles) if (!this.place.has(candle.timestamp)) this.place.set(candle.timestamp, candle);
    }
  }

  class Memory extends bucket("Memory") {
    async hasMemoryData(id) {
      return this.place.has(id);
    }
    async *listMemoryData() {
      for (const [memoryId, data] of this.present()) yield { memoryId, data: copy(data) };
    }
  }

  return {
    Candle,
    Signal: row("Signal", null),
    Schedule: row("Schedule", null),
    Strategy: row("Strategy", null),
    Risk: class extends base("Risk") {
      async readPositionData() {
        return copy(this.place.get("") ?? []);
      }
      async writePositionData(positions) {
        this.place.set("", copy(positions));
      }
    },
    Partial: row("Partial", {}, { byId: true }),
    Breakeven: row("Breakeven", {}, { byId: true }),
    Storage: list("Storage"),
    Notification: list("Notification"),
    Log: list("Log"),
    Measure: bucket("Measure"),
    Interval: bucket("Interval"),
    Memory,
    Recent: row("Recent", null),
    State: row("State", null),
    Session: row("Session", null),
  };
}

module.exports = { mapAdapters };

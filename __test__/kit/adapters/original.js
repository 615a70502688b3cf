"use strict";

// The adapters as the original's projects have them: each method is one call of a db service, candles are asked for and
// written one by one. `ioc` is the original's, or this package's behind adapters that nobody has changed.

const STEPS = { "1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "2h": 120, "4h": 240, "6h": 360, "8h": 480, "1d": 1440 };

/** `ready` is awaited by each context once, as the original waits for its two connections. */
function originalAdapters(ioc, ready = async () => {}) {
  const base = class {
    constructor(...context) {
      this.context = context;
    }
    async waitForInit(initial) {
      if (initial) await ready();
    }
    dispose() {}
  };

  /** One row for each context. */
  const row = (kind, service) =>
    class extends base {
      async [`read${kind}Data`]() {
        const found = await ioc[service].findByContext(...this.context);
        return found ? found.payload : null;
      }
      async [`write${kind}Data`](data, ...when) {
        await ioc[service].upsert(...this.context, data, ...when);
      }
    };

  /** One row for each signal of a context. */
  const bySignal = (kind, service) =>
    class extends base {
      async [`read${kind}Data`](signalId) {
        const found = await ioc[service].findByContext(...this.context, signalId);
        return found ? found.payload : {};
      }
      async [`write${kind}Data`](data, signalId, when) {
        await ioc[service].upsert(...this.context, signalId, data, when);
      }
    };

  const list = (kind, read, write) =>
    class extends base {
      async [`read${kind}Data`]() {
        return (await read(...this.context)).map(({ payload }) => payload);
      }
      async [`write${kind}Data`](entries) {
        for (const entry of entries) await write(...this.context, entry.id, entry);
      }
    };

  const bucket = (kind, service, { dated }) =>
    class extends base {
      async [`read${kind}Data`](key) {
        const found = await ioc[service].findByKey(...this.context, key);
        return found && !found.removed ? found.payload : null;
      }
      async [`write${kind}Data`](data, key, when) {
        await ioc[service].upsert(...this.context, key, data, ...(dated ? [when] : []));
      }
      async [`remove${kind}Data`](key) {
        await ioc[service].softRemove(...this.context, key);
      }
      async *[`list${kind}Data`]() {
        yield* await ioc[service].listKeys(...this.context);
      }
    };

  class Candle extends base {
    async readCandlesData(limit, since) {
      const [symbol, interval, exchangeName] = this.context;
      const found = [];
      for (let i = 0; i < limit; i++) {
        const candle = await ioc.candleDbService.findBySymbolIntervalTimestamp(symbol, interval, exchangeName, since + i * STEPS[interval] * 60_000);
        if (!candle) return null;
        const { timestamp, open, high, low, close, volume } = candle;
        found.push({ timestamp, open, high, low, close, volume });
      }
      return found;
    }
    async writeCandlesData(candles) {
      const [symbol, interval, exchangeName] = this.context;
      for (const { timestamp, open, high, low, close, volume } of candles) {
        await ioc.candleDbService.create({ symbol, interval, exchangeName, timestamp, open, high, low, close, volume });
      }
    }
  }

  class Memory extends base {
    async readMemoryData(id) {
      const found = await ioc.memoryDbService.findByMemoryId(...this.context, id);
      return found && !found.removed ? found.payload : null;
    }
    async hasMemoryData(id) {
      return ioc.memoryDbService.hasMemoryEntry(...this.context, id);
    }
    async writeMemoryData(data, id, when) {
      await ioc.memoryDbService.upsert(...this.context, id, data, when);
    }
    async removeMemoryData(id) {
      await ioc.memoryDbService.softRemove(...this.context, id);
    }
    async *listMemoryData() {
      for (const { memoryId, payload } of await ioc.memoryDbService.listEntries(...this.context)) yield { memoryId, data: payload };
    }
  }

  class Risk extends base {
    async readPositionData() {
      const found = await ioc.riskDbService.findByContext(...this.context);
      return found ? found.positions : [];
    }
    async writePositionData(positions, when) {
      await ioc.riskDbService.upsert(...this.context, positions, when);
    }
  }

  const { storageDbService, notificationDbService, logDbService } = ioc;
  return {
    Candle,
    Signal: row("Signal", "signalDbService"),
    Schedule: row("Schedule", "scheduleDbService"),
    Strategy: row("Strategy", "strategyDbService"),
    Risk,
    Partial: bySignal("Partial", "partialDbService"),
    Breakeven: bySignal("Breakeven", "breakevenDbService"),
    Storage: list("Storage", (backtest) => storageDbService.listByMode(backtest), (...args) => storageDbService.upsert(...args)),
    Notification: list(
      "Notification",
      async (backtest) => (await notificationDbService.listByMode(backtest)).reverse(),
      (...args) => notificationDbService.upsert(...args),
    ),
    Log: list("Log", async () => (await logDbService.listAll()).reverse(), (...args) => logDbService.upsert(...args)),
    Measure: bucket("Measure", "measureDbService", { dated: false }),
    Interval: bucket("Interval", "intervalDbService", { dated: true }),
    Memory,
    Recent: row("Recent", "recentDbService"),
    State: row("State", "stateDbService"),
    Session: row("Session", "sessionDbService"),
  };
}

module.exports = { originalAdapters };

"use strict";

// Adapters for candles, as the kit calls them: ours as setup() registers it, the loop over single candles that adapters of
// existing projects have (on ours, and on the original's services), and a Map with the same signatures.

const path = require("node:path");
const { EXCHANGE, MINUTE, START, candleOf } = require("./mongo-data.js");
const { versionOf } = require("./version.js");

const CONTEXT = ["S", "1m", EXCHANGE];
const ourVersion = () => require("../../package.json").version;

/** What an existing project's adapter does; one candle after the other. */
class OneByOne {
  constructor(candleDbService, [symbol, interval, exchangeName]) {
    Object.assign(this, { candleDbService, symbol, interval, exchangeName });
  }

  async readCandlesData(limit, since) {
    const candles = [];
    for (let i = 0; i < limit; i++) {
      const row = await this.candleDbService.findBySymbolIntervalTimestamp(this.symbol, this.interval, this.exchangeName, since + i * MINUTE);
      if (!row) return null;
      const { timestamp, open, high, low, close, volume } = row;
      candles.push({ timestamp, open, high, low, close, volume });
    }
    return candles;
  }

  async writeCandlesData(candles) {
    const { symbol, interval, exchangeName } = this;
    for (const candle of candles) await this.candleDbService.create({ symbol, interval, exchangeName, ...candle });
  }
}

class InMap {
  constructor() {
    this.candles = new Map();
  }

  async readCandlesData(limit, since) {
    const candles = [];
    for (let i = 0; i < limit; i++) {
      const candle = this.candles.get(since + i * MINUTE);
      if (candle === undefined) return null;
      candles.push(candle);
    }
    return candles;
  }

  async writeCandlesData(candles) {
    for (const candle of candles) if (!this.candles.has(candle.timestamp)) this.candles.set(candle.timestamp, candle);
  }
}

const WAYS = {
  async setup() {
    const lib = require(path.resolve(__dirname, "..", ".."));
    const adapter = new lib.PersistCandleInstance(...CONTEXT);
    return { adapter, lib, version: ourVersion(), close: () => lib.close() };
  },
  async unchanged() {
    const lib = require(path.resolve(__dirname, "..", ".."));
    return { adapter: new OneByOne(lib.ioc.candleDbService, CONTEXT), lib, version: ourVersion(), close: () => lib.close() };
  },
  async original(server) {
    // Here, because mongoose in the heap of the others would be work for their collector.
    const { openOriginal } = require("../../__test__/support/original-mongo/index.js");
    const { ioc, close } = await openOriginal({ redis: server, mongo: { urlOf: () => server.mongoUrl } });
    return { adapter: new OneByOne(ioc.candleDbService, CONTEXT), version: versionOf("mongoose"), close };
  },
  async map(_server, month) {
    const adapter = new InMap();
    await adapter.writeCandlesData(Array.from({ length: month }, (_, i) => plainOf(i)));
    return { adapter, version: process.version, close() {} };
  },
};

function plainOf(slot) {
  const { timestamp, open, high, low, close, volume } = candleOf(CONTEXT[0], slot);
  return { timestamp, open, high, low, close, volume };
}

async function open(server, { way, month }) {
  const { adapter, lib, version, close } = await WAYS[way](server, month);
  const at = (slot) => START + slot * MINUTE;
  // Each call is a minute after the one before, as the kit's are.
  let minute = 0;
  let written = month;
  const forward = (limit) => at((minute = (minute + 1) % (month - limit)));
  const expect = (candles, limit) => {
    if (candles?.length !== limit) throw new Error(`${candles?.length} candles instead of ${limit}`);
  };
  const ops = {
    window: async () => expect(await adapter.readCandlesData(5, forward(5)), 5),
    thousand: async () => expect(await adapter.readCandlesData(1_000, forward(1_000)), 1_000),
    columns: async () => expect((await lib.ioc.candleDbService.findColumns(...CONTEXT, START, month)).close, month),
    /** Five candles, four of them known: the kit's write of a minute. */
    write: async () => {
      written++;
      await adapter.writeCandlesData([-4, -3, -2, -1, 0].map((i) => plainOf(written + i)));
    },
  };
  const whole = {
    /** A month that nobody has read, by windows of each minute. */
    async coldWindows() {
      lib.ioc.candleDbService.forget();
      for (let slot = 0; slot + 5 <= month; slot++) expect(await adapter.readCandlesData(5, at(slot)), 5);
    },
    async coldColumns() {
      lib.ioc.candleDbService.forget();
      await ops.columns();
    },
  };
  return { version, candles: { ops, whole, stats: () => lib?.stats().candleCache ?? null }, close };
}

module.exports = { open, plainOf, CONTEXT };

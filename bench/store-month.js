"use strict";

// What is measured of candles in the embedded store, one thing a process: none finds anything in memory that another left.

const fs = require("node:fs");
const path = require("node:path");
const { serve, timed } = require("../__test__/kit/child.js");
const { candlesOf, EXCHANGE, START, MINUTE } = require("./peers/mongo-data.js");

const CONTEXT = ["BTCUSDT", "1m", EXCHANGE];
/** Candles of one write, as the kit fetches them. */
const CHUNK = 1_000;

const plain = ({ timestamp, open, high, low, close, volume }) => ({ timestamp, open, high, low, close, volume });

function check(found, count) {
  const last = found.open === undefined ? found.at(-1).open : found.open.at(-1);
  if ((found.length ?? found.open.length) !== count || last !== candlesOf(CONTEXT[0], count).at(-1).open) throw new Error("the candles that were read are not those that were written");
}

/** The kit's own adapter for candles: ours after `setup()`, or its JSON files. */
function adapterOf(own) {
  const kit = require("../__test__/kit/kit.js");
  if (own) kit.PersistCandleAdapter.useJson();
  else require("../index.js").setup();
  return kit.PersistCandleAdapter;
}

async function writeChunks(adapter, candles) {
  for (let at = 0; at < candles.length; at += CHUNK) await adapter.writeCandlesData(candles.slice(at, at + CHUNK), ...CONTEXT);
}

/** Bytes of the store on the disk, when its log is in it. */
function bytesOf(folder) {
  const [file, log] = ["store.sqlite", "store.sqlite-wal"].map((name) => path.join(folder, name));
  return { file: fs.statSync(file).size, log: fs.existsSync(log) ? fs.statSync(log).size : 0 };
}

const WRITES = {
  createMany: (lib) => (candles) => lib.ioc.candleDbService.createMany(candles),
  context: (lib) => (candles) => lib.ioc.candleDbService.createMany(...CONTEXT, candles.map(plain)),
};

const OPS = {
  /** A month into an empty store that is open, by a call of ioc or in chunks through the adapter; `months`: so many symbols. */
  async write({ way, count, months = 1 }) {
    const lib = require("../index.js");
    const write = way === "adapter" ? null : WRITES[way](lib);
    const adapter = write ? null : adapterOf(false);
    await lib.ioc.mongoService.waitForInit();
    const samples = [];
    for (let month = 0; month < months; month++) {
      const symbol = month === 0 ? CONTEXT[0] : `S${month}`;
      const candles = candlesOf(symbol, count);
      samples.push(await timed(async () => {
        if (write) return write(candles);
        for (let at = 0; at < count; at += CHUNK) await adapter.writeCandlesData(candles.slice(at, at + CHUNK), symbol, ...CONTEXT.slice(1));
      }));
    }
    await lib.close();
    return { first: samples[0], samples };
  },

  /** A month that this process has not read; `opening`: the time has the opening of the store in it. */
  async read({ shape, count, opening }) {
    const lib = require("../index.js");
    const { candleDbService, mongoService } = lib.ioc;
    const adapter = shape === "objects" ? adapterOf(false) : null;
    if (!opening) await mongoService.waitForInit();
    let found;
    const ms = await timed(async () => {
      if (shape === "columns") found = await candleDbService.findColumns(...CONTEXT, START, count);
      else if (shape === "rows") found = await candleDbService.findRange(...CONTEXT, START, count);
      else found = await adapter.readCandlesData(...CONTEXT, count, START, START + count * MINUTE);
    });
    check(found, count);
    await lib.close();
    return { ms };
  },

  /** The objects of a month, of columns that are there. */
  async bare({ count }) {
    const { candleDbService } = require("../index.js").ioc;
    adapterOf(false);
    const columns = await candleDbService.findColumns(...CONTEXT, START, count);
    const found = new Array(count);
    const ms = await timed(() => {
      const { timestamp, open, high, low, close, volume } = columns;
      for (let i = 0; i < count; i++) found[i] = { timestamp: timestamp[i], open: open[i], high: high[i], low: low[i], close: close[i], volume: volume[i] };
    });
    check(found, count);
    await require("../index.js").close();
    return { ms };
  },

  /** The kit's own files: so many candles written, and read by the next process. */
  async files({ count, read }) {
    const adapter = adapterOf(true);
    if (!read) return { ms: await timed(() => writeChunks(adapter, candlesOf(CONTEXT[0], count).map(plain))) };
    let found;
    const ms = await timed(async () => (found = await adapter.readCandlesData(...CONTEXT, count, START, START + count * MINUTE)));
    check(found, count);
    return { ms };
  },

  /** Single creates, one after the other: the bytes of log of each. The log is not written back before 16 MiB of it. */
  async singles({ count, folder }) {
    const lib = require("../index.js");
    const { candleDbService } = lib.ioc;
    const candles = candlesOf(CONTEXT[0], count + 1);
    await candleDbService.create(candles[0]);
    const before = bytesOf(folder).log;
    const ms = await timed(async () => {
      for (const candle of candles.slice(1)) await candleDbService.create(candle);
    });
    const { log } = bytesOf(folder);
    await lib.close();
    return { ms, bytes: (log - before) / count };
  },

  /** Bytes that a candle takes: what file and log have grown by. Written back to the file it takes less, without the log's heads. */
  async bytes({ count, folder }) {
    const lib = require("../index.js");
    await lib.ioc.mongoService.waitForInit();
    const size = () => bytesOf(folder).file + bytesOf(folder).log;
    const before = size();
    await lib.ioc.candleDbService.createMany(candlesOf(CONTEXT[0], count));
    const bytes = (size() - before) / count;
    await lib.close();
    return { bytes };
  },

  /** Keys beside which others are counted. */
  async fill({ keys }) {
    const lib = require("../index.js");
    const map = new lib.BaseMap("many", -1);
    for (let at = 0; at < keys; at += 10_000) await Promise.all(Array.from({ length: 10_000 }, (_, i) => map.set(`key-${at + i}`, `value-${at + i}`)));
    const few = new lib.BaseMap("few", -1);
    for (let i = 0; i < 15; i++) await few.set(`key-${i}`, "value");
    await lib.close();
    return {};
  },

  /** Milliseconds until a store is open, and microseconds of size() of 15 keys. */
  async open() {
    const lib = require("../index.js");
    const opening = await timed(() => lib.ioc.mongoService.waitForInit());
    const few = new lib.BaseMap("few", -1);
    const samples = [];
    for (let i = 0; i < 1_000; i++) {
      samples.push(1_000 * (await timed(async () => {
        if ((await few.size()) !== 15) throw new Error("there are not 15 keys");
      })));
    }
    await lib.close();
    return { opening, samples };
  },
};

serve(({ op, ...options }) => OPS[op](options));

"use strict";

// One backtest in a process of its own, because the kit keeps its state in the module. It is told what to do and tells
// what came out over the channel of its parent; what the kit prints goes to the output.

const market = require("./market.js");
const { addBookkeeper, addCrossing, addMarket, persistAll, EXCHANGE, FRAME } = require("./strategies.js");
const { openStore } = require("./stores.js");
const { statisticsOf, tradeOf, withoutIds } = require("./results.js");
const { serve, timed } = require("./child.js");
const { watch } = require("./watch.js");

/** The copy of the kit that trades. */
let kit;

const STRATEGIES = { crossing: addCrossing, bookkeeper: addBookkeeper };

/** Runs all symbols side by side; resolves when the last one is done. */
function trade(symbols, context, progress) {
  const waiting = new Set(symbols);
  return new Promise((resolve) => {
    kit.listenDoneBacktest(({ symbol }) => {
      waiting.delete(symbol);
      if (waiting.size === 0) resolve();
    });
    if (progress) kit.listenBacktestProgress(({ symbol, progress: share }) => process.send({ progress: { symbol, share } }));
    for (const symbol of symbols) kit.Backtest.background(symbol, context);
  });
}

async function resultOf(symbol, context, columns) {
  const data = await kit.Backtest.getData(symbol, context);
  const trades = [...data.signalList].sort((a, b) => a.closeTimestamp - b.closeTimestamp);
  const ids = trades.map(({ signal }) => signal.id);
  const shown = columns && columns.map((name) => kit.getColumns().backtest_columns.find(({ key }) => key === name));
  const table = withoutIds(await kit.Backtest.getReport(symbol, context, shown), ids);
  return { trades: trades.map(tradeOf), statistics: statisticsOf(data), table };
}

/**
 * `store` and `strategy` by name, `symbols`, `minutes` of the month, `warm` (candles are fetched and stored before, by the
 * kit's warmCandles), `persist` (everything goes to the adapters), `progress` (tell how far it is), `count` (count calls),
 * `columns` (of the kit's result table, by their keys; default: all), `esm` (the kit's build for ES modules, and ours).
 */
async function main({ store: name, strategy = "crossing", symbols = ["BTCUSDT"], minutes, warm, persist, progress, count, columns, esm }) {
  kit = esm ? await import("backtest-kit") : require("./kit.js");
  const fetched = { calls: 0, candles: 0 };
  addMarket(kit, { minutes, fetched: ({ limit }) => ((fetched.calls += 1), (fetched.candles += limit)) });
  STRATEGIES[strategy](kit);
  const errors = [];
  kit.listenError((error) => errors.push(`${error?.code ?? ""} ${error?.stack ?? error}`.trim()));
  kit.Markdown.enable({ backtest: true });
  const store = await openStore(esm ? `${name}-esm` : name, kit);
  if (persist) persistAll(kit);
  const watched = count || persist ? watch(kit) : null;

  const context = { strategyName: strategy, exchangeName: EXCHANGE, frameName: FRAME };
  const result = { name, symbols: {}, fetched, errors };
  if (warm) {
    result.filling = await timed(async () => {
      for (const symbol of symbols) await warmAll(symbol, minutes ?? market.MONTH_MINUTES);
    });
    result.filled = { ...fetched };
  }
  result.running = await timed(() => trade(symbols, context, progress));
  if (watched) {
    await watched.settled();
    result.counts = watched.counts;
  }
  for (const symbol of symbols) result.symbols[symbol] = await resultOf(symbol, context, columns);
  if (persist) result.written = watched.written();
  if (store.lib) result.stats = store.lib.stats();
  await store.close();
  return result;
}

/** Every interval that the strategies look at, with what they look back for. */
async function warmAll(symbol, minutes) {
  const to = new Date(market.SINCE + (minutes + 2 * 1440) * market.MINUTE_MS);
  for (const [interval, back] of [["1m", 60], ["15m", 1440], ["1h", 2 * 1440]]) {
    const from = new Date(market.SINCE - back * market.MINUTE_MS);
    await kit.warmCandles({ symbol, interval, exchangeName: EXCHANGE, from, to });
  }
}

serve(main);

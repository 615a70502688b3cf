"use strict";

// Act one: the real backtest-kit trades a month, with candles that an exchange function gives and that are stored, then with
// those that are there. Each run is a process of its own, as a user's would be.

const { runKit } = require("../__test__/support/kit.js");
const market = require("../__test__/kit/market.js");
const { tradesOf } = require("../__test__/kit/results.js");
const { dependencies } = require("../__test__/kit/package.json");
const { chart, equity } = require("./chart.js");
const { check } = require("./checks.js");
const { bar, chapter, count, gauge, left, paint, print, right, row, say } = require("./screen.js");

const SYMBOL = "ETHUSDT";
const MINUTES = market.MONTH_MINUTES;
/** Minutes for which the original's way is watched; its month takes minutes. */
const WATCHED = 240;
const NAMES = { position: "position", openPrice: "open", closePrice: "close", pnl: "profit", closeReason: "closed by", duration: "minutes" };
const WIDTHS = [8, -13, -13, -8, 12, -7];
/** Trades of the table that are shown. */
const SHOWN = 5;
/** The lines of the kit's statistics that are shown. */
const NUMBERS = ["Win rate", "Average PNL", "Total PNL", "Sharpe Ratio", "Average Duration"];

/** Runs a backtest on a store, with a bar that grows. */
async function run(title, store, { minutes = MINUTES, env = {} }) {
  const line = (share) => `${left(title, 30)} ${left(bar(share, 24), 24)} ${right(`${Math.floor(share * 100)} %`, 5)}`;
  const started = performance.now();
  const options = { store, symbols: [SYMBOL], minutes, progress: true, columns: Object.keys(NAMES) };
  const onMessage = ({ progress }) => progress && gauge(line(progress.share));
  const { result, code, stderr } = await runKit("backtest", options, { env, onMessage });
  if (result === null) throw new Error(`the backtest on ${store} ended with ${code}: ${stderr}`);
  check(`${title}: nobody complained`, [stderr, result.errors], ["", []]);
  const seconds = (performance.now() - started) / 1000;
  gauge(`${line(1)} ${right(seconds.toFixed(1), 5)} s`, true);
  return { ...result, each: result.running / minutes };
}

/** The kit's result table, as far as 80 columns hold it: the last trades, and its numbers. */
function results({ table }) {
  const lines = table.split("\n");
  const cells = lines.filter((line) => line.startsWith("|")).map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  row(WIDTHS, Object.values(NAMES).map(paint.dim));
  for (const one of cells.slice(2, 2 + SHOWN)) row(WIDTHS, one.map((cell) => cell.replace(" USD", "")).map((cell, i) => (i === 3 ? (cell.startsWith("-") ? paint.red : paint.green)(cell) : cell)));
  if (cells.length - 2 > SHOWN) print(paint.dim(`… and ${count(cells.length - 2 - SHOWN)} before these`));
  print();
  for (const name of NUMBERS) {
    const found = lines.find((line) => line.startsWith(`**${name}:**`));
    if (found) print(`${left(name, 18)} ${found.replace(/^\*\*.*?:\*\* /, "").replace(/ \((higher|lower).*\)$/, "")}`);
  }
}

function curve(trades) {
  print();
  print(paint.bold("What a hundred dollars a trade made, over the month"));
  const values = equity(trades, { since: market.SINCE, until: market.SINCE + MINUTES * market.MINUTE_MS, count: 400 });
  for (const line of chart(values, { width: 62, height: 9, format: (value) => `${value.toFixed(1)} $` })) {
    const at = line.indexOf("┤") + 1;
    print(paint.dim(line.slice(0, at)) + paint.cyan(line.slice(at)));
  }
  print(paint.dim(`${" ".repeat(8)}1 March${" ".repeat(45)}31 March`));
}

function speeds(rows) {
  print();
  print(paint.bold("Milliseconds for a simulated minute"));
  const longest = Math.max(...rows.map(([, each]) => each));
  for (const [name, each, style, note = ""] of rows) {
    print(`${left(name, 30)} ${style(left(bar(each / longest, 26), 26))} ${right(each.toFixed(each < 1 ? 2 : 1), 5)} ms${note}`);
  }
}

async function kit({ server: redis, mongo, facts }) {
  chapter(
    "Act one: a month on the real backtest-kit",
    `backtest-kit ${dependencies["backtest-kit"]} trades ${SYMBOL} for 31 days of made-up minutes: long or short where two means cross, with take profit and stop loss. setup() is all that the project calls.`,
  );
  const env = { ...redis.env, CC_MONGO_CONNECTION_STRING: mongo.urlOf("backtest-kit") };
  const first = await run("candles fetched and stored", "setup", { env });
  const second = await run("candles from the store", "setup", { env });
  const dummies = await run("on dummies, nothing is kept", "dummy", {});
  const original = await run(`the original, ${WATCHED} minutes`, "original", { minutes: WATCHED, env: { ...env, CC_MONGO_CONNECTION_STRING: mongo.urlOf("kit-original") } });
  check("the month traded", first.symbols[SYMBOL].trades.length > 20);
  check("candles were fetched, and the second time none", [first.fetched.candles > MINUTES / 2, second.fetched.candles], [true, 0]);
  check("trades, numbers and table are those on dummies, to the last digit", first.symbols, dummies.symbols);
  check("and once more from the store", second.symbols, dummies.symbols);
  print();
  results(second.symbols[SYMBOL]);
  curve(tradesOf(second));
  speeds([
    ["the original's way", original.each, paint.dim],
    ["candles fetched and stored", first.each, paint.green],
    ["candles from the store", second.each, paint.green],
    ["on dummies", dummies.each, paint.cyan],
  ]);
  print();
  say(`All ${count(tradesOf(second).length)} trades and every number of the table are those of a run on dummies, to the last digit.`);
  facts.kit = { trades: tradesOf(second).length, ratio: `${(original.each / second.each).toFixed(0)}×`, beside: `${(second.each / dummies.each).toFixed(2)}×` };
  // The chapters that follow look at all that Redis holds.
  await redis.command("FLUSHALL");
}

module.exports = { kit };

"use strict";

// Act one: the real backtest-kit trades a month on the embedded store, with candles that an exchange function gives and that are
// stored, then with those that are there; where there are servers, once more on them. Each run is a process of its own, as a
// user's would be.

const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { runKit } = require("../__test__/support/kit.js");
const market = require("../__test__/kit/market.js");
const { tradesOf } = require("../__test__/kit/results.js");
const { dependencies } = require("../__test__/kit/package.json");
const { chart, equity } = require("./chart.js");
const { check } = require("./checks.js");
const { bar, chapter, count, gauge, left, paint, print, right, row, say } = require("./screen.js");

const SYMBOL = "ETHUSDT";
const MINUTES = market.MONTH_MINUTES;
/** Minutes for which the kit's files and the original's way are watched; their months take minutes. */
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

/** A folder of the demo's own, and what is in it in MiB. */
const sizeOf = (file) => (fs.statSync(file).size / 1024 / 1024).toFixed(1);

/** Act one: nothing but Node and this package. */
async function kit({ facts }) {
  chapter(
    "Act one: a month on the real backtest-kit, without any server",
    `backtest-kit ${dependencies["backtest-kit"]} trades ${SYMBOL} for 31 days of made-up minutes: long or short where two means cross, with take profit and stop loss. All that the project does is setup({ CC_STORE_PATH: "./dump/native" }).`,
  );
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bkn-demo-"));
  const store = path.join(folder, "dump", "native");
  const env = { CC_STORE_PATH: store };
  const first = await run("candles fetched and stored", "setup", { env });
  const second = await run("candles from the store", "setup", { env });
  const dummies = await run("on dummies, nothing is kept", "dummy", {});
  const files = await run(`the kit's files, ${WATCHED} minutes`, "json", { minutes: WATCHED });
  check("the month traded", first.symbols[SYMBOL].trades.length > 20);
  check("candles were fetched, and the second time none", [first.fetched.candles > MINUTES / 2, second.fetched.candles], [true, 0]);
  check("trades, numbers and table are those on dummies, to the last digit", first.symbols, dummies.symbols);
  check("and once more from the store", second.symbols, dummies.symbols);
  print();
  results(second.symbols[SYMBOL]);
  curve(tradesOf(second));
  speeds([
    ["the kit's own files", files.each, paint.dim],
    ["candles fetched and stored", first.each, paint.green],
    ["candles from the store", second.each, paint.green],
    ["on dummies", dummies.each, paint.cyan],
  ]);
  print();
  const file = path.join(store, "store.sqlite");
  const { findings } = doctor(store);
  check("doctor finds nothing to mend", findings.filter(({ level }) => level === "problem"), []);
  const backup = path.join(folder, "backup.sqlite");
  command(["backup", backup, "--store", store]);
  say(`All ${count(tradesOf(second).length)} trades and every number of the table are those of a run on dummies, to the last digit. All of it is in one file, and a backup of it has ${sizeOf(backup)} MiB; doctor finds nothing wrong in it.`);
  check("the store is one file", fs.existsSync(file));
  facts.kit = { trades: tradesOf(second).length, files: `${(files.each / first.each).toFixed(0)}×`, beside: `${(second.each / dummies.each).toFixed(2)}×` };
  return { folder, store, symbols: dummies.symbols };
}

/** A command of the package's program, as a user runs it; what it told as JSON. */
function command(args, env = {}) {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("CC_")));
  const ended = spawnSync(process.execPath, [path.join(__dirname, "..", "cli", "main.js"), ...args, "--json"], { env: { ...clean, ...env }, encoding: "utf8" });
  if (ended.status !== 0) throw new Error(`${args[0]} ended with ${ended.status}: ${ended.stderr}`);
  return JSON.parse(ended.stdout);
}

const doctor = (store) => command(["doctor", "--store", store]);

/** The same month on servers, into which the store is copied first. */
async function moved({ server: redis, mongo, facts, act }) {
  chapter("The same month on Redis and MongoDB", "One command copies the store into servers, another compares the two; the project leaves CC_STORE_PATH out, and changes no line of code.");
  const env = { ...redis.env, CC_MONGO_CONNECTION_STRING: mongo.urlOf("backtest-kit") };
  const copied = command(["copy", "--from", act.store, "--to", "servers"], env);
  const rows = Object.values(copied.collections).reduce((sum, found) => sum + found.new, 0);
  print(`npx backtest-kit-native copy --from ./dump/native --to servers    ${paint.green(`${count(rows)} rows, ${copied.seconds} s`)}`);
  const compared = command(["verify", "--from", act.store, "--to", "servers", "--ids"], env);
  print(`npx backtest-kit-native verify --from ./dump/native --to servers  ${paint.green(compared.state)}`);
  check("verify finds both the same", compared.state, "same");
  print();
  const second = await run("candles from MongoDB", "setup", { env });
  const original = await run(`the original, ${WATCHED} minutes`, "original", { minutes: WATCHED, env: { ...env, CC_MONGO_CONNECTION_STRING: mongo.urlOf("kit-original") } });
  check("no candle was fetched again", second.fetched.candles, 0);
  check("trades, numbers and table are the same again", second.symbols, act.symbols);
  speeds([
    ["the original's way", original.each, paint.dim],
    ["candles from MongoDB", second.each, paint.green],
  ]);
  facts.kit.moved = count(rows);
  facts.kit.ratio = `${(original.each / second.each).toFixed(0)}×`;
  // The chapters that follow look at all that Redis holds.
  await redis.command("FLUSHALL");
}

module.exports = { kit, moved };

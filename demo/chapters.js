"use strict";

// The chapters of the story, in their order. Each gets `{ server, books, facts }`; facts are for the summary.

const { setTimeout: sleep } = require("node:timers/promises");
const { BaseMap, ioc, setLogger } = require("../index.js");
const { NOUNS } = require("./books.js");
const { check, sign } = require("./checks.js");
const { bar, chapter, count, left, paint, plural, print, right, row, say } = require("./screen.js");
const { trade } = require("./trading.js");

const text = (buffer) => (buffer === null ? null : String(buffer));

async function trading({ books, facts }) {
  chapter("Act two: four markets, forty-five minutes", "Prices are made up; every step of a strategy stores the ids of its rows. On the right: the cache services that are asked to.");
  facts.traders = await trade(books);
}

async function services({ books, facts }) {
  chapter("Seventeen services, looked up and walked through", "Each service is asked by has and get for every row of the story, and keys() must list just these; here how many those are.");
  const cells = [];
  const seen = [];
  for (const [noun, [stem]] of Object.entries(NOUNS)) {
    const rows = [...books.of(stem)];
    const found = await Promise.all(rows.map(([, one]) => books.find(noun, one.row)));
    const complete = check(`${stem} has every row`, found.map((one) => [one.has, one.id]), rows.map(([, one]) => [true, one.row.id]));
    const keys = [];
    for await (const key of ioc[`${stem}CacheService`].keys()) keys.push(`${stem}_cache:${key}`);
    const listed = check(`${stem}CacheService.keys() lists the rows`, keys.sort(), rows.map(([key]) => key).sort());
    cells.push([stem, keys.length, sign(complete && listed)]);
    check(`size() of ${stem} is its number of keys`, await ioc[`${stem}CacheService`].size(), keys.length);
    seen.push(`${stem}CacheService`);
  }
  for (let at = 0; at < cells.length; at += 3) row([13, -4, 4, 13, -4, 4, 13, -4, 4], cells.slice(at, at + 3).flat());
  check("these are all cache services of ioc", seen.sort(), Object.keys(ioc).filter((name) => name.endsWith("CacheService")).sort());
  facts.services = seen.length;
  print();
  await uniform(books);
  await listening();
}

/** The call form that all services but dictionary share. */
async function uniform(books) {
  const context = { symbol: "XRPUSDT", strategyName: "dip_buyer", exchangeName: "binance" };
  const nouns = Object.keys(NOUNS).filter((noun) => noun !== "Dictionary");
  for (const noun of nouns) {
    const stem = NOUNS[noun][0];
    const method = noun === "MemoryEntry" ? "Memory" : noun;
    const service = ioc[`${stem}CacheService`];
    const id = `uniform-${stem}`;
    await service[`set${method}Id`]({ ...context, id });
    check(`${stem} finds the uniform row`, await service[`get${method}Id`](...Object.values(context)), id);
    books.calls.set++;
    books.calls.get++;
    books.rows.set(`${stem}_cache:binance:dip_buyer:XRPUSDT`, { noun, row: { id } });
  }
  say(`All but dictionary also take one uniform form, (symbol, strategyName, exchangeName): ${nouns.length} rows written and found.`);
}

async function listening() {
  const heard = [];
  setLogger({ log: (...args) => heard.push(["log", ...args]), info: (...args) => heard.push(["info", ...args]) });
  await ioc.signalCacheService.getSignalId("BTCUSDT", "dip_buyer", "binance");
  setLogger(null);
  await ioc.signalCacheService.getSignalId("BTCUSDT", "dip_buyer", "binance");
  print();
  say("A logger, set for one call, hears what it hears from the original:");
  print();
  for (const [level, topic] of heard) print(`  ${paint.cyan(left(level, 4))}  ${topic}`);
  check("the logger hears the service and its map, once", heard, [
    ["log", "signalCacheService getSignalId", { symbol: "BTCUSDT", strategyName: "dip_buyer", exchangeName: "binance" }],
    ["info", "BaseMap get key=binance:dip_buyer:BTCUSDT"],
  ]);
}

async function rawKeys({ server, books, facts }) {
  chapter("What Redis holds", "Seen by a client that knows nothing of this package: plain strings that never expire, under the original's keys.");
  const keys = (await server.command("KEYS", "*")).map(String).sort();
  check("Redis holds the keys of the story and no other", keys, [...books.rows.keys()].sort());
  const shown = ["candle", "signal", "partial", "storage"];
  row([51, 24], ["key", "value"].map(paint.dim));
  for (const [key, one] of books.rows) {
    const [type, value, ttl] = await Promise.all(["TYPE", "GET", "TTL"].map((command) => server.command(command, key)));
    check(`${key} is a string that never expires`, [text(type), text(value), ttl], ["string", one.row.id, -1]);
    const at = shown.indexOf(key.slice(0, key.indexOf("_")));
    if (at < 0) continue;
    shown.splice(at, 1);
    row([51, 24], [key, paint.cyan(one.row.id)]);
  }
  print(paint.dim(`… and ${count(keys.length - 4)} more, compared as well`));
  facts.keys = keys.length;
}

async function expiry({ server, facts }) {
  class LastPrice extends BaseMap("last_price", 2) {}
  chapter("A map of your own, with two seconds to live", "class LastPrice extends BaseMap(\"last_price\", 2) {}");
  const prices = new LastPrice();
  await prices.set("BTCUSDT", 94_402.5);
  const started = performance.now();
  for (;;) {
    const rest = await server.command("PTTL", "last_price:BTCUSDT");
    const value = await prices.get("BTCUSDT");
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const gauge = rest > 0 ? left(bar(rest / 2000, 30), 30) : left("", 30);
    print(`${right(seconds, 4)} s   ${paint.cyan(gauge)}  get("BTCUSDT") → ${value === null ? paint.yellow("null") : `"${value}"`}`);
    if (value === null) break;
    // The last look comes just after the key's end.
    await sleep(Math.min(700, Math.max(1, rest + 5)));
    if (performance.now() - started > 30_000) break;
  }
  const seconds = (performance.now() - started) / 1000;
  check("the key lived for two seconds", seconds >= 1.9 && seconds < 30);
  check("the key is gone from every method", [await prices.has("BTCUSDT"), await prices.size(), await prices.toArray()], [false, 0, []]);
  check("the key is gone from Redis", await server.command("EXISTS", "last_price:BTCUSDT"), 0);
  facts.expired = seconds.toFixed(1);
}

async function clearing({ server, facts }) {
  chapter("clear() empties one map and no other", "The third name is a trap: as a pattern of Redis, order* would match the other two.");
  const maps = ["orders", "orders_archive", "order*"].map((name, i) => ({ name, wanted: 40 - 12 * i, map: new BaseMap(name, -1) }));
  for (const { map, wanted } of maps) {
    await Promise.all(Array.from({ length: wanted }, (_, i) => map.set(`TRXUSDT-${i}`, { side: "buy", price: 0.2841, i })));
  }
  const sizes = () => Promise.all(maps.map(({ map }) => map.size()));
  row([26, -8, -14, -8], ["", ...maps.map(({ name }) => name)].map(paint.dim));
  const show = async (what, wanted) => {
    const now = await sizes();
    row([26, -8, -14, -8], [what, ...now]);
    check(`sizes: ${what}`, now, wanted);
  };
  await show("filled", [40, 28, 16]);
  await maps[2].map.clear();
  await show(`new BaseMap("order*").clear()`, [40, 28, 0]);
  await maps[0].map.clear();
  await show(`new BaseMap("orders").clear()`, [0, 28, 0]);
  const kept = (await server.command("KEYS", "orders_archive:*")).length;
  check("the neighbour's keys are in Redis", kept, 28);
  check("a value comes back as its JSON", await maps[1].map.get("TRXUSDT-3"), '{"side":"buy","price":0.2841,"i":3}');
  await maps[1].map.clear();
  facts.cleared = [56, kept];
}

async function mistakes({ server, facts }) {
  chapter("Mistakes are told, not written", "Nothing of these reaches Redis; each ends in an error with a code.");
  const before = await server.command("DBSIZE");
  const { signalCacheService: signals, storageCacheService: storage } = ioc;
  const calls = [
    ['getSignalId("BTCUSDT")', "INVALID_CONTEXT", () => signals.getSignalId("BTCUSDT")],
    ["setStorageId({ backtest: true, id })", "INVALID_ROW", () => storage.setStorageId({ backtest: true, id: "1" })],
    ['map.set("", 1)', "KEY_EMPTY", () => new BaseMap("m", -1).set("", 1)],
    ['map.set("k", new Map())', "INVALID_VALUE", () => new BaseMap("m", -1).set("k", new Map())],
    ['new BaseMap("m", 0)', "INVALID_TTL", async () => new BaseMap("m", 0)],
  ];
  for (const [source, code, call] of calls) {
    const error = await call().then(() => ({ code: "none" }), (reason) => reason);
    check(`${source} rejects`, [error instanceof Error, error.code], [true, code]);
    row([37, 16], [source, paint.yellow(error.code)]);
    if (code === "INVALID_ROW" || code === "INVALID_TTL") say(error.message, paint.dim, 2);
  }
  check("nothing was written", await server.command("DBSIZE"), before);
  facts.mistakes = plural(calls.length, "mistake");
}

module.exports = { chapters: [trading, services, rawKeys, expiry, clearing, mistakes] };

"use strict";

// The market of the story: real symbols, made-up prices. Everything is computed from fixed seeds, so that each run tells
// the same story.

const MINUTE = 60_000;
const OPENING = Date.UTC(2026, 0, 5, 9, 30);
const INTERVAL = "1m";
const FRAME = "jan26";

/** Where and by which strategy each symbol is traded; `path` is the price at some minutes, in percent of `price`. */
const MARKETS = [
  { symbol: "BTCUSDT", price: 93_480, strategyName: "dip_buyer", exchangeName: "binance", seed: 11, path: [[0, 100], [9, 98.7], [22, 100.2], [40, 101.4]] },
  { symbol: "TRXUSDT", price: 0.2874, strategyName: "dip_buyer", exchangeName: "binance", seed: 23, path: [[0, 100], [14, 98.6], [31, 100.9], [44, 101.6]] },
  { symbol: "ETHUSDT", price: 3_212, strategyName: "night_owl", exchangeName: "bybit", seed: 37, path: [[0, 100], [6, 98.8], [20, 97], [44, 96.2]] },
  { symbol: "SOLUSDT", price: 136.4, strategyName: "night_owl", exchangeName: "bybit", seed: 41, path: [[0, 100], [11, 98.7], [25, 100.4], [36, 98.6], [44, 98]] },
];

/** A small generator of numbers from 0 to 1; the same for the same seed. */
function noise(seed) {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

/** The price of a path at a minute, on a straight line between its points. */
function along(path, minute) {
  const next = path.findIndex(([at]) => at >= minute);
  if (next <= 0) return path.at(next)[1];
  const [[from, low], [to, high]] = [path[next - 1], path[next]];
  return low + ((high - low) * (minute - from)) / (to - from);
}

/** As many digits as an exchange shows. */
const rounded = (price) => Number(price.toPrecision(price < 1 ? 4 : 6));

function candlesOf(market) {
  const random = noise(market.seed);
  return Array.from({ length: 45 }, (_, minute) => ({
    symbol: market.symbol,
    interval: INTERVAL,
    exchangeName: market.exchangeName,
    timestamp: OPENING + minute * MINUTE,
    close: rounded((market.price * (along(market.path, minute) + (random() - 0.5) * 0.1)) / 100),
  }));
}

let ids = 0;
/** An id as MongoDB makes them: 24 hexadecimal digits. */
const newId = () => `695b81f4${(0x5a3c9e17d0 + ids * 7).toString(16)}${(++ids).toString(16).padStart(6, "0")}`;

const clock = (timestamp) => new Date(timestamp).toISOString().slice(11, 16);

module.exports = { MARKETS, INTERVAL, FRAME, candlesOf, newId, clock, rounded };

"use strict";

// The exchange, the frame and two strategies, registered on a copy of the kit. `crossing` only looks at candles.
// `bookkeeper` decides by what it has stored: what a store loses or changes shows in its trades.

const market = require("./market.js");

const EXCHANGE = "made_up";
const FRAME = "march";
const RISK = "near_targets";

/** The exponential mean of the closes. */
function mean(candles, length) {
  const share = 2 / (length + 1);
  return candles.reduce((value, { close }) => value + (close - value) * share, candles[0].close);
}

/** Where the short mean has crossed the long one with the last candle: "long", "short" or null. */
function crossed(candles) {
  const before = candles.slice(0, -1);
  const was = mean(before, 8) - mean(before, 21);
  const is = mean(candles, 8) - mean(candles, 21);
  if (was <= 0 && is > 0) return "long";
  return was >= 0 && is < 0 ? "short" : null;
}

/** How far the price moves in an hour, in percent. */
function unrest(candles) {
  const moves = candles.map(({ high, low, close }) => ((high - low) / close) * 100);
  return moves.reduce((sum, move) => sum + move, 0) / moves.length;
}

const HELD_MINUTES = 720;

function bracket(kit, position, currentPrice, width) {
  const limits = { percentTakeProfit: Math.max(0.8, width * 2), percentStopLoss: Math.max(0.6, width) };
  return { ...kit.Position.bracket({ position, currentPrice, ...limits }), minuteEstimatedTime: HELD_MINUTES };
}

/**
 * Strategies decide every fifth minute of the hour. The kit's own interval counts from the start of the process, so that a
 * live run which was interrupted would decide at other minutes.
 */
const decides = (when) => when.getUTCMinutes() % 5 === 0;

/** `minutes` of trading; `fetched` gets what the exchange was asked for, for those who count it. */
function addMarket(kit, { minutes = market.MONTH_MINUTES, fetched = () => {} } = {}) {
  kit.addExchangeSchema({
    exchangeName: EXCHANGE,
    async getCandles(symbol, interval, since, limit) {
      fetched({ symbol, interval, since: since.getTime(), limit });
      return market.candles(symbol, interval, since.getTime(), limit);
    },
    formatPrice: async (_symbol, price) => price.toFixed(4),
    formatQuantity: async (_symbol, quantity) => quantity.toFixed(8),
  });
  kit.addFrameSchema({
    frameName: FRAME,
    interval: "1m",
    startDate: new Date(market.SINCE),
    endDate: new Date(market.SINCE + minutes * market.MINUTE_MS),
  });
}

function addCrossing(kit) {
  kit.addStrategySchema({
    strategyName: "crossing",
    async getSignal(symbol, when, currentPrice) {
      if (!decides(when)) return null;
      const position = crossed(await kit.getCandles(symbol, "15m", 64));
      if (position === null) return null;
      const width = unrest(await kit.getCandles(symbol, "1h", 24));
      return bracket(kit, position, currentPrice, width);
    },
  });
}

/** Two losses in a row, and nothing is opened for this long. */
const REST_MS = 6 * 60 * market.MINUTE_MS;

function addBookkeeper(kit) {
  const [, setPeak] = kit.createSignalState({ bucketName: "peak", initialValue: { peak: 0, minutes: 0 } });
  const hourly = kit.Cache.file(async (symbol) => unrest(await kit.getCandles(symbol, "1h", 24)), { interval: "1h", name: "unrest" });
  // Once a day: the direction of the day before.
  const daily = kit.Interval.file(
    async (symbol) => {
      const [{ open, close }] = await kit.getCandles(symbol, "1d", 1);
      return { up: close > open };
    },
    { interval: "1d", name: "direction" },
  );

  // Nothing about positions of other symbols: how far those are at this moment depends on the store's speed.
  kit.addRiskSchema({
    riskName: RISK,
    validations: [({ currentSignal: { priceOpen, priceTakeProfit } }) => (Math.abs(priceTakeProfit / priceOpen - 1) > 0.03 ? "too far away" : undefined)],
  });

  kit.addStrategySchema({
    strategyName: "bookkeeper",
    riskName: RISK,
    async getSignal(symbol, when, currentPrice) {
      if (!decides(when)) return null;
      const session = (await kit.getSessionData(symbol)) ?? { losses: 0, since: null, up: null };
      const today = await daily(symbol, when, currentPrice);
      if (today !== null) {
        session.up = today.up;
        await kit.setSessionData(symbol, session);
        kit.Log.info("direction", { symbol, ...today });
      }
      if (session.losses >= 2 && when.getTime() - session.since < REST_MS) return null;
      const position = crossed(await kit.getCandles(symbol, "15m", 64));
      if (position === null) return null;
      const width = await hourly(symbol);
      kit.Log.info("signal", { symbol, position, width });
      if (session.up === (position === "long")) return bracket(kit, position, currentPrice, width);
      // Against the direction of yesterday only at a better price, for which the kit keeps a scheduled signal.
      const priceOpen = currentPrice * (position === "long" ? 0.998 : 1.002);
      return { ...bracket(kit, position, priceOpen, width), priceOpen };
    },
    callbacks: {
      // A minute in which a live run was killed is lived through again, so that each step must bear being done twice.
      async onActivePing(symbol, { pendingAt }, _currentPrice, when) {
        const minutes = (when.getTime() - pendingAt) / market.MINUTE_MS;
        const profit = await kit.getPositionPnlPercent(symbol);
        const { peak } = await setPeak(symbol, (state) => ({ peak: Math.max(state.peak, profit), minutes }));
        if (minutes % 60 === 0) {
          const value = { profit, peak };
          await kit.writeMemory({ bucketName: "hours", memoryId: `h${minutes / 60}`, value, description: `profit after ${minutes} minutes` });
        }
        if (minutes % 180 === 0 && minutes > 0) {
          const memoryId = `h${minutes / 60 - 2}`;
          const known = (await kit.listMemory({ bucketName: "hours" })).some((one) => one.memoryId === memoryId);
          const before = known ? await kit.readMemory({ bucketName: "hours", memoryId }) : { profit: 0 };
          // A position that has lost what it had two hours ago is not worth waiting for.
          if (before.profit > 0 && profit < 0) return void (await kit.commitClosePending(symbol, { id: "faded", note: "faded" }));
          await kit.removeMemory({ bucketName: "hours", memoryId });
        }
        if (peak > 0.5 && minutes % 45 === 0) {
          const sold = (await kit.getPositionPartials(symbol)) ?? [];
          if (!sold.some(({ timestamp }) => timestamp === when.getTime())) await kit.commitPartialProfit(symbol, 10);
        }
        if (peak > 0.9 && minutes % 30 === 0) await kit.commitBreakeven(symbol);
      },
      async onClose(symbol, data, _priceClose, when) {
        const session = (await kit.getSessionData(symbol)) ?? { losses: 0, since: null, up: null };
        const lost = data.pnl.pnlPercentage < 0;
        kit.Log.info("closed", { symbol, profit: data.pnl.pnlPercentage });
        await kit.setSessionData(symbol, { ...session, losses: lost ? session.losses + 1 : 0, since: when.getTime() });
      },
    },
  });
}

/** All that the bookkeeper stores goes to the persist adapters, in backtests too. */
function persistAll(kit) {
  for (const part of ["StorageBacktest", "NotificationBacktest", "RecentBacktest", "MemoryBacktest", "StateBacktest", "SessionBacktest"]) kit[part].usePersist();
  for (const part of ["StorageLive", "NotificationLive", "RecentLive", "MemoryLive", "StateLive", "SessionLive"]) kit[part].usePersist();
  kit.Log.usePersist();
  for (const part of ["Storage", "Notification", "Recent", "Memory", "State"]) kit[part].enable();
}

module.exports = { EXCHANGE, FRAME, RISK, addMarket, addCrossing, addBookkeeper, persistAll };

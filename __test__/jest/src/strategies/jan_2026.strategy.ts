import { ioc } from "backtest-kit-native";
import type PositionCacheService from "../services/PositionCacheService";

export const STRATEGY = "jan_2026_strategy";
export const EXCHANGE = "ccxt-exchange";
export const FRAME = "jan_2026_frame";

export interface Candle {
  timestamp: number;
  close: number;
}

let nextId = 0;
/** Ids as MongoDB makes them: 24 hex digits. */
const newId = (): string => (++nextId).toString(16).padStart(24, "0");

/** Buys a dip of two percent, takes half of the profit at one percent, and closes at two. */
export async function trade(symbol: string, candles: Candle[], positions: PositionCacheService): Promise<string[]> {
  const story: string[] = [];
  let previous = candles[0].close;
  for (const { timestamp, close } of candles) {
    const candle = { symbol, interval: "1m", exchangeName: EXCHANGE, timestamp };
    if (!(await ioc.candleCacheService.hasCandleId(symbol, "1m", EXCHANGE, timestamp))) {
      await ioc.candleCacheService.setCandleId({ ...candle, close, id: newId() });
    }
    const signalId = await ioc.signalCacheService.getSignalId(symbol, STRATEGY, EXCHANGE);
    const position = await positions.get(symbol);
    if (position === null && close <= previous * 0.98) {
      const id = await ioc.signalCacheService.setSignalId({
        symbol,
        strategyName: STRATEGY,
        exchangeName: EXCHANGE,
        payload: { priceOpen: close },
        id: newId(),
      });
      await positions.set(symbol, { symbol, side: "long", priceOpen: close });
      await ioc.riskCacheService.setRiskId({ riskName: "one_position", exchangeName: EXCHANGE, id });
      story.push(`open ${close}`);
    } else if (position !== null && signalId !== null) {
      const context = [symbol, STRATEGY, EXCHANGE, signalId] as const;
      const gain = close / position.priceOpen - 1;
      if (gain >= 0.02) {
        await positions.close(symbol);
        await ioc.storageCacheService.setStorageId({ backtest: true, signalId, id: newId() });
        story.push(`close ${close}`);
      } else if (gain >= 0.01 && !(await ioc.partialCacheService.hasPartialId(...context))) {
        await ioc.partialCacheService.setPartialId({
          symbol,
          strategyName: STRATEGY,
          exchangeName: EXCHANGE,
          signalId,
          id: newId(),
        });
        story.push(`half ${close}`);
      }
    }
    previous = close;
  }
  await ioc.recentCacheService.setRecentId({
    symbol,
    strategyName: STRATEGY,
    exchangeName: EXCHANGE,
    frameName: FRAME,
    backtest: true,
    id: newId(),
  });
  return story;
}

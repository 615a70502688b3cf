import { BaseMap, type LoggerService } from "backtest-kit-native";
import { inject } from "di-kit";
import TYPES from "../core/types";

const REDIS_KEY = "price_cache";

export interface PriceRow {
  symbol: string;
  exchangeName: string;
  price: number;
}

/** The last price of a symbol; gone after a minute, because an old price is worse than none. */
export class PriceCacheService extends BaseMap(REDIS_KEY, 60) {
  readonly loggerService = inject<LoggerService>(TYPES.loggerService);

  private _cacheKey(symbol: string, exchangeName: string): string {
    return `${exchangeName}:${symbol}`;
  }

  public async hasPrice(symbol: string, exchangeName: string): Promise<boolean> {
    this.loggerService.log("priceCacheService hasPrice", { symbol, exchangeName });
    return await this.has(this._cacheKey(symbol, exchangeName));
  }

  public async getPrice(symbol: string, exchangeName: string): Promise<number | null> {
    this.loggerService.log("priceCacheService getPrice", { symbol, exchangeName });
    const text = <string>await super.get(this._cacheKey(symbol, exchangeName));
    return text === null ? null : Number(text);
  }

  public async setPrice(row: PriceRow): Promise<number> {
    this.loggerService.log("priceCacheService setPrice", { symbol: row.symbol, exchangeName: row.exchangeName });
    await super.set(this._cacheKey(row.symbol, row.exchangeName), row.price);
    return row.price;
  }
}

export default PriceCacheService;

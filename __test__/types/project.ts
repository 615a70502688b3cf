// What backtest-kit projects contain, with only the import changed. It must compile as it stands.

import ioc, { BaseMap, ioc as named } from "backtest-kit-native";
import type {
  BacktestKitError,
  CandleCacheService,
  ErrorCode,
  ILogger,
  LoggerService,
  RedisService,
  SignalCacheService,
  TBaseMap,
} from "backtest-kit-native";

// A service of the project's own, with its logger injected.

declare function inject<T = object>(key: symbol): T;
const TYPES = { loggerService: Symbol("loggerService"), signalCacheService: Symbol("signalCacheService") };

interface PriceRow {
  symbol: string;
  price: number;
}

const KEY = "price_cache";

export class PriceCacheService extends BaseMap(KEY, -1) {
  readonly loggerService = inject<LoggerService>(TYPES.loggerService);

  private cacheKey(symbol: string): string {
    return `price:${symbol}`;
  }

  public async hasPrice(symbol: string): Promise<boolean> {
    this.loggerService.log("priceCacheService hasPrice", { symbol });
    return await this.has(this.cacheKey(symbol));
  }

  public async getPriceText(symbol: string): Promise<string | null> {
    const text = <string>await super.get(this.cacheKey(symbol));
    return text ?? null;
  }

  public async setPrice(row: PriceRow): Promise<number> {
    await super.set(this.cacheKey(row.symbol), row.price);
    return row.price;
  }
}

// Overrides may say what they return.
export class JsonMap extends BaseMap("json", 60) {
  override async get(key: string | null): Promise<PriceRow | null> {
    const text = await super.get(key);
    return text === null ? null : (JSON.parse(String(text)) as PriceRow);
  }

  override async set(key: string, value: PriceRow): Promise<void> {
    await super.set(key, JSON.stringify(value));
  }

  override async *keys(): AsyncIterableIterator<string> {
    for await (const key of super.keys()) yield key.toUpperCase();
  }
}

// The type of an instance.
type Instance = InstanceType<ReturnType<typeof BaseMap>>;
const direct: Instance = new BaseMap("direct");
const typed: TBaseMap = new (BaseMap("typed", 10))();
const map: BaseMap = new BaseMap("prices", 60);
export const maps: Instance[] = [direct, typed, map, new PriceCacheService(), ioc.signalCacheService];

// Services injected by type.
export class SignalLogic {
  private readonly signalCacheService = inject<SignalCacheService>(TYPES.signalCacheService);
  constructor(
    readonly candles: CandleCacheService = ioc.candleCacheService,
    readonly redis: RedisService = named.redisService,
  ) {}

  async find(symbol: string): Promise<string | null> {
    await this.redis.waitForInit();
    this.redis.waitForInit.clear();
    if (!(await this.signalCacheService.hasSignalId(symbol, "strategy", "exchange"))) return null;
    return await this.signalCacheService.getSignalId(symbol, "strategy", "exchange");
  }
}

// Rows as the project's own interfaces, with more fields than the key needs.
interface ISignalDto {
  symbol: string;
  strategyName: string;
  exchangeName: string;
  payload: { priceOpen: number };
}
interface ISignalRow extends ISignalDto {
  id: string;
  createDate: Date;
}
class ObjectId {
  toHexString(): string {
    return "65a1b2c3d4e5f60718293a4b";
  }
}
type MongooseLike<T> = T & { id?: any; _id: ObjectId; save(): Promise<void> };

export async function store(row: ISignalRow, document: MongooseLike<ISignalDto>): Promise<string[]> {
  return [
    await ioc.signalCacheService.setSignalId(row),
    await ioc.signalCacheService.setSignalId(document),
    await ioc.candleCacheService.setCandleId({
      symbol: "BTCUSDT",
      interval: "1m",
      exchangeName: "ccxt-exchange",
      timestamp: 1767225600000,
      open: 1,
      id: "65a1b2c3d4e5f60718293a4b",
    }),
  ];
}

// Loops over a map.
export async function walk(): Promise<number> {
  let total = 0;
  for await (const [key, value] of map.iterate()) total += key.length + String(value).length;
  for await (const key of map.keys()) total += key.length;
  for await (const value of map.values()) total += Number(value);
  for (const [key, value] of await map.toArray()) total += key.length + Number(value);
  await map.set("k", { any: "value" });
  await map.get(null);
  await map.delete("k");
  await map.clear();
  return total + (await map.size());
}

// A logger.
const logger: ILogger = {
  log: (topic: string, ...args: any[]) => console.log(topic, ...args),
  debug: (topic, ...args) => console.debug(topic, ...args),
  info: async (topic) => console.info(topic),
  warn: () => {},
};
ioc.loggerService.setLogger(logger);
const { log, setLogger } = ioc.loggerService;
setLogger(logger);
void log("topic", 1, 2);

// Errors.
export function explain(error: unknown): string {
  const { code, message, cause } = error as BacktestKitError;
  const known: ErrorCode[] = ["REDIS_UNAVAILABLE", "REDIS_TIMEOUT"];
  return known.includes(code) ? "try again later" : `${code}: ${message} (${String(cause)})`;
}

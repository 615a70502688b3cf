// A strategy and services as backtest-kit users write them, on a real Redis.

import ioc, * as lib from "backtest-kit-native";
import PositionCacheService from "./src/services/PositionCacheService";
import { EXCHANGE, FRAME, STRATEGY, trade } from "./src/strategies/jan_2026.strategy";
import { collect, rawKeys, useRedis } from "./support";

const own = useRedis(() => lib);

const MINUTE = 60_000;
const START = 1767225600000;
const candles = [100, 97, 97.5, 98, 98.5, 99, 99.5].map((close, i) => ({ timestamp: START + i * MINUTE, close }));

test("a strategy opens, takes half of the profit and closes", async () => {
  const story = await trade("TRXUSDT", candles, new PositionCacheService());
  expect(story).toEqual(["open 97", "half 98", "close 99"]);
});

test("what a strategy stored stands in Redis under the original's keys", async () => {
  await trade("TRXUSDT", candles, new PositionCacheService());
  const keys = Object.keys(await rawKeys(own.server));
  const signalId = await ioc.signalCacheService.getSignalId("TRXUSDT", STRATEGY, EXCHANGE);
  expect(keys).toEqual(
    [
      ...candles.map((candle) => `candle_cache:${EXCHANGE}:TRXUSDT:1m:${candle.timestamp}`),
      `partial_cache:${EXCHANGE}:${STRATEGY}:TRXUSDT:${signalId}`,
      `recent_cache:backtest:${EXCHANGE}:${STRATEGY}:${FRAME}:TRXUSDT`,
      `risk_cache:${EXCHANGE}:one_position`,
      `signal_cache:${EXCHANGE}:${STRATEGY}:TRXUSDT`,
      `storage_cache:backtest:${signalId}`,
    ].sort(),
  );
});

test("two strategies at once do not see each other's rows", async () => {
  const positions = new PositionCacheService();
  const symbols = ["TRXUSDT", "BTCUSDT", "ETHUSDT", "SOLUSDT"];
  const stories = await Promise.all(symbols.map((symbol) => trade(symbol, candles, positions)));
  for (const story of stories) expect(story).toEqual(["open 97", "half 98", "close 99"]);
  expect(await ioc.signalCacheService.size()).toBe(4);
  const ids = new Set(await collect(ioc.signalCacheService.values()));
  expect(ids.size).toBe(4);
});

test("overrides of a map's methods run, and super reaches the original ones", async () => {
  const positions = new PositionCacheService();
  const position = { symbol: "TRXUSDT", side: "long" as const, priceOpen: 1.5 };
  await positions.set("TRXUSDT", position);
  await positions.set("BTCUSDT", { ...position, symbol: "BTCUSDT" });
  expect(String(await own.server.command("GET", "position_cache:TRXUSDT"))).toBe(JSON.stringify(position));
  expect(await positions.get("TRXUSDT")).toEqual(position);
  expect(await positions.has("TRXUSDT")).toBe(true);
  expect(await positions.has("absent")).toBe(false);
  expect(positions.reads).toBe(2);
  expect(await positions.symbols()).toEqual(["BTCUSDT", "TRXUSDT"]);
  await positions.close("TRXUSDT");
  expect(await positions.size()).toBe(1);
});

test("has<Noun>Id of a subclass goes through its own has, get<Noun>Id and set<Noun>Id go past overrides", async () => {
  const seen: string[] = [];
  class Watched extends lib.SignalCacheService {
    override async has(key: string): Promise<boolean> {
      seen.push(`has ${key}`);
      return await super.has(key);
    }
    override async get(key: string | null): Promise<unknown> {
      seen.push(`get ${key}`);
      return await super.get(key);
    }
    override async set(key: string, value: unknown): Promise<void> {
      seen.push(`set ${key}`);
      await super.set(key, value);
    }
  }
  const watched = new Watched();
  const row = { symbol: "S", strategyName: "st", exchangeName: "ex", id: "1" };
  expect(await watched.setSignalId(row)).toBe("1");
  expect(await watched.hasSignalId("S", "st", "ex")).toBe(true);
  expect(await watched.getSignalId("S", "st", "ex")).toBe("1");
  expect(seen).toEqual(["has ex:st:S"]);
});

test("errors belong to the realm of the test, so that instanceof holds", async () => {
  const refused = ioc.signalCacheService.getSignalId(...(["only one"] as unknown as [string, string, string]));
  const error = await refused.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(TypeError);
  expect(error).toBeInstanceOf(Error);
  expect((error as lib.BacktestKitError).code).toBe("INVALID_CONTEXT");
  expect(await ioc.signalCacheService.toArray()).toBeInstanceOf(Array);
  expect(ioc.signalCacheService.size()).toBeInstanceOf(Promise);
  await own.server.command("HSET", "signal_cache:hash", "field", "value");
  const reply = await ioc.signalCacheService.get("hash").catch((reason: unknown) => reason);
  expect(reply).toBeInstanceOf(Error);
  expect((reply as lib.BacktestKitError).code).toBe("REDIS_REPLY");
  expect((reply as Error).message).toMatch(/^WRONGTYPE /);
});

test("the default export, the named export and the module's ioc are one", async () => {
  expect(ioc).toBe(lib.ioc);
  expect(lib.default).toBe(lib.ioc);
  expect(Object.keys(ioc).slice(0, 3)).toEqual(["loggerService", "mongoService", "redisService"]);
});

test("waitForInit resolves where the server is there", async () => {
  expect(await ioc.redisService.waitForInit()).toBe(undefined);
  ioc.redisService.waitForInit.clear();
  const { waitForInit } = ioc.redisService;
  expect(await waitForInit()).toBe(undefined);
});

// The compiler refuses these lists where they are not exactly what index.d.ts declares; the tests compare them with what
// is there. `default` is how CommonJS holds the default export.
const EXPORTS: Record<keyof typeof lib, true> = {
  default: true, ioc: true, BaseMap: true, CandleCacheService: true, SignalCacheService: true,
  ScheduleCacheService: true, StrategyCacheService: true, RiskCacheService: true, PartialCacheService: true,
  BreakevenCacheService: true, StorageCacheService: true, NotificationCacheService: true, LogCacheService: true,
  MeasureCacheService: true, IntervalCacheService: true, MemoryCacheService: true, RecentCacheService: true,
  StateCacheService: true, DictionaryCacheService: true, SessionCacheService: true, BaseCRUD: true,
  CandleDbService: true, SignalDbService: true, ScheduleDbService: true, StrategyDbService: true, RiskDbService: true,
  PartialDbService: true, BreakevenDbService: true, StorageDbService: true, NotificationDbService: true,
  LogDbService: true, MeasureDbService: true, IntervalDbService: true, MemoryDbService: true, RecentDbService: true,
  StateDbService: true, DictionaryDbService: true, SessionDbService: true, setConfig: true, getConfig: true,
  setLogger: true, waitForInit: true, stats: true, health: true, close: true,
  setup: true, install: true, getRedis: true, getMongo: true,
  PersistCandleInstance: true, PersistSignalInstance: true, PersistScheduleInstance: true, PersistStrategyInstance: true,
  PersistRiskInstance: true, PersistPartialInstance: true, PersistBreakevenInstance: true, PersistStorageInstance: true,
  PersistNotificationInstance: true, PersistLogInstance: true, PersistMeasureInstance: true, PersistIntervalInstance: true,
  PersistMemoryInstance: true, PersistRecentInstance: true, PersistStateInstance: true, PersistDictionaryInstance: true,
  PersistSessionInstance: true,
};
const STATS: Record<keyof lib.RedisStats, true> = {
  commands: true, replies: true, errors: true, timeouts: true, retried: true, connects: true, losses: true,
  flushes: true, bytesSent: true, bytesReceived: true, queued: true, inFlight: true,
  latency: true, sentinel: true, cluster: true,
};
const HEALTH: Record<keyof lib.RedisHealth, true> = {
  state: true, since: true, server: true, attempts: true, lastError: true, queued: true, inFlight: true, sentinel: true, cluster: true,
};
const CONFIG: Record<keyof lib.Config, true> = {
  CC_REDIS_HOST: true, CC_REDIS_PORT: true, CC_REDIS_USER: true, CC_REDIS_PASSWORD: true, CC_REDIS_URL: true,
  CC_REDIS_SENTINEL_USER: true, CC_REDIS_SENTINEL_PASSWORD: true,
  CC_REDIS_TLS_CA: true, CC_REDIS_TLS_CERT: true, CC_REDIS_TLS_KEY: true,
  CC_REDIS_TIMEOUT_MS: true, CC_REDIS_SCAN_COUNT: true, CC_REDIS_SCAN_COUNT_MAX: true, CC_REDIS_SPIN_US: true,
  CC_REDIS_QUEUE_MAX: true, CC_REDIS_QUEUE_MAX_BYTES: true,
  CC_NEAR_CACHE: true, CC_NEAR_CACHE_MAX_BYTES: true,
  CC_MONGO_CONNECTION_STRING: true, CC_MONGO_TIMEOUT_MS: true, CC_MONGO_FAILOVER_MS: true,
  CC_MONGO_QUEUE_MAX: true, CC_MONGO_QUEUE_MAX_BYTES: true,
  CC_CANDLE_CACHE_MAX_BYTES: true, CC_CANDLE_ABSENCE_MS: true, CC_CANDLE_IDS: true,
  CC_STORE_PATH: true, CC_STORE_TIMEOUT_MS: true, CC_STORE_SYNC: true,
};
const names = (object: object): string[] => Object.keys(object).sort();

test("what index.d.ts declares is what there is", async () => {
  expect(names(lib)).toEqual(names(EXPORTS));
  expect(names(lib.getConfig())).toEqual(names(CONFIG));
  expect(names(lib.stats().redis)).toEqual(names(STATS));
  expect(names(lib.health().redis)).toEqual(names(HEALTH));
  await ioc.signalCacheService.size();
  const { redis } = lib.stats();
  expect(names(redis)).toEqual(names(STATS));
  const { latency, sentinel, cluster, ...counters } = redis;
  expect(sentinel).toBe(null);
  expect(cluster).toBe(null);
  for (const value of [...Object.values(counters), ...Object.values(latency ?? {})]) expect(typeof value).toBe("number");
  expect(names(latency ?? {})).toEqual(["count", "max", "p50", "p99"]);
  const { state, server, since, attempts, lastError } = lib.health().redis;
  expect([state, server, typeof since, attempts, lastError]).toEqual([
    "ready", `127.0.0.1:${own.server.port}`, "number", 0, null,
  ]);
});

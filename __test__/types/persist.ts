// A project that used @backtest-kit/mongo, with only the name in its import changed; and the classes as what the kit asks
// for. It must compile as it stands.

import { BaseCRUD, BaseMap, getConfig, getMongo, getRedis, install, setConfig, setLogger, setup, waitForInit } from "backtest-kit-native";
import * as lib from "backtest-kit-native";

setLogger({ log: (...args: any[]) => console.log(...args), debug: () => {}, info: () => {}, warn: () => {} });
setConfig({ CC_REDIS_HOST: "127.0.0.1", CC_REDIS_PORT: 6379 });
setup({
  CC_REDIS_HOST: process.env.REDIS_HOST ?? "127.0.0.1",
  CC_REDIS_PORT: Number(process.env.REDIS_PORT) || 6379,
  CC_REDIS_USER: "",
  CC_REDIS_PASSWORD: "",
  CC_MONGO_CONNECTION_STRING: "mongodb://localhost:27017/backtest-kit",
});
setup();
install();

export async function story(): Promise<number> {
  await waitForInit();
  waitForInit.clear();
  const mongoose = await getMongo();
  const { connection } = mongoose;
  const redis = getRedis();
  await redis.set("a", "1");
  const size: number = await redis.dbsize();
  getRedis.clear();
  getMongo.clear();
  const { CC_REDIS_HOST, CC_REDIS_PORT } = getConfig();
  const host: string = CC_REDIS_HOST;
  const port: number = CC_REDIS_PORT;
  return size + connection.readyState + port + host.length;
}

export class PriceMap extends BaseMap("price", 60) {}
export class RiskRows extends BaseCRUD("risk-items") {}

// The contract, as the kit declares it.

type CandleInterval = "1m" | "3m" | "5m" | "15m" | "30m" | "1h" | "2h" | "4h" | "6h" | "8h" | "1d";
interface Row {
  id: string;
  minuteEstimatedTime: number;
}
interface CandleRow {
  timestamp: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
}
interface Init {
  waitForInit(initial: boolean): Promise<void>;
}
interface Candle extends Init {
  readCandlesData(limit: number, sinceTimestamp: number, untilTimestamp: number): Promise<CandleRow[] | null>;
  writeCandlesData(candles: CandleRow[]): Promise<void>;
}
interface Signal extends Init {
  readSignalData(): Promise<Row | null>;
  writeSignalData(signalRow: Row | null): Promise<void>;
}
interface Schedule extends Init {
  readScheduleData(): Promise<Row | null>;
  writeScheduleData(row: Row | null): Promise<void>;
}
interface Strategy extends Init {
  readStrategyData(): Promise<Row | null>;
  writeStrategyData(row: Row | null): Promise<void>;
}
interface Risk extends Init {
  readPositionData(when: Date): Promise<Array<[string, Row]>>;
  writePositionData(riskRow: Array<[string, Row]>, when: Date): Promise<void>;
}
interface Partial extends Init {
  readPartialData(signalId: string, when: Date): Promise<Record<string, Row>>;
  writePartialData(data: Record<string, Row>, signalId: string, when: Date): Promise<void>;
}
interface Breakeven extends Init {
  readBreakevenData(signalId: string, when: Date): Promise<Record<string, Row>>;
  writeBreakevenData(data: Record<string, Row>, signalId: string, when: Date): Promise<void>;
}
interface Storage extends Init {
  readStorageData(): Promise<Row[]>;
  writeStorageData(signals: Row[]): Promise<void>;
}
interface Notification extends Init {
  readNotificationData(): Promise<Row[]>;
  writeNotificationData(notifications: Row[]): Promise<void>;
}
interface Log extends Init {
  readLogData(): Promise<Row[]>;
  writeLogData(entries: Row[]): Promise<void>;
}
interface Measure extends Init {
  readMeasureData(key: string): Promise<Row | null>;
  writeMeasureData(data: Row, key: string, when: Date): Promise<void>;
  removeMeasureData(key: string): Promise<void>;
  listMeasureData(): AsyncGenerator<string>;
}
interface Interval extends Init {
  readIntervalData(key: string): Promise<Row | null>;
  writeIntervalData(data: Row, key: string, when: Date): Promise<void>;
  removeIntervalData(key: string): Promise<void>;
  listIntervalData(): AsyncGenerator<string>;
}
interface Memory extends Init {
  readMemoryData(memoryId: string): Promise<Row | null>;
  hasMemoryData(memoryId: string): Promise<boolean>;
  writeMemoryData(data: Row, memoryId: string, when: Date): Promise<void>;
  removeMemoryData(memoryId: string): Promise<void>;
  listMemoryData(): AsyncGenerator<{ memoryId: string; data: Row }>;
  dispose(): void;
}
interface Recent extends Init {
  readRecentData(): Promise<Row | null>;
  writeRecentData(signalRow: Row, when: Date): Promise<void>;
}
interface State extends Init {
  readStateData(): Promise<Row | null>;
  writeStateData(data: Row, when: Date): Promise<void>;
  dispose(): void;
}
interface Dictionary extends Init {
  readDictionaryData(): Promise<Row | null>;
  writeDictionaryData(data: Row, when: Date): Promise<void>;
  dispose(): void;
}
interface Session extends Init {
  readSessionData(): Promise<Row | null>;
  writeSessionData(data: Row, when: Date): Promise<void>;
  dispose(): void;
}

export const constructors: [
  new (symbol: string, interval: CandleInterval, exchangeName: string) => Candle,
  new (symbol: string, strategyName: string, exchangeName: string) => Signal,
  new (symbol: string, strategyName: string, exchangeName: string) => Schedule,
  new (symbol: string, strategyName: string, exchangeName: string) => Strategy,
  new (riskName: string, exchangeName: string) => Risk,
  new (symbol: string, strategyName: string, exchangeName: string) => Partial,
  new (symbol: string, strategyName: string, exchangeName: string) => Breakeven,
  new (backtest: boolean) => Storage,
  new (backtest: boolean) => Notification,
  new () => Log,
  new (bucket: string) => Measure,
  new (bucket: string) => Interval,
  new (signalId: string, bucketName: string) => Memory,
  new (symbol: string, strategyName: string, exchangeName: string, frameName: string, backtest: boolean) => Recent,
  new (signalId: string, bucketName: string) => State,
  new (signalId: string, dictionaryName: string) => Dictionary,
  new (strategyName: string, exchangeName: string, frameName: string) => Session,
  new (strategyName: string, exchangeName: string, frameName: string, symbol: string, backtest: boolean) => Session,
] = [
  lib.PersistCandleInstance,
  lib.PersistSignalInstance,
  lib.PersistScheduleInstance,
  lib.PersistStrategyInstance,
  lib.PersistRiskInstance,
  lib.PersistPartialInstance,
  lib.PersistBreakevenInstance,
  lib.PersistStorageInstance,
  lib.PersistNotificationInstance,
  lib.PersistLogInstance,
  lib.PersistMeasureInstance,
  lib.PersistIntervalInstance,
  lib.PersistMemoryInstance,
  lib.PersistRecentInstance,
  lib.PersistStateInstance,
  lib.PersistDictionaryInstance,
  lib.PersistSessionInstance,
  lib.PersistSessionInstance,
];

// One that is extended and registered alone.
class WatchedSignals extends lib.PersistSignalInstance {
  override async writeSignalData(row: Row | null): Promise<void> {
    console.log(this.symbol, row?.id);
    await super.writeSignalData(row);
  }
}
export const alone = {
  PersistSignalAdapter: { usePersistSignalAdapter(Ctor: new (symbol: string, strategyName: string, exchangeName: string) => Signal) {} },
};
alone.PersistSignalAdapter.usePersistSignalAdapter(WatchedSignals);
install(alone);

export const copies: readonly string[] = lib.health().kit.flatMap(({ name, version, from, adapters }) => [name ?? "", version ?? "", from, ...adapters]);

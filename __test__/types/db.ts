// The db services as backtest-kit projects use them, with only the import changed: their adapters, and classes of their own.

import { BaseCRUD, ioc, stats, waitForInit } from "backtest-kit-native";
import type { CandleColumns, CandleDbRow, CandleDto, ErrorCode, ListOptions, SessionDbRow, SignalCacheService, ThreePartSessionDbRow } from "backtest-kit-native";
import { expectType } from "./expect.js";

// The kit's own type, as its adapters are declared with.
type CandleInterval = "1m" | "3m" | "5m" | "15m" | "30m" | "1h" | "2h" | "4h" | "6h" | "8h" | "1d";
interface ICandleDto {
  symbol: string;
  interval: CandleInterval;
  timestamp: number;
  open: number;
  high: number;
  low: number;
  close: number;
  volume: number;
}
interface ICandleRow extends ICandleDto {
  id: string;
  exchangeName: string;
  createDate: Date;
  updatedDate: Date;
}
interface ISessionRow {
  id: string;
  strategyName: string;
  exchangeName: string;
  frameName: string;
  symbol: string;
  backtest: boolean;
  payload: { id: string };
  when: number;
}

declare const dto: ICandleDto;
const written: CandleDto = dto;

export async function candles(interval: CandleInterval): Promise<ICandleRow[]> {
  const created: ICandleRow = await ioc.candleDbService.create(written);
  const found: ICandleRow | null = await ioc.candleDbService.findBySymbolIntervalTimestamp("S", interval, "ex", 5);
  const length: CandleInterval = created.interval;
  expectType<CandleInterval>()(created.interval);
  expectType<Promise<boolean>>()(ioc.candleDbService.hasCandle("S", length, 5));
  const range: CandleDbRow[] | null = await ioc.candleDbService.findRange("S", interval, "ex", 5, 5);
  const columns: CandleColumns | null = await ioc.candleDbService.findColumns("S", interval, "ex", 5, 5);
  const present: Float64Array = (await ioc.candleDbService.findPresent("S", interval, "ex", 5, 5)).close;
  const { inserted }: { inserted: number } = await ioc.candleDbService.createMany("S", interval, "ex", [{ timestamp: 5, open: 1, high: 1, low: 1, close: 1, volume: columns?.volume[0] ?? present.length }]);
  expectType<void>()(ioc.candleDbService.forget("S"));
  expectType<number>()((stats().candleCache?.hits ?? 0) + inserted);
  return [created, ...(found ? [found] : []), ...(range ?? [])];
}

export async function sessions(): Promise<string> {
  const whole: ISessionRow | null = await ioc.sessionDbService.findByContext("st", "ex", "fr", "S", true);
  const older = await ioc.sessionDbService.findByContext("st", "ex", "fr");
  expectType<ThreePartSessionDbRow | null>()(older);
  // @ts-expect-error what three parts name has no symbol
  void older?.symbol;
  const rows: SessionDbRow[] = await ioc.sessionDbService.findAll();
  return `${whole?.symbol.length} ${whole?.backtest} ${older?.payload.id} ${rows.map((row) => row.symbol.toUpperCase())}`;
}

// Intervals: the original stores any text; a range has the step of one that the kit knows.
export async function intervals(text: string): Promise<void> {
  await ioc.candleDbService.create({ ...dto, interval: "7m" });
  await ioc.candleDbService.createMany("S", text, "ex", []);
  await ioc.candleDbService.findBySymbolIntervalTimestamp("S", text, "ex", 5);
  await ioc.candleCacheService.getCandleId("S", text, "ex", 5);
  ioc.candleDbService.forget("S", text);
  await ioc.candleDbService.findRange("S", "1m", "ex", 0, 5);
  // @ts-expect-error no interval of the kit
  await ioc.candleDbService.findRange("S", "7m", "ex", 0, 5);
  // @ts-expect-error a text that may be any
  await ioc.candleDbService.findColumns("S", text, "ex", 0, 5);
}

// Payloads of which the project has said nothing.
export async function payloads(): Promise<void> {
  expectType<any>()((await ioc.signalDbService.findByContext("S", "st", "ex"))!.payload);
  expectType<any>()((await ioc.riskDbService.findAll())[0]!.positions);
  await ioc.stateDbService.upsert("sig", "bucket", [1, "any"], new Date());
}

// Methods as callbacks, and lists with a limit.
export async function lists(buckets: string[], options: ListOptions): Promise<string[]> {
  const keys = await Promise.all(buckets.map(ioc.measureDbService.listKeys));
  await Promise.all([true, false].map(ioc.storageDbService.listByMode));
  await Promise.all(buckets.map(ioc.logDbService.findByEntryId));
  await Promise.all(buckets.map(ioc.intervalDbService.clearBucket));
  const few = await ioc.measureDbService.listKeys("b", { limit: 5 });
  const newest = await ioc.logDbService.listAll(options);
  // @ts-expect-error a limit has a name
  void ioc.measureDbService.listKeys("b", 5);
  return [...keys.flat(), ...few, ...newest.map((row) => row.entryId)];
}

// What a service holds.
const cache: SignalCacheService = ioc.signalDbService.signalCacheService;
expectType<typeof ioc.sessionCacheService>()(ioc.sessionDbService.sessionCacheService);
export const id: Promise<string | null> = cache.getSignalId("S", "st", "ex");

// Readiness.
export async function ready(): Promise<void> {
  await waitForInit();
  waitForInit.clear();
  await ioc.mongoService.waitForInit();
  ioc.mongoService.waitForInit.clear();
}

// Operations that every collection has.
class Risks extends BaseCRUD("risk-items") {
  readonly name = "risks";

  async raise(id: string): Promise<number> {
    const row = await super.update(id, { $inc: { when: 1 }, $push: { positions: ["k", {}] }, "positions.0": 1, riskName: "r" });
    const page = await super.paginate({}, { limit: 5 });
    const first = await super.findByFilter();
    for await (const one of super.iterate({}, { when: 1 })) if (one.riskName === first?.riskName) return one.when;
    return row.when + page.total + page.rows.length;
  }
}

// A model of the project's own: what mongoose gives has many more members.
interface Model {
  readonly modelName: string;
  countDocuments(): Promise<number>;
}
declare const OrderModel: Model;
class Orders extends BaseCRUD(OrderModel) {
  async count(): Promise<number> {
    const order: any = await super.create({ price: 1 });
    return (await this.TargetModel.countDocuments()) + order.price;
  }
}
expectType<Model>()(new Orders().TargetModel);
expectType<Model>()(new BaseCRUD(OrderModel).TargetModel);
expectType<string>()(new Risks().TargetModel.modelName);
export const crud = [new Orders(), new BaseCRUD("risk-items")];
// @ts-expect-error no such collection
void BaseCRUD("no-items");
// @ts-expect-error no model
void BaseCRUD({});
export const known: ErrorCode = "NOT_FOUND";

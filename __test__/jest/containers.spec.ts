// Services that a foreign container holds: objects that our constructors never made.

import * as lib from "backtest-kit-native";
import { createActivator, init, inject, provide } from "di-kit";
import { factory } from "./src/core/factory";
import TYPES from "./src/core/types";
import PriceCacheService from "./src/services/PriceCacheService";
import { collect, rawKeys, recorder, useRedis } from "./support";

const own = useRedis(() => lib);
const row = { symbol: "TRXUSDT", strategyName: "st", exchangeName: "ex", id: "65a1b2c3d4e5f60718293a4b" };

async function exercise(service: lib.SignalCacheService): Promise<void> {
  expect(await service.hasSignalId("TRXUSDT", "st", "ex")).toBe(false);
  expect(await service.setSignalId(row)).toBe(row.id);
  expect(await service.getSignalId("TRXUSDT", "st", "ex")).toBe(row.id);
  expect(await service.hasSignalId("TRXUSDT", "st", "ex")).toBe(true);
  expect(await rawKeys(own.server)).toEqual({ "signal_cache:ex:st:TRXUSDT": row.id });
  await service.set("k", 1);
  expect(await service.get("k")).toBe("1");
  expect(await service.size()).toBe(2);
  expect((await collect(service.keys())).sort()).toEqual(["ex:st:TRXUSDT", "k"]);
  expect((await collect(service.iterate())).map(([key]) => key).sort()).toEqual(["ex:st:TRXUSDT", "k"]);
  expect(service._getItemKey("k")).toBe("signal_cache:k");
  expect(service.connectionKey).toBe("signal_cache");
  expect(service.ttlExpireSeconds).toBe(-1);
  await service.delete("k");
  await service.clear();
  expect(await service.toArray()).toEqual([]);
}

test("di-kit hands out an object whose prototype is the service", async () => {
  provide(TYPES.loggerService, () => lib.ioc.loggerService);
  provide(TYPES.signalCacheService, () => new lib.SignalCacheService());
  provide(TYPES.priceCacheService, () => new PriceCacheService());
  const signals = inject<lib.SignalCacheService>(TYPES.signalCacheService);
  const prices = inject<PriceCacheService>(TYPES.priceCacheService);
  init();
  expect(Object.getPrototypeOf(signals)).toBeInstanceOf(lib.SignalCacheService);
  await exercise(signals);

  const logger = recorder();
  lib.setLogger(logger);
  expect(await prices.getPrice("TRXUSDT", "ex")).toBeNull();
  expect(await prices.setPrice({ symbol: "TRXUSDT", exchangeName: "ex", price: 0.29 })).toBe(0.29);
  expect(await prices.hasPrice("TRXUSDT", "ex")).toBe(true);
  expect(await prices.getPrice("TRXUSDT", "ex")).toBe(0.29);
  expect(await rawKeys(own.server)).toEqual({ "price_cache:ex:TRXUSDT": "0.29" });
  expect(await own.server.command("TTL", "price_cache:ex:TRXUSDT")).toBeGreaterThan(55);
  expect(logger.calls.slice(0, 2)).toEqual([
    ["log", "priceCacheService getPrice", { symbol: "TRXUSDT", exchangeName: "ex" }],
    ["info", "BaseMap get key=ex:TRXUSDT"],
  ]);
});

test("di-kit holds services of ioc too", async () => {
  const container = createActivator("project");
  container.provide("signals", lib.ioc.signalCacheService);
  const signals = container.inject<lib.SignalCacheService>("signals");
  container.init();
  await exercise(signals);
});

test("an object whose prototype was set to the service by hand", async () => {
  await exercise(Object.setPrototypeOf({}, new lib.SignalCacheService()) as lib.SignalCacheService);
  await exercise(Object.create(Object.create(lib.ioc.signalCacheService)) as lib.SignalCacheService);
});

test("an object with the class's prototype and the instance's own properties", async () => {
  const bare = Object.create(lib.SignalCacheService.prototype) as lib.SignalCacheService;
  await exercise(Object.assign(bare, new lib.SignalCacheService()));
});

test("a factory that copies own properties onto an object of its own class", async () => {
  const Service = factory(lib.SignalCacheService)();
  await exercise(new Service());
  class Extended extends factory(lib.SignalCacheService)() {
    async both(): Promise<[boolean, string | null]> {
      return [await this.hasSignalId("a", "b", "c"), await super.getSignalId("a", "b", "c")];
    }
  }
  expect(await new Extended().both()).toEqual([false, null]);
  await exercise(new Extended());
});

test("the same factory around a map", async () => {
  const Prices = factory(
    class extends lib.BaseMap("factory", 60) {
      constructor(readonly suffix: string) {
        super();
      }
      async last(): Promise<unknown> {
        return await super.get(`last${this.suffix}`);
      }
    },
  )("!");
  const prices = new Prices();
  await prices.set("last!", 5);
  expect(await prices.last()).toBe("5");
  expect(prices.ttlExpireSeconds).toBe(60);
  expect(await own.server.command("TTL", "factory:last!")).toBeGreaterThan(55);
});

test("generators work on such objects and keep their protocol", async () => {
  const service = Object.setPrototypeOf({}, lib.ioc.riskCacheService) as lib.RiskCacheService;
  for (let i = 0; i < 250; i++) await own.server.command("SET", `risk_cache:${i}`, i);
  own.monitor.clear();
  const keys = service.keys();
  expect(await own.monitor.calls()).toEqual([]);
  const first = await keys.next();
  expect(first.done).toBe(false);
  expect(await keys.return!("enough")).toEqual({ value: "enough", done: true });
  expect(await keys.next()).toEqual({ value: undefined, done: true });
});

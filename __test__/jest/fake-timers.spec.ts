// jest's fake timers replace setTimeout, setImmediate, process.nextTick and Date. Calls must not depend on them.

import * as lib from "backtest-kit-native";
import { collect, freshLib, startRedis, useRedis } from "./support";

const own = useRedis(() => lib);

afterEach(() => jest.useRealTimers());

test("calls resolve while timers are fake", async () => {
  jest.useFakeTimers();
  const row = { symbol: "S", strategyName: "st", exchangeName: "ex", id: "1" };
  expect(await lib.ioc.signalCacheService.setSignalId(row)).toBe("1");
  expect(await lib.ioc.signalCacheService.getSignalId("S", "st", "ex")).toBe("1");
  const map = new lib.BaseMap("fake", 60);
  await Promise.all(Array.from({ length: 200 }, (_, i) => map.set(`k${i}`, i)));
  expect(await map.size()).toBe(200);
  expect(await collect(map.keys())).toHaveLength(200);
  await map.clear();
  expect(await map.toArray()).toEqual([]);
});

test("a copy that is loaded while timers are fake connects and answers", async () => {
  jest.useFakeTimers();
  const copy = freshLib();
  await copy.ioc.signalCacheService.set("k", "v");
  expect(await copy.ioc.signalCacheService.get("k")).toBe("v");
  expect(await copy.ioc.redisService.waitForInit()).toBe(undefined);
  await copy.close();
});

test("a fake Date changes nothing", async () => {
  jest.useFakeTimers({ now: new Date("2001-01-01T00:00:00Z") });
  const map = new lib.BaseMap("dated", 60);
  await map.set("k", new Date());
  expect(await map.get("k")).toBe("2001-01-01T00:00:00.000Z");
  expect(await own.server.command("TTL", "dated:k")).toBeGreaterThan(55);
});

test("a deadline passes in real time", async () => {
  const frozen = await startRedis();
  const copy = freshLib();
  copy.setConfig({ CC_REDIS_URL: frozen.url, CC_REDIS_TIMEOUT_MS: 300 });
  await copy.ioc.signalCacheService.set("k", "v");
  await frozen.kill("SIGSTOP");
  jest.useFakeTimers();
  const error = await copy.ioc.signalCacheService.get("k").catch((reason: unknown) => reason);
  expect((error as lib.BacktestKitError).code).toBe("REDIS_TIMEOUT");
  jest.useRealTimers();
  await frozen.kill("SIGCONT");
  await copy.close();
  await frozen.stop();
});

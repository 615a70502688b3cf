// See isolation-one: the other file of the same process.

import * as lib from "backtest-kit-native";
import { useRedis } from "./support";

const own = useRedis(() => lib);

test("this file talks to its own server, not to that of the file before it", async () => {
  expect(await lib.ioc.signalCacheService.get("file")).toBeNull();
  await lib.ioc.signalCacheService.set("file", "two");
  expect(String(await own.server.command("GET", "signal_cache:file"))).toBe("two");
  expect(lib.health().redis.server).toContain(String(own.server.port));
});

test("close() and a call afterwards: a new connection, as if nothing had been", async () => {
  await lib.ioc.signalCacheService.set("k", "v");
  await lib.close();
  await lib.close();
  expect(await lib.ioc.signalCacheService.get("k")).toBe("v");
});

test("settings can be changed after close()", async () => {
  await lib.ioc.signalCacheService.set("k", "v");
  let error: unknown = null;
  try {
    lib.setConfig({ CC_REDIS_TIMEOUT_MS: 5000 });
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(Error);
  expect((error as lib.BacktestKitError).code).toBe("INVALID_CONFIG");
  await lib.close();
  lib.setConfig({ CC_REDIS_TIMEOUT_MS: 5000 });
  expect(lib.getConfig().CC_REDIS_TIMEOUT_MS).toBe(5000);
  expect(await lib.ioc.signalCacheService.get("k")).toBe("v");
});

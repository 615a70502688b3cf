// This file and isolation-two run in one process on one loaded addon, each with a server of its own.

import * as lib from "backtest-kit-native";
import { freshLib, startRedis, useRedis } from "./support";

const own = useRedis(() => lib);

test("this file talks to its own server", async () => {
  await lib.ioc.signalCacheService.set("file", "one");
  expect(String(await own.server.command("GET", "signal_cache:file"))).toBe("one");
  expect(lib.health().redis.server).toContain(String(own.server.port));
});

test("two copies of the package in one file have their own settings and connections", async () => {
  const other = await startRedis();
  const [first, second] = [freshLib(), freshLib()];
  expect(first.ioc === second.ioc).toBe(false);
  first.setConfig({ CC_REDIS_URL: own.server.url });
  second.setConfig({ CC_REDIS_URL: other.url });
  await Promise.all([first.ioc.riskCacheService.set("k", "first"), second.ioc.riskCacheService.set("k", "second")]);
  expect(String(await own.server.command("GET", "risk_cache:k"))).toBe("first");
  expect(String(await other.command("GET", "risk_cache:k"))).toBe("second");
  await first.close();
  await other.stop();
});

test("close() of one copy leaves the calls of another alone", async () => {
  const [first, second] = [freshLib(), freshLib()];
  await Promise.all([first.ioc.riskCacheService.set("k", 1), second.ioc.riskCacheService.set("k", 1)]);
  const calls = Array.from({ length: 100 }, () => second.ioc.riskCacheService.get("k"));
  await first.close();
  expect(await Promise.all(calls)).toEqual(calls.map(() => "1"));
  await second.close();
});

test("a logger of one copy hears nothing of another", async () => {
  const [first, second] = [freshLib(), freshLib()];
  const heard: string[] = [];
  const logger = { log: () => {}, debug: () => {}, warn: () => {}, info: (topic: string) => void heard.push(topic) };
  first.setLogger(logger);
  await second.ioc.riskCacheService.get("second");
  await first.ioc.riskCacheService.get("first");
  expect(heard).toEqual(["BaseMap get key=first"]);
  await Promise.all([first.close(), second.close()]);
});

test("errors of a copy made with jest.isolateModules are still Errors of this realm", async () => {
  const copy = freshLib();
  const error = await copy.ioc.signalCacheService.setSignalId({} as any).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(TypeError);
  await copy.close();
});

test("services of a copy work after jest has reset its modules", async () => {
  const copy = freshLib();
  jest.resetModules();
  await copy.ioc.signalCacheService.set("after", "reset");
  expect(await copy.ioc.signalCacheService.get("after")).toBe("reset");
  await copy.close();
});

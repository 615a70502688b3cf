// The same package as an ES module.

import ioc, { BaseMap, close, getConfig, health, setConfig, setLogger, stats, waitForInit } from "backtest-kit-native";
import { ioc as named, SignalCacheService, type Config, type TBaseMap } from "backtest-kit-native";
import { expectType } from "./expect.js";

class PriceMap extends BaseMap("price", 60) {
  async price(symbol: string): Promise<number> {
    return Number(await super.get(symbol));
  }
}

const map: TBaseMap = new PriceMap();
await map.set("k", 1);
await waitForInit();

// The default export is ioc, not the module.
expectType<typeof named>()(ioc);
expectType<Promise<string | null>>()(ioc.signalCacheService.getSignalId("s", "st", "ex"));
expectType<SignalCacheService>()(new SignalCacheService());

setConfig({ CC_REDIS_PORT: 6380, CC_REDIS_TIMEOUT_MS: "500", CC_REDIS_URL: null });
const config: Config = getConfig();
const state: "idle" | "connecting" | "ready" | "waiting" | "resting" = health().redis.state;
setLogger({ log() {}, debug() {}, info() {}, warn() {} });
console.log(config.CC_REDIS_PORT + stats().redis.commands, state);
await close();

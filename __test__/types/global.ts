// `ioc` as a global, after the import that sets it.

import "backtest-kit-native/global";

export const id: Promise<string | null> = ioc.signalCacheService.getSignalId("TRXUSDT", "strategy", "exchange");
export const same: Promise<number> = globalThis.ioc.riskCacheService.size();

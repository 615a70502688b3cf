// Every service, every form. Results are typed exactly.

import * as lib from "backtest-kit-native";
import { expectType } from "./expect.js";

const { ioc } = lib;
const [s, st, ex, fr, sig] = ["TRXUSDT", "strategy", "exchange", "frame", "signal"];
const id = "65a1b2c3d4e5f60718293a4b";
const uniform = { symbol: s, strategyName: st, exchangeName: ex, id };

const isThere = expectType<Promise<boolean>>();
const found = expectType<Promise<string | null>>();
const stored = expectType<Promise<string>>();

isThere(ioc.candleCacheService.hasCandleId(s, "1m", ex, 5));
isThere(ioc.candleCacheService.hasCandleId(s, st, ex));
found(ioc.candleCacheService.getCandleId(s, "1m", ex, 5));
found(ioc.candleCacheService.getCandleId(s, st, ex));
stored(ioc.candleCacheService.setCandleId(uniform));
stored(ioc.candleCacheService.setCandleId({ symbol: s, interval: "1m", exchangeName: ex, timestamp: 5, _id: id }));
found(ioc.signalCacheService.getSignalId(s, st, ex));
found(ioc.scheduleCacheService.getScheduleId(s, st, ex));
found(ioc.strategyCacheService.getStrategyId(s, st, ex));
found(ioc.riskCacheService.getRiskId("risk", ex));
found(ioc.riskCacheService.getRiskId(s, st, ex));
stored(ioc.riskCacheService.setRiskId({ riskName: "risk", exchangeName: ex, id }));
found(ioc.partialCacheService.getPartialId(s, st, ex, sig));
found(ioc.partialCacheService.getPartialId(s, st, ex));
found(ioc.breakevenCacheService.getBreakevenId(s, st, ex, sig));
found(ioc.breakevenCacheService.getBreakevenId(s, st, ex));
found(ioc.storageCacheService.getStorageId(true, sig));
found(ioc.storageCacheService.getStorageId(s, st, ex));
stored(ioc.storageCacheService.setStorageId({ backtest: false, signalId: sig, id }));
found(ioc.notificationCacheService.getNotificationId(false, "n"));
found(ioc.notificationCacheService.getNotificationId(s, st, ex));
found(ioc.logCacheService.getLogId("entry"));
found(ioc.logCacheService.getLogId(s, st, ex));
found(ioc.measureCacheService.getMeasureId("bucket", "key"));
found(ioc.measureCacheService.getMeasureId(s, st, ex));
found(ioc.intervalCacheService.getIntervalId("bucket", "key"));
found(ioc.intervalCacheService.getIntervalId(s, st, ex));
expectType<Promise<void>>()(ioc.intervalCacheService.deleteIntervalId("bucket", "key"));
found(ioc.memoryCacheService.getMemoryEntryId(sig, "bucket", "memory"));
found(ioc.memoryCacheService.getMemoryId(s, st, ex));
stored(ioc.memoryCacheService.setMemoryEntryId({ signalId: sig, bucketName: "bucket", memoryId: "memory", id }));
stored(ioc.memoryCacheService.setMemoryId(uniform));
found(ioc.recentCacheService.getRecentId(s, st, ex, fr, true));
found(ioc.recentCacheService.getRecentId(s, st, ex));
found(ioc.stateCacheService.getStateId(sig, "bucket"));
found(ioc.stateCacheService.getStateId(s, st, ex));
found(ioc.dictionaryCacheService.getDictionaryId(sig, "dictionary"));
found(ioc.sessionCacheService.getSessionId(st, ex, fr, s, false));
found(ioc.sessionCacheService.getSessionId(st, ex, fr));
found(ioc.sessionCacheService.getSessionId(s, st, ex));
stored(ioc.sessionCacheService.setSessionId({ strategyName: st, exchangeName: ex, frameName: "", id }));

// Each class can be made without ioc, and the member of ioc is of that class.
expectType<lib.CandleCacheService>()(new lib.CandleCacheService());
expectType<lib.CandleCacheService>()(ioc.candleCacheService);
expectType<lib.SessionCacheService>()(ioc.sessionCacheService);
expectType<lib.DictionaryCacheService>()(ioc.dictionaryCacheService);

// What a call asks for is in the names of its parameters.
type Names = Parameters<typeof ioc.signalCacheService.getSignalId>;
export const named: [symbol: string, strategyName: string, exchangeName: string] = null as unknown as Names;

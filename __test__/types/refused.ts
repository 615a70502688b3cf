// What must not compile. A line that compiles after all fails the run: its `@ts-expect-error` is then unused.

import { BaseMap, ioc, setConfig, setLogger } from "backtest-kit-native";
import type { BacktestKitError, ErrorCode } from "backtest-kit-native";

const id = "65a1b2c3d4e5f60718293a4b";

// Calls that fit no form.
// @ts-expect-error too few arguments
void ioc.signalCacheService.getSignalId("s", "st");
// @ts-expect-error too many arguments
void ioc.signalCacheService.getSignalId("s", "st", "ex", "more");
// @ts-expect-error null is no symbol
void ioc.signalCacheService.hasSignalId(null, "st", "ex");
// @ts-expect-error undefined is no symbol
void ioc.signalCacheService.hasSignalId(undefined, "st", "ex");
// @ts-expect-error an object is no symbol
void ioc.signalCacheService.hasSignalId({}, "st", "ex");
// @ts-expect-error a timestamp is a number
void ioc.candleCacheService.getCandleId("s", "1m", "ex", "yesterday");
// @ts-expect-error a Date is no timestamp
void ioc.candleCacheService.getCandleId("s", "1m", "ex", new Date());
// @ts-expect-error the flag comes first
void ioc.storageCacheService.getStorageId("signal", true);
// @ts-expect-error the uniform form belongs to the other noun
void ioc.memoryCacheService.getMemoryEntryId("signal", "bucket");
// @ts-expect-error dictionary has no uniform form
void ioc.dictionaryCacheService.getDictionaryId("s", "st", "ex");
// @ts-expect-error only intervals can be deleted
void ioc.measureCacheService.deleteMeasureId("bucket", "key");
// @ts-expect-error there is no such service
void ioc.candelCacheService;
// @ts-expect-error the services of ioc stay what they are
ioc.signalCacheService = ioc.signalCacheService;

// Rows that fit no form.
// @ts-expect-error no id
void ioc.signalCacheService.setSignalId({ symbol: "s", strategyName: "st", exchangeName: "ex" });
// @ts-expect-error id is null and there is no _id
void ioc.signalCacheService.setSignalId({ symbol: "s", strategyName: "st", exchangeName: "ex", id: null });
// @ts-expect-error an id is a string
void ioc.signalCacheService.setSignalId({ symbol: "s", strategyName: "st", exchangeName: "ex", id: 5 });
// @ts-expect-error exchangeName is missing
void ioc.signalCacheService.setSignalId({ symbol: "s", strategyName: "st", id });
// @ts-expect-error a misspelt field leaves the right one missing
void ioc.signalCacheService.setSignalId({ symbol: "s", strategyName: "st", exchange: "ex", id });
// @ts-expect-error fits neither form
void ioc.candleCacheService.setCandleId({ symbol: "s", interval: "1m", timestamp: 5, id });
// @ts-expect-error null is no row
void ioc.signalCacheService.setSignalId(null);
// @ts-expect-error a string is no row
void ioc.signalCacheService.setSignalId("s:st:ex");

// Maps.
// @ts-expect-error a map has a name
void new BaseMap();
// @ts-expect-error which is a string
void new BaseMap(5);
// @ts-expect-error a time to live is a number
void BaseMap("k", "soon");
// @ts-expect-error what BaseMap() returns is a class, not a map
void BaseMap("k").get("x");
const map = new BaseMap("k");
// @ts-expect-error a key is a string
void map.set(5, "v");
// @ts-expect-error the namespace stays what it is
map.connectionKey = "other";
// @ts-expect-error what was read is unknown until somebody says what it is
void map.get("k").then((value) => value.length);
// @ts-expect-error a generator is no promise of an array
void map.keys().then();
// @ts-expect-error an override must stay compatible
export class Wrong extends BaseMap("wrong", -1) { size(): string { return "many"; } }

// The rest.
// @ts-expect-error no such variable
setConfig({ CC_REDIS_PROT: 6379 });
// @ts-expect-error null is no port
setConfig({ CC_REDIS_PORT: null });
// @ts-expect-error a logger has four methods
setLogger({ log() {} });
// @ts-expect-error no such code
export const code: ErrorCode = "REDIS_GONE";
// @ts-expect-error the code of an error is one of the codes
export const never = (error: BacktestKitError) => error.code === "OOPS";

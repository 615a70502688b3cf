// The entry for ECMAScript modules. It hands out the one CommonJS instance, so that both kinds of module share a connection,
// and imports the kit here, because install() cannot wait.
import api from "./js/api.js";
import kits from "./js/kits.js";
import project from "./js/project.js";

for (const name of kits.NAMES) {
  try {
    kits.offer(await import(name), import.meta.resolve?.(name));
  } catch (error) {
    if (!project.isAbsent(error, name)) {
      kits.refuse(name, error);
    }
  }
  try {
    // Where this package is linked, Node has looked in the wrong place.
    for (const url of project.importable(name)) {
      kits.offer(await import(url), url);
    }
  } catch (error) {
    kits.refuse(name, error);
  }
}

export const {
  ioc,
  BaseMap,
  CandleCacheService,
  SignalCacheService,
  ScheduleCacheService,
  StrategyCacheService,
  RiskCacheService,
  PartialCacheService,
  BreakevenCacheService,
  StorageCacheService,
  NotificationCacheService,
  LogCacheService,
  MeasureCacheService,
  IntervalCacheService,
  MemoryCacheService,
  RecentCacheService,
  StateCacheService,
  DictionaryCacheService,
  SessionCacheService,
  BaseCRUD,
  CandleDbService,
  SignalDbService,
  ScheduleDbService,
  StrategyDbService,
  RiskDbService,
  PartialDbService,
  BreakevenDbService,
  StorageDbService,
  NotificationDbService,
  LogDbService,
  MeasureDbService,
  IntervalDbService,
  MemoryDbService,
  RecentDbService,
  StateDbService,
  DictionaryDbService,
  SessionDbService,
  PersistCandleInstance,
  PersistSignalInstance,
  PersistScheduleInstance,
  PersistStrategyInstance,
  PersistRiskInstance,
  PersistPartialInstance,
  PersistBreakevenInstance,
  PersistStorageInstance,
  PersistNotificationInstance,
  PersistLogInstance,
  PersistMeasureInstance,
  PersistIntervalInstance,
  PersistMemoryInstance,
  PersistRecentInstance,
  PersistStateInstance,
  PersistDictionaryInstance,
  PersistSessionInstance,
  setup,
  install,
  getRedis,
  getMongo,
  setConfig,
  getConfig,
  setLogger,
  waitForInit,
  stats,
  health,
  close,
} = api;
export default api.ioc;

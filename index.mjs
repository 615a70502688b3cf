// ECMAScript modules import the one CommonJS instance, so that both kinds of module share a connection.
import api from "./index.js";

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
  setConfig,
  getConfig,
  setLogger,
  waitForInit,
  stats,
  health,
  close,
} = api;
export default api.ioc;

export const TYPES = {
  loggerService: Symbol.for("loggerService"),
  signalCacheService: Symbol.for("signalCacheService"),
  priceCacheService: Symbol.for("priceCacheService"),
  positionCacheService: Symbol.for("positionCacheService"),
};

export default TYPES;

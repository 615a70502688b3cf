"use strict";

// Stands in for backtest-kit: its registries of persist adapters, mechanic for mechanic, of which each build of the real kit
// has its own. Options name what its releases differ in.

/** Functions of a registry: `method(instance, args)` after the context has been taken from the arguments. */
const at = (...places) => (args) => places.map((place) => args[place]);
const others = (...places) => (args) => args.filter((_, place) => !places.includes(place));

/** Calls of one kind: how they are named, where their context stands, what is left for the instance. */
const call = (name, ...context) => ({ name, context: at(...context), rest: others(...context) });

const KINDS = {
  Candle: [call("readCandlesData", 0, 1, 2), call("writeCandlesData", 1, 2, 3)],
  Signal: [call("readSignalData", 0, 1, 2), call("writeSignalData", 1, 2, 3)],
  Schedule: [call("readScheduleData", 0, 1, 2), call("writeScheduleData", 1, 2, 3)],
  Strategy: [call("readStrategyData", 0, 1, 2), call("writeStrategyData", 1, 2, 3)],
  Risk: [call("readPositionData", 0, 1), call("writePositionData", 1, 2)],
  Partial: [call("readPartialData", 0, 1, 3), call("writePartialData", 1, 2, 4)],
  Breakeven: [call("readBreakevenData", 0, 1, 3), call("writeBreakevenData", 1, 2, 4)],
  Storage: [call("readStorageData", 0), call("writeStorageData", 1)],
  Notification: [call("readNotificationData", 0), call("writeNotificationData", 1)],
  Log: [call("readLogData"), call("writeLogData")],
  Measure: [call("readMeasureData", 0), call("writeMeasureData", 1), call("removeMeasureData", 0), call("listMeasureData", 0)],
  Interval: [call("readIntervalData", 0), call("writeIntervalData", 1), call("removeIntervalData", 0), call("listIntervalData", 0)],
  Memory: [
    ...[call("readMemoryData", 0, 1), call("writeMemoryData", 1, 2), call("hasMemoryData", 0, 1)],
    ...[call("removeMemoryData", 0, 1), call("listMemoryData", 0, 1)],
  ],
  Recent: [call("readRecentData", 0, 1, 2, 3, 4), call("writeRecentData", 1, 2, 3, 4, 5)],
  State: [call("readStateData", 0, 1), call("writeStateData", 1, 2)],
  Dictionary: [call("readDictionaryData", 0, 1), call("writeDictionaryData", 1, 2)],
  Session: [call("readSessionData", 0, 1, 2, 3, 4), call("writeSessionData", 1, 2, 3, 5, 6)],
};
/** Kits before 18. */
const OLD_SESSION = [call("readSessionData", 0, 1, 2), call("writeSessionData", 1, 2, 3)];

/** The registry of one kind: `Persist…Adapter`. */
class Utils {
  constructor(noun, calls) {
    this.noun = noun;
    this.instances = new Map();
    /** What became of the instances, for the tests. */
    this.made = [];
    this.Ctor = class Unset {
      waitForInit() {
        throw new Error(`nobody has registered an adapter for ${noun}`);
      }
    };
    this[`usePersist${noun}Adapter`] = (Ctor) => {
      this.Ctor = Ctor;
      this.instances.clear();
    };
    for (const { name, context, rest } of calls) {
      this[name] = name.startsWith("list")
        ? (...args) => this.stream(name, context(args), rest(args))
        : async (...args) => {
            const [instance, initial] = this.of(context(args));
            await instance.waitForInit(initial);
            return instance[name](...rest(args));
          };
    }
  }

  /** The instance of a context, and whether it is new. */
  of(context) {
    const key = context.join(":");
    const initial = !this.instances.has(key);
    if (initial) {
      this.instances.set(key, Reflect.construct(this.Ctor, context));
      this.made.push(context);
    }
    return [this.instances.get(key), initial];
  }

  async *stream(name, context, rest) {
    const [instance, initial] = this.of(context);
    await instance.waitForInit(initial);
    yield* instance[name](...rest);
  }

  clear() {
    this.instances.clear();
  }
}

/**
 * A kit: `sessionParts` 5, or 3 as before release 18; `without` names kinds that a release lacks; `settings` is what
 * getConfig() returns.
 */
function standInKit({ sessionParts = 5, without = [], settings = {} } = {}) {
  const kinds = { ...KINDS, ...(sessionParts === 3 && { Session: OLD_SESSION }) };
  const kit = { getConfig: () => ({ ...settings }) };
  for (const [noun, calls] of Object.entries(kinds)) {
    if (!without.includes(noun)) kit[`Persist${noun}Adapter`] = new Utils(noun, calls);
  }
  return kit;
}

module.exports = { NOUNS: Object.keys(KINDS), standInKit };

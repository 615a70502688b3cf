"use strict";

// Looks at what the kit asks of its persist adapters: how often, what is still under way, and what a later process must
// find, by the calls that have been answered.

const { KINDS, registered } = require("./stores.js");

/** By method that writes: what it stores under which read. The kit's functions order their arguments in their own ways. */
const WRITES = {
  writeSignalData: (row, ...context) => ["readSignalData", context, row],
  writeScheduleData: (row, ...context) => ["readScheduleData", context, row],
  writeStrategyData: (row, ...context) => ["readStrategyData", context, row],
  writePositionData: (row, riskName, exchangeName, when) => ["readPositionData", [riskName, exchangeName], row, [when]],
  writePartialData: (data, symbol, strategyName, signalId, exchangeName, when) => ["readPartialData", [symbol, strategyName, signalId, exchangeName], data, [when]],
  writeBreakevenData: (data, symbol, strategyName, signalId, exchangeName, when) => ["readBreakevenData", [symbol, strategyName, signalId, exchangeName], data, [when]],
  writeMeasureData: (data, bucket, key) => ["readMeasureData", [bucket, key], data],
  removeMeasureData: (bucket, key) => ["readMeasureData", [bucket, key], null],
  writeIntervalData: (data, bucket, key) => ["readIntervalData", [bucket, key], data],
  removeIntervalData: (bucket, key) => ["readIntervalData", [bucket, key], null],
  writeMemoryData: (data, signalId, bucketName, memoryId) => ["readMemoryData", [signalId, bucketName, memoryId], data],
  removeMemoryData: (signalId, bucketName, memoryId) => ["readMemoryData", [signalId, bucketName, memoryId], null],
  writeRecentData: (row, ...context) => ["readRecentData", context.slice(0, 5), row],
  writeStateData: (data, signalId, bucketName) => ["readStateData", [signalId, bucketName], data],
  writeSessionData: (data, strategyName, exchangeName, frameName, _when, symbol, backtest) => [
    "readSessionData",
    [strategyName, exchangeName, frameName, symbol, backtest],
    data,
  ],
  writeStorageData: (list, backtest) => ["readStorageData", [backtest], list],
  writeNotificationData: (list, backtest) => ["readNotificationData", [backtest], list],
  writeLogData: (list) => ["readLogData", [], list],
};

const METHOD = /^(read|write|remove|list|has)[A-Z]/;

/**
 * Wraps the adapters of a copy of the kit: `counts` has calls by method, `settled()` resolves when none is under way (the
 * kit does not wait for the writes of logs), `written()` says what each read must find. `around(name, args, call)` may
 * stand around each call.
 */
function watch(kit, { around = (_name, _args, call) => call() } = {}) {
  const counts = {};
  const open = new Set();
  const last = new Map();

  function note(name, args) {
    const [read, context, value, rest = []] = WRITES[name](...args);
    // Later changes of the kit's own objects must not change what was written. Entries of lists are not changed.
    const kept = Array.isArray(value) ? [...value] : structuredClone(value);
    last.set(JSON.stringify([read, context]), { read, args: [...context, ...rest], value: kept });
  }

  for (const utils of KINDS.map((kind) => registered(kit, kind))) {
    for (const name of Object.keys(utils)) {
      const method = utils[name];
      if (typeof method !== "function" || !METHOD.test(name)) continue;
      utils[name] = (...args) => {
        counts[name] = (counts[name] ?? 0) + 1;
        const answer = around(name, args, () => method(...args));
        if (typeof answer.then !== "function") return answer;
        if (name in WRITES) note(name, args);
        open.add(answer);
        const done = () => open.delete(answer);
        answer.then(done, done);
        return answer;
      };
    }
  }

  return {
    counts,
    async settled() {
      while (open.size > 0) await Promise.allSettled([...open]);
    },
    written: () => [...last.values()],
  };
}

module.exports = { watch };

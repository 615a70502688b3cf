"use strict";
// Adapters whose contexts hold many rows that can be marked as removed: measure, interval, memory.

const { instances } = require("../db-services.js");
const { rowsOf } = require("./pages.js");
const { contextClass, define, defineCalls } = require("./adapter.js");
const { writeRow } = require("./order.js");

/** A row's payload, where it is there and not removed. */
const present = (row) => (row === null || row.removed ? null : (row.payload ?? null));

/** Whether a row of a call's key is there, removed or not; what is written, and marked as removed. */
function keyedMethods({ noun, service, context, find, dated }) {
  const db = instances[service];
  const keyOf = (instance, key) => [...context.map((part) => instance[part]), key];
  return {
    async [`read${noun}Data`](key) {
      return present(await db[find](...keyOf(this, key)));
    },

    async [`write${noun}Data`](data, key, when) {
      const whole = keyOf(this, key);
      return writeRow(service, whole, data, (value) => db.upsert(...whole, value, ...(dated ? [when] : [])));
    },

    async [`remove${noun}Data`](key) {
      const whole = keyOf(this, key);
      return writeRow(service, whole, null, () => db.softRemove(...whole));
    },
  };
}

/** `measure` and `interval`: entries of a bucket by their key. */
function bucketClass(noun, service, dated) {
  const Class = contextClass(noun, ["bucket"]);
  defineCalls(Class, keyedMethods({ noun, service, context: ["bucket"], find: "findByKey", dated }));
  define(Class, {
    async *[`list${noun}Data`]() {
      for await (const row of rowsOf(instances[service], "listKeys", { bucket: this.bucket }, { entryKey: 1 })) {
        yield row.entryKey;
      }
    },
  });
  return Class;
}

const MEMORY = { noun: "Memory", service: "memoryDbService", context: ["signalId", "bucketName"] };
const PersistMemoryInstance = contextClass(MEMORY.noun, MEMORY.context);
defineCalls(PersistMemoryInstance, keyedMethods({ ...MEMORY, find: "findByMemoryId", dated: true }));
defineCalls(PersistMemoryInstance, {
  async hasMemoryData(memoryId) {
    return instances.memoryDbService.hasMemoryEntry(this.signalId, this.bucketName, memoryId);
  },
});
define(PersistMemoryInstance, {
  async *listMemoryData() {
    const { signalId, bucketName } = this;
    const fields = { memoryId: 1, payload: 1 };
    for await (const row of rowsOf(instances.memoryDbService, "listEntries", { signalId, bucketName }, fields)) {
      yield { memoryId: row.memoryId, data: row.payload };
    }
  },

  dispose() {},
});

module.exports = {
  PersistMeasureInstance: bucketClass("Measure", "measureDbService", false),
  PersistIntervalInstance: bucketClass("Interval", "intervalDbService", true),
  PersistMemoryInstance,
};

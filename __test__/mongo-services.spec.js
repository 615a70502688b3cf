"use strict";

// Each db service: what its calls return, what they leave in MongoDB and in Redis, and what they log.

const { ObjectId } = require("bson");
const { serial: test } = require("ava");
const { outcome, recorder } = require("./support/addon.js");
const { withMongo, oursOnly, collections, argumentsFor, write, read, cacheKey, SAMPLE, CANDLE } = require("./support/mongo-peer.js");

// Candles are asked for and sent like other rows; candle-cache*.spec.js has those from memory.
const own = withMongo(test, { config: { CC_CANDLE_CACHE_MAX_BYTES: 0 } });
const ours = oursOnly(test);
const byName = Object.fromEntries(collections.map((row) => [row.service, row]));
const plain = (key) => own.redis.command("GET", key).then((value) => value && value.toString());

test.beforeEach(() => own.wipe());

for (const row of collections) {
  const { service, collection } = row;

  test(`${service}: what was never written is null, and nothing is cached for it`, async (t) => {
    t.is(await read(own.ioc, row), null);
    t.is(await plain(cacheKey(row)), null);
    t.is(await own.mongo.count(collection), 0);
  });

  test(`${service}: a row that was written is read with all its fields, and its id lies in Redis without a time to live`, async (t) => {
    const started = Date.now();
    const written = await write(own.ioc, row);
    const found = await read(own.ioc, row);
    if (row.upsertArgs) t.is(written, undefined);
    else t.deepEqual(written, found);
    const [stored] = await own.mongo.documents(collection);
    t.deepEqual(found, { ...stored, id: stored._id.toHexString() });
    t.true(found._id instanceof ObjectId || found._id._bsontype === "ObjectId");
    t.is(Object.getPrototypeOf(found), Object.prototype);
    t.is(found.__v, 0);
    for (const name of ["createDate", "updatedDate"]) t.true(found[name] >= started && found[name] <= Date.now() + 1000);
    if (row.upsertArgs) for (const name of row.upsertArgs) t.deepEqual(found[name], SAMPLE[name] instanceof Date ? SAMPLE[name].getTime() : SAMPLE[name]);
    t.is(await plain(cacheKey(row)), found.id);
    t.is(await own.redis.command("TTL", cacheKey(row)), -1);
  });

  test(`${service}: rows that differ in one part of the key are different rows`, async (t) => {
    await write(own.ioc, row);
    for (const name of row.key) {
      const over = { [name]: typeof SAMPLE[name] === "boolean" ? !SAMPLE[name] : typeof SAMPLE[name] === "number" ? 5 : "5m" };
      t.is(await read(own.ioc, row, over), null, name);
      await write(own.ioc, row, over);
      t.is((await read(own.ioc, row, over))[name], over[name]);
    }
    t.is(await own.mongo.count(collection), row.key.length + 1);
  });

  test(`${service}: a second write keeps the id and the date of creation, and the update is read`, async (t) => {
    await write(own.ioc, row);
    const before = await read(own.ioc, row);
    await new Promise((resolve) => setTimeout(resolve, 2));
    const payload = { id: "y", removed: false };
    await write(own.ioc, row, { payload, positions: [], when: new Date(5) });
    const after = await read(own.ioc, row);
    t.deepEqual([after.id, after.createDate], [before.id, before.createDate]);
    t.true(after.updatedDate > before.updatedDate);
    if (row.upsertArgs?.includes("payload")) t.deepEqual(after.payload, payload);
    if (row.upsertArgs?.includes("positions")) t.deepEqual(after.positions, []);
    if (row.upsertArgs?.includes("when")) t.is(after.when, 5);
    t.is(await own.mongo.count(collection), 1);
  });

  for (const [what, wrong] of [["absent", () => null], ["that names no document", () => "000000000000000000000000"]]) {
    test(`${service}: with a cached id ${what} the row is found, and the id is cached anew`, async (t) => {
      await write(own.ioc, row);
      const before = await read(own.ioc, row);
      if (wrong() === null) await own.redis.command("DEL", cacheKey(row));
      else await own.redis.command("SET", cacheKey(row), wrong());
      t.deepEqual(await read(own.ioc, row), before);
      t.is(await plain(cacheKey(row)), before.id);
    });
  }

  for (const garbage of ["not-an-object-id", "", "ABCDEF", "6b037d17f0687123749f4ec3\n", "\u0000"]) {
    ours(`${service}: a cached ${JSON.stringify(garbage)} is a miss, and the id is cached anew`, async (t) => {
      await write(own.ioc, row);
      const before = await read(own.ioc, row);
      await own.redis.command("SET", cacheKey(row), garbage);
      t.deepEqual(await read(own.ioc, row), before);
      t.is(await plain(cacheKey(row)), before.id);
    });
  }

  ours(`${service}: a cached id of another row is a miss, and the id is cached anew`, async (t) => {
    const last = row.key.at(-1);
    const over = { [last]: typeof SAMPLE[last] === "boolean" ? !SAMPLE[last] : typeof SAMPLE[last] === "number" ? 60_000 : "other" };
    await write(own.ioc, row);
    await write(own.ioc, row, over);
    const [first, second] = [await read(own.ioc, row), await read(own.ioc, row, over)];
    await own.redis.command("SET", cacheKey(row), second.id);
    t.deepEqual(await read(own.ioc, row), first);
    t.is(await plain(cacheKey(row)), first.id);
  });

  ours(`${service}: a cache key of another type does not stand in the way of a read`, async (t) => {
    await write(own.ioc, row);
    const before = await read(own.ioc, row);
    await own.redis.command("DEL", cacheKey(row));
    await own.redis.command("HSET", cacheKey(row), "field", "value");
    t.deepEqual(await read(own.ioc, row), before);
  });

  ours(`${service}: null or undefined in a key is refused, names the field, and stores nothing`, async (t) => {
    for (const name of row.key) {
      for (const value of [null, undefined]) {
        // A candle without an exchange has the default one.
        if (name === "exchangeName" && row.service === "candleDbService") continue;
        const { error } = await outcome(write(own.ioc, row, { [name]: value }));
        t.is(error?.code, "INVALID_CONTEXT", name);
        t.true(error.message.includes(name), error.message);
      }
    }
    t.is(await own.mongo.count(collection), 0);
    t.is(await own.redis.command("DBSIZE"), 0);
  });

  if (row.key.some((name) => row.fields[name] === "string")) {
    ours(`${service}: an array or an object in a key is refused and stores nothing`, async (t) => {
      for (const value of [["a", "b"], { $gt: "" }, Symbol("s"), () => "x"]) {
        const name = row.key.find((field) => row.fields[field] === "string");
        const { error } = await outcome(write(own.ioc, row, { [name]: value }));
        t.true(["INVALID_CONTEXT", "INVALID_VALUE"].includes(error?.code), String(error));
        t.true(error.message.includes(name), error.message);
      }
      t.is(await own.mongo.count(collection), 0);
    });
  }

  test(`${service}: methods work when they are detached`, async (t) => {
    const { upsert, create, [row.find]: find } = own.ioc[service];
    const detached = { [service]: { upsert, create, [row.find]: find } };
    await write(detached, row);
    t.truthy(await read(detached, row));
  });
}

// The log calls of one method, those of services and of BaseCRUD, as the original has them.
for (const row of collections) {
  test(`${row.service}: its calls are logged before anything is sent, keys only`, async (t) => {
    const logger = recorder();
    own.setLogger(logger);
    t.teardown(() => own.setLogger({ log() {}, debug() {}, info() {}, warn() {} }));
    await write(own.ioc, row);
    await read(own.ioc, row);
    const id = await plain(cacheKey(row));
    const short = cacheKey(row).slice(cacheKey(row).indexOf(":") + 1);
    const key = Object.fromEntries((row.findArgs || row.key).map((name) => [name, SAMPLE[name]]));
    const upsertArgs = row.upsertArgs && { ...Object.fromEntries(row.key.map((name) => [name, SAMPLE[name]])), ...(row.upsertArgs.includes("when") && { when: SAMPLE.when }) };
    const dto = { ...Object.fromEntries(row.key.map((name) => [name, SAMPLE[name]])), ...CANDLE };
    t.like(logger.calls[0], row.upsertArgs ? ["log", `${row.service} upsert`, upsertArgs] : ["log", `${row.service} create`, { dto }]);
    t.deepEqual(logger.calls.slice(1, 3).map(([level, topic]) => [level, topic]), [
      ["log", `${row.cacheService} set${row.noun}Id`],
      ["info", `BaseMap set key=${short}`],
    ]);
    t.deepEqual(logger.calls.slice(2, 3), [["info", `BaseMap set key=${short}`, { key: short, value: id }]]);
    t.deepEqual(logger.calls.slice(3), [
      ["log", `${row.service} ${row.find}`, key],
      ["log", `${row.cacheService} get${row.noun}Id`, key],
      ["info", `BaseMap get key=${short}`],
      ["info", `BaseCRUD findByFilter modelName=${row.collection}`, { filterData: { _id: id }, sort: undefined }],
    ]);
  });
}

test("measure, interval and memory: softRemove hides a row from the lists and keeps it for reading", async (t) => {
  for (const service of ["measureDbService", "intervalDbService", "memoryDbService"]) {
    const row = byName[service];
    await write(own.ioc, row);
    const list = () => (row.service === "memoryDbService" ? own.ioc[service].listEntries("sig-1", "bucket") : own.ioc[service].listKeys("bucket"));
    t.is((await list()).length, 1);
    t.is(await own.ioc[service].softRemove(...argumentsFor(row.key)), undefined);
    t.deepEqual(await list(), []);
    const found = await read(own.ioc, row);
    t.deepEqual([found.removed, found.payload.removed], [true, true]);
    await write(own.ioc, row, { payload: { removed: false } });
    t.is((await list()).length, 1);
  }
});

test("softRemove of what is not there resolves and stores nothing", async (t) => {
  t.is(await own.ioc.measureDbService.softRemove("bucket", "absent"), undefined);
  t.is(await own.mongo.count("measure-items"), 0);
  t.is(await own.redis.command("DBSIZE"), 0);
});

ours("softRemove of a row whose payload is null marks the row alone", async (t) => {
  await own.mongo.insert("measure-items", [{ bucket: "b", entryKey: "k", payload: null, removed: false, __v: 0 }]);
  await own.ioc.measureDbService.softRemove("b", "k");
  const [stored] = await own.mongo.documents("measure-items");
  t.deepEqual([stored.removed, stored.payload], [true, null]);
});

test("hasMemoryEntry stays true after softRemove, and is false for what was never written", async (t) => {
  const { memoryDbService } = own.ioc;
  t.is(await memoryDbService.hasMemoryEntry("sig-1", "bucket", "mem-1"), false);
  await write(own.ioc, byName.memoryDbService);
  await memoryDbService.softRemove("sig-1", "bucket", "mem-1");
  t.is(await memoryDbService.hasMemoryEntry("sig-1", "bucket", "mem-1"), true);
  await own.redis.command("FLUSHALL");
  t.is(await memoryDbService.hasMemoryEntry("sig-1", "bucket", "mem-1"), true);
  t.not(await plain("memory_cache:sig-1:bucket:mem-1"), null);
});

test("lists hold the rows of what was asked for only", async (t) => {
  const { storageDbService, notificationDbService, memoryDbService, measureDbService } = own.ioc;
  await storageDbService.upsert(true, "a", {});
  await storageDbService.upsert(false, "b", {});
  await notificationDbService.upsert(true, "a", {});
  await notificationDbService.upsert(false, "b", {});
  await memoryDbService.upsert("s", "b", "m1", {}, SAMPLE.when);
  await memoryDbService.upsert("s", "other", "m2", {}, SAMPLE.when);
  await measureDbService.upsert("b", "k1", {});
  await measureDbService.upsert("other", "k2", {});
  t.deepEqual((await storageDbService.listByMode(true)).map((row) => row.signalId), ["a"]);
  t.deepEqual((await notificationDbService.listByMode(false)).map((row) => row.notificationId), ["b"]);
  t.deepEqual((await memoryDbService.listEntries("s", "b")).map((row) => row.memoryId), ["m1"]);
  t.deepEqual(await measureDbService.listKeys("b"), ["k1"]);
});

test("lists of notifications and logs hold the newest 200 by creation, findAll's lists the 1000 last updated", async (t) => {
  const dated = (i) => ({ createDate: new Date(i * 1000), updatedDate: new Date(i * 1000), __v: 0, payload: { i } });
  const rows = (count, key) => Array.from({ length: count }, (_, i) => ({ ...key(i), ...dated(i) }));
  await own.mongo.insert("notification-items", rows(250, (i) => ({ backtest: true, notificationId: `n${i}` })));
  await own.mongo.insert("log-items", rows(250, (i) => ({ entryId: `l${i}` })));
  await own.mongo.insert("storage-items", rows(1100, (i) => ({ backtest: true, signalId: `s${i}` })));
  const numbers = (list) => list.map((row) => row.payload.i);
  const down = (from, count) => Array.from({ length: count }, (_, i) => from - i);
  t.deepEqual(numbers(await own.ioc.notificationDbService.listByMode(true)), down(249, 200));
  t.deepEqual(numbers(await own.ioc.logDbService.listAll()), down(249, 200));
  t.deepEqual(numbers(await own.ioc.storageDbService.listByMode(true)), down(1099, 1000));
});

test("clearBucket deletes a bucket's rows and their cached ids, and leaves the other buckets", async (t) => {
  const { intervalDbService } = own.ioc;
  for (const key of ["k1", "k2"]) await intervalDbService.upsert("b", key, {}, SAMPLE.when);
  await intervalDbService.upsert("other", "k1", {}, SAMPLE.when);
  t.is(await intervalDbService.clearBucket("b"), undefined);
  t.deepEqual((await own.mongo.documents("interval-items")).map((row) => row.bucket), ["other"]);
  t.deepEqual((await own.redis.command("KEYS", "*")).map(String), ["interval_cache:other:k1"]);
  t.is(await intervalDbService.findByKey("b", "k1"), null);
});

ours("clearBucket of more than a thousand rows leaves no cached id behind", async (t) => {
  const { intervalDbService } = own.ioc;
  await Promise.all(Array.from({ length: 1200 }, (_, i) => intervalDbService.upsert("b", `k${i}`, {}, SAMPLE.when)));
  await intervalDbService.clearBucket("b");
  t.is(await own.mongo.count("interval-items"), 0);
  t.is(await own.redis.command("DBSIZE"), 0);
});

const NO_KEYS = [() => "b", Symbol("b"), { $ne: "zz" }, { $exists: true }, ["b"], null, undefined];

ours("clearBucket of what is no bucket deletes nothing", async (t) => {
  const { intervalDbService } = own.ioc;
  for (const bucket of ["a", "b"]) await intervalDbService.upsert(bucket, "k", {}, SAMPLE.when);
  for (const wrong of NO_KEYS) {
    t.regex(String((await outcome(intervalDbService.clearBucket(wrong))).error?.code), /^INVALID_/);
    t.is(await own.mongo.count("interval-items"), 2);
  }
});

ours("lists refuse what is no part of a key", async (t) => {
  const { storageDbService, notificationDbService, memoryDbService, measureDbService } = own.ioc;
  await measureDbService.upsert("b", "k1", {});
  const calls = [
    (wrong) => storageDbService.listByMode(wrong),
    (wrong) => notificationDbService.listByMode(wrong),
    (wrong) => memoryDbService.listEntries("s", wrong),
    (wrong) => measureDbService.listKeys(wrong),
  ];
  for (const call of calls) {
    for (const wrong of NO_KEYS) t.regex(String((await outcome(call(wrong))).error?.code), /^INVALID_/);
  }
});

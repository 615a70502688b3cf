"use strict";

// What every db service inherits: create, update, findById, findByFilter, findAll, iterate, paginate.

const { ObjectId } = require("bson");
const { serial: test } = require("ava");
const { outcome, recorder, collect, loadFresh } = require("./support/addon.js");
const { withMongo, oursOnly, collections, isOriginal, SAMPLE } = require("./support/mongo-peer.js");

const own = withMongo(test);
const ours = oursOnly(test);
const ABSENT = "000000000000000000000000";
const risk = (over) => ({ riskName: "r", exchangeName: "e", positions: [], when: 5, ...over });

test.beforeEach(() => own.wipe());

/** Ten risks: names r0 … r9, `when` 0 … 9, written in another order than that of their names. */
async function tenRisks() {
  const rows = [];
  for (const i of [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]) rows.push(await own.ioc.riskDbService.create(risk({ riskName: `r${i}`, when: i })));
  return rows;
}

const names = (rows) => rows.map((row) => row.riskName);

test("create returns the row as it is stored, and caches nothing", async (t) => {
  const row = await own.ioc.riskDbService.create(risk());
  const [stored] = await own.mongo.documents("risk-items");
  t.deepEqual(row, { ...stored, id: stored._id.toHexString() });
  t.is(await own.redis.command("DBSIZE"), 0);
});

ours("rows are written and found by a copy that is loaded while process.nextTick is a test's own", async (t) => {
  const { nextTick } = process;
  process.nextTick = () => {};
  let lib;
  try {
    lib = loadFresh();
  } finally {
    process.nextTick = nextTick;
  }
  t.teardown(() => lib.close());
  for (let i = 0; i < 3; i++) {
    const row = await lib.ioc.riskDbService.create(risk({ riskName: `r${i}` }));
    t.is((await lib.ioc.riskDbService.findByContext(`r${i}`, "e")).id, row.id);
  }
  await lib.close();
});

test("create of a key that exists rejects with the server's E11000 and what it says about the key", async (t) => {
  await own.ioc.riskDbService.create(risk());
  const { error } = await outcome(own.ioc.riskDbService.create(risk()));
  t.regex(error.message, /^E11000 duplicate key error/);
  const server = isOriginal ? error : error.cause;
  t.is(server.code, 11000);
  t.deepEqual(server.keyPattern, { riskName: 1, exchangeName: 1 });
  t.deepEqual(server.keyValue, { riskName: "r", exchangeName: "e" });
  if (!isOriginal) t.is(error.code, "MONGO_WRITE");
});

test("create names every required field that is missing", async (t) => {
  const { error } = await outcome(own.ioc.riskDbService.create({}));
  for (const name of ["riskName", "exchangeName", "when"]) t.true(error.message.includes(name), error.message);
});

test("update changes the given fields, ignores id, and returns the row", async (t) => {
  const row = await own.ioc.riskDbService.create(risk());
  const updated = await own.ioc.riskDbService.update(row.id, { id: "ignored", when: 6 });
  t.deepEqual({ ...updated, updatedDate: row.updatedDate }, { ...row, when: 6 });
  t.true(updated.updatedDate >= row.updatedDate);
});

test("update and findById of an absent id reject with the collection's name", async (t) => {
  for (const call of [own.ioc.riskDbService.update(ABSENT, { when: 6 }), own.ioc.riskDbService.findById(ABSENT)]) {
    const { error } = await outcome(call);
    t.regex(error.message, /^risk-items not found/);
    if (!isOriginal) t.is(error.code, "NOT_FOUND");
  }
  t.is(await own.mongo.count("risk-items"), 0);
});

test("an id that is no ObjectId is refused by name", async (t) => {
  for (const id of ["garbage", "", "6b037d17f0687123749f4ec", {}]) {
    const { error } = await outcome(own.ioc.riskDbService.findById(id));
    t.regex(error.message, /_id/);
    if (!isOriginal) t.is(error.code, "INVALID_VALUE");
  }
});

test("findById takes text and ObjectId, of any case", async (t) => {
  const row = await own.ioc.riskDbService.create(risk());
  t.deepEqual(await own.ioc.riskDbService.findById(row.id), row);
  t.deepEqual(await own.ioc.riskDbService.findById(row.id.toUpperCase()), row);
  t.deepEqual(await own.ioc.riskDbService.findById(new ObjectId(row.id)), row);
});

test("findByFilter is null where nothing matches, and the first of the sort where several do", async (t) => {
  await tenRisks();
  t.is(await own.ioc.riskDbService.findByFilter({ riskName: "none" }), null);
  t.is((await own.ioc.riskDbService.findByFilter({ exchangeName: "e" }, { when: -1 })).riskName, "r9");
  t.is((await own.ioc.riskDbService.findByFilter({ exchangeName: "e" }, { when: 1 })).riskName, "r0");
});

const FILTERS = [
  ["everything", {}, 10],
  ["a number given as text", { when: "3" }, 1],
  ["text given as a number", { exchangeName: 5 }, 0],
  ["$in with numbers as text", { when: { $in: ["1", 2, "3"] } }, 3],
  ["$nin", { when: { $nin: [1, 2, 3] } }, 7],
  ["a range with text", { when: { $gte: "3", $lt: 6 } }, 3],
  ["$gt and $lte", { when: { $gt: 3, $lte: 6 } }, 3],
  ["$ne", { when: { $ne: "3" } }, 9],
  ["$exists", { when: { $exists: true }, positions: { $exists: false } }, 0],
  ["$or with casts in it", { $or: [{ when: "1" }, { riskName: "r2" }] }, 2],
  ["$and", { $and: [{ when: { $gt: 1 } }, { when: { $lt: 4 } }] }, 2],
  ["a regular expression", { riskName: /^r[12]$/ }, 2],
  ["$regex", { riskName: { $regex: "^r[345]$" } }, 3],
  ["$not", { when: { $not: { $gt: "3" } } }, 4],
  ["dates as text", { createDate: { $gte: "2020-01-01T00:00:00.000Z" } }, 10],
  ["dates as numbers", { createDate: { $lt: 1577836800000 } }, 0],
  ["dates", { updatedDate: { $gte: new Date(0) } }, 10],
  ["an array for a field", { when: [1, 2] }, 2],
];
for (const [title, filter, count] of FILTERS) {
  test(`filters are cast as the fields are: ${title}`, async (t) => {
    await tenRisks();
    t.is((await own.ioc.riskDbService.findAll(filter)).length, count);
    t.is((await own.ioc.riskDbService.paginate(filter, { limit: 1, offset: 0 })).total, count);
    t.is((await collect(own.ioc.riskDbService.iterate(filter))).length, count);
    t.is((await own.ioc.riskDbService.findByFilter(filter)) === null, count === 0);
  });
}

test("filters by _id take text, ObjectId and lists of them", async (t) => {
  const [a, b] = await tenRisks();
  const { riskDbService } = own.ioc;
  t.deepEqual(await riskDbService.findByFilter({ _id: a.id }), a);
  t.deepEqual(await riskDbService.findByFilter({ _id: a._id }), a);
  t.deepEqual(names(await riskDbService.findAll({ _id: { $in: [a.id, b._id] } })).sort(), ["r1", "r3"]);
});

test("filters reach into payloads without casting", async (t) => {
  const { stateDbService } = own.ioc;
  await stateDbService.upsert("s1", "b", { a: { n: 5 } }, SAMPLE.when);
  await stateDbService.upsert("s2", "b", { a: { n: "5" } }, SAMPLE.when);
  t.deepEqual((await stateDbService.findAll({ "payload.a.n": 5 })).map((row) => row.signalId), ["s1"]);
  t.deepEqual((await stateDbService.findAll({ "payload.a.n": "5" })).map((row) => row.signalId), ["s2"]);
});

test("a filter that cannot be cast is refused and names the field", async (t) => {
  for (const filter of [{ when: "noon" }, { when: { $gte: "noon" } }, { _id: "garbage" }, { createDate: "never" }, { when: { $in: ["noon"] } }]) {
    const { error } = await outcome(own.ioc.riskDbService.findAll(filter));
    t.true(error.message.includes(Object.keys(filter)[0]), error.message);
    if (!isOriginal) t.is(error.code, "INVALID_VALUE");
  }
});

test("findAll gives the last updated first, at most 1000, or as many as are asked for", async (t) => {
  const rows = await tenRisks();
  await new Promise((resolve) => setTimeout(resolve, 2));
  await own.ioc.riskDbService.update(rows[0].id, { when: 50 });
  const all = await own.ioc.riskDbService.findAll();
  t.is(all.length, 10);
  t.is(all[0].riskName, "r3");
  t.is((await own.ioc.riskDbService.findAll({}, 4)).length, 4);
  const many = Array.from({ length: 1100 }, (_, i) => ({ entryId: `l${i}`, payload: {}, updatedDate: new Date(i), createDate: new Date(0), __v: 0 }));
  await own.mongo.insert("log-items", many);
  const logs = await own.ioc.logDbService.findAll();
  t.deepEqual([logs.length, logs[0].entryId, logs.at(-1).entryId], [1000, "l1099", "l100"]);
});

test("iterate gives all rows in the sort's order, more than one batch of them", async (t) => {
  const many = Array.from({ length: 2500 }, (_, i) => ({ entryId: `l${String(i).padStart(5, "0")}`, payload: { i }, createDate: new Date(0), updatedDate: new Date(0), __v: 0 }));
  await own.mongo.insert("log-items", many);
  const seen = await collect(own.ioc.logDbService.iterate({}, { entryId: -1 }));
  t.deepEqual(seen.map((row) => row.payload.i), many.map((_, i) => 2499 - i));
  t.is(typeof seen[0].id, "string");
});

ours("a broken-off iteration leaves no cursor open on the server", async (t) => {
  const many = Array.from({ length: 5000 }, (_, i) => ({ entryId: `l${i}`, payload: "x".repeat(500), __v: 0 }));
  await own.mongo.insert("log-items", many);
  for await (const row of own.ioc.logDbService.iterate()) {
    t.truthy(row.entryId);
    break;
  }
  const open = async () => (await own.mongo.command({ serverStatus: 1 }, { database: "admin" })).metrics.cursor.open.total;
  for (let i = 0; (await open()) > 0; i++) {
    if (i > 500) return t.fail("the cursor stays open");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  t.pass();
});

test("iterate asks and logs nothing before its first next", async (t) => {
  const logger = recorder();
  own.setLogger(logger);
  t.teardown(() => own.setLogger({ log() {}, debug() {}, info() {}, warn() {} }));
  const iterator = own.ioc.riskDbService.iterate({}, { when: 1 });
  t.deepEqual(logger.calls, []);
  t.deepEqual(await iterator.next(), { value: undefined, done: true });
  t.deepEqual(logger.calls, [["info", "BaseCRUD iterate modelName=risk-items", { filterData: {}, sort: { when: 1 } }]]);
  t.is(Object.prototype.toString.call(iterator), "[object AsyncGenerator]");
});

test("paginate gives a page and the total", async (t) => {
  await tenRisks();
  const page = await own.ioc.riskDbService.paginate({ when: { $gt: 1 } }, { limit: 3, offset: 2 }, { when: 1 });
  t.deepEqual(names(page.rows), ["r4", "r5", "r6"]);
  t.is(page.total, 8);
  t.deepEqual(await own.ioc.riskDbService.paginate({ riskName: "none" }, { limit: 3, offset: 0 }), { rows: [], total: 0 });
});

test("every call of BaseCRUD is one line in the log", async (t) => {
  const logger = recorder();
  own.setLogger(logger);
  t.teardown(() => own.setLogger({ log() {}, debug() {}, info() {}, warn() {} }));
  const { riskDbService } = own.ioc;
  const { id } = await riskDbService.create(risk());
  await riskDbService.update(id, { when: 6 });
  await riskDbService.findById(id);
  await riskDbService.findByFilter({ riskName: "r" }, { when: 1 });
  await riskDbService.findAll({ riskName: "r" }, 1);
  await riskDbService.paginate({}, { limit: 1, offset: 0 }, { when: 1 });
  t.deepEqual(logger.calls, [
    ["info", "BaseCRUD create modelName=risk-items", { dto: risk() }],
    ["info", "BaseCRUD update modelName=risk-items", { id, dto: { when: 6 } }],
    ["info", "BaseCRUD findById modelName=risk-items", { id }],
    ["info", "BaseCRUD findByFilter modelName=risk-items", { filterData: { riskName: "r" }, sort: { when: 1 } }],
    ["info", "BaseCRUD findAll modelName=risk-items", { filterData: { riskName: "r" } }],
    ["info", "BaseCRUD paginate modelName=risk-items", { filterData: {}, pagination: { limit: 1, offset: 0 }, sort: { when: 1 } }],
  ]);
});

test("BaseCRUD works for each of the seventeen collections", async (t) => {
  t.is(collections.length, 17);
  for (const { collection } of collections) t.deepEqual(await own.crud(collection).findAll(), []);
});

ours("BaseCRUD takes a mongoose model for its name, and refuses other names", async (t) => {
  const Crud = own.lib.BaseCRUD(Object.assign(function model() {}, { modelName: "risk-items" }));
  class Risks extends Crud {
    firstOf(exchangeName) {
      return super.findByFilter({ exchangeName });
    }
  }
  const row = await own.ioc.riskDbService.create(risk());
  t.deepEqual(await new Risks().firstOf("e"), row);
  for (const name of ["no-items", "", null, undefined, {}]) t.throws(() => own.lib.BaseCRUD(name), undefined, String(name));
});

ours("dates in filters are taken as ISO texts and milliseconds, and other texts are refused", async (t) => {
  const dated = (riskName, createDate) => ({ riskName, exchangeName: "e", when: 5, createDate: new Date(createDate), updatedDate: new Date(createDate) });
  await own.mongo.insert("risk-items", [dated("old", "2025-06-01T00:00:00Z"), dated("new", "2026-06-01T00:00:00Z")]);
  const crud = own.crud("risk-items");
  const after = async ($gte) => (await crud.findAll({ createDate: { $gte } })).map((row) => row.riskName);
  for (const date of ["2026", "2026-01", "2026-01-01", "2026-01-01T03:00:00+03:00", "1767225600000", 1767225600000, new Date(1767225600000)]) {
    t.deepEqual(await after(date), ["new"], String(date));
  }
  for (const date of ["Jan 1 2026", "2026-01-01T00:00:00", "5", "soon"]) {
    t.is((await outcome(after(date))).error?.code, "INVALID_VALUE", date);
  }
});

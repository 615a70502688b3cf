"use strict";

// Filters, sorts, bounds: what is taken in which form, and what is refused because a call without it would mean something else.

const { serial: test } = require("ava");
const { outcome, collect } = require("./support/addon.js");
const { withMongo, oursOnly, SAMPLE } = require("./support/mongo-peer.js");

const own = withMongo(test);
const ours = oursOnly(test);
const ROWS = [3, 1, 4, 0, 2];

test.beforeEach(async () => {
  await own.wipe();
  for (const when of ROWS) await own.ioc.riskDbService.create({ riskName: `r${when}`, exchangeName: "e", positions: [{ a: when }], when });
});

/** The names of the rows that a filter finds. */
async function found(filter) {
  return (await own.ioc.riskDbService.findAll(filter)).map((row) => row.riskName).sort();
}

/** Every call that takes a filter, and gives it. */
const READERS = {
  findAll: (filter) => own.ioc.riskDbService.findAll(filter),
  findByFilter: (filter) => own.ioc.riskDbService.findByFilter(filter),
  iterate: (filter) => collect(own.ioc.riskDbService.iterate(filter)),
  paginate: (filter) => own.ioc.riskDbService.paginate(filter, { limit: 5, offset: 0 }),
};

const LEFT_OUT = [
  ["a function for a field", { riskName: () => "r1" }, "riskName"],
  ["a function for a field that there is not", { unknown: () => 1 }, "unknown"],
  ["a function in a path", { "positions.0.a": () => 1 }, "positions.0.a"],
  ["a function in an operator", { when: { $gt: () => 1 } }, "$gt"],
  ["a function in a list", { when: { $in: [() => 1] } }, "$in"],
  ["a function in a branch", { $or: [{ when: 1 }, { riskName: () => 1 }] }, "riskName"],
  ["a function as a branch", { $and: [() => 1] }, "$and"],
  ["a function deep in a payload", { positions: { $elemMatch: { a: { $gt: () => 1 } } } }, "$elemMatch"],
  ["a class", { riskName: class Name {} }, "riskName"],
  ["a symbol for a field", { riskName: Symbol("r1") }, "riskName"],
  ["a symbol in a list", { riskName: { $in: ["r1", Symbol("r2")] } }, "$in"],
  ["a symbol as a name", { [Symbol("or")]: [{ when: 1 }] }, "Symbol(or)"],
  ["a symbol as an operator", { when: { [Symbol("gt")]: 1 } }, "Symbol(gt)"],
  ["a Promise", Promise.resolve({ when: 1 }), "Promise"],
  ["a Set", new Set(["r1"]), "Set"],
  ["a list", [{ when: 1 }], "Array"],
  ["a Date", new Date(0), "Date"],
  ["a function", () => ({ when: 1 }), "function"],
  ["null", null, "null"],
];
for (const [title, filter, word] of LEFT_OUT) {
  for (const [name, read] of Object.entries(READERS)) {
    ours(`${name} refuses what its filter would be without, and asks nothing: ${title}`, async (t) => {
      const { mongo } = await own.asked(async () => {
        const { error } = await outcome(read(filter));
        t.is(error?.code, "INVALID_VALUE");
        t.true(error.message.includes(word), error.message);
      });
      t.deepEqual(mongo, []);
    });
  }
}

for (const [title, id] of [["a function", () => 1], ["a symbol", Symbol("id")]]) {
  ours(`findById and update refuse an id that is ${title}`, async (t) => {
    for (const call of [own.ioc.riskDbService.findById(id), own.ioc.riskDbService.update(id, { when: 9 })]) {
      t.is((await outcome(call)).error?.code, "INVALID_VALUE");
    }
    t.deepEqual(await found({ when: 9 }), []);
  });
}

ours("a sort that would be lost is refused", async (t) => {
  for (const sort of [() => 1, Symbol("when"), { when: () => -1 }, { [Symbol("when")]: -1 }]) {
    t.is((await outcome(own.ioc.riskDbService.findByFilter({}, sort))).error?.code, "INVALID_VALUE");
  }
});

ours("a row is refused where a whole field of it would be lost, and stored without functions that are no fields", async (t) => {
  const { riskDbService, stateDbService, intervalDbService } = own.ioc;
  const dto = { riskName: "new", exchangeName: "e", when: 9 };
  const calls = [
    riskDbService.create({ ...dto, positions: () => [] }),
    riskDbService.create({ ...dto, riskName: Symbol("new") }),
    riskDbService.create({ ...dto, "positions.0": 1 }),
    riskDbService.create([dto]),
    riskDbService.upsert("new", "e", () => [], SAMPLE.when),
    stateDbService.upsert("new", "e", () => ({}), SAMPLE.when),
    intervalDbService.upsert("new", "e", Symbol("p"), SAMPLE.when),
  ];
  for (const call of calls) t.is((await outcome(call)).error?.code, "INVALID_VALUE");
  t.deepEqual([await own.mongo.count("risk-items"), await own.mongo.count("state-items"), await own.mongo.count("interval-items")], [5, 0, 0]);
  t.is((await riskDbService.create({ ...dto, describe: () => "new" })).riskName, "new");
});

const FORMS = [
  ["one value for $in", { when: { $in: "1" } }, ["r1"]],
  ["null for $in", { when: { $in: null } }, []],
  ["$mod with text", { when: { $mod: ["2", "0"] } }, ["r0", "r2", "r4"]],
  ["$exists with text", { when: { $exists: "false" } }, []],
  ["numbers and text as objects", { when: new Number(1), riskName: new String("r1") }, ["r1"]],
  ["objects in an operator", { when: { $gte: new Number(3) } }, ["r3", "r4"]],
  ["JavaScript for the server, as a function", { $where: function () { return this.when > 2; } }, ["r3", "r4"]],
  ["JavaScript for the server in a branch", { $or: [{ when: 0 }, { $where: "this.when > 3" }] }, ["r0", "r4"]],
  ["an object of a class", new (class Filter { when = 1; })(), ["r1"]],
  ["an object without a prototype", Object.assign(Object.create(null), { when: "1" }), ["r1"]],
  ["undefined, which is null", { when: undefined }, []],
];
for (const [title, filter, names] of FORMS) {
  test(`filters take what the original's take: ${title}`, async (t) => {
    t.deepEqual(await found(filter), names);
  });
}

test("a regular expression for a number is refused by its field", async (t) => {
  for (const filter of [{ when: /1/ }, { when: { $regex: "1" } }]) t.regex((await outcome(found(filter))).error?.message, /when/);
});

test("without a filter findByFilter, paginate, findAll and iterate mean all rows", async (t) => {
  const { riskDbService } = own.ioc;
  t.truthy(await riskDbService.findByFilter());
  t.is((await riskDbService.findByFilter(undefined, { when: -1 })).riskName, "r4");
  t.is((await riskDbService.paginate(undefined, { limit: 2, offset: 0 })).total, 5);
  t.is((await riskDbService.findAll()).length, 5);
  t.is((await collect(riskDbService.iterate())).length, 5);
});

const PAGES = [
  ["a limit alone", { limit: 2 }, ["r0", "r1"]],
  ["an offset alone", { offset: 3 }, ["r3", "r4"]],
  ["neither", {}, ["r0", "r1", "r2", "r3", "r4"]],
  ["null for both", { limit: null, offset: null }, ["r0", "r1", "r2", "r3", "r4"]],
  ["text for both", { limit: "2", offset: "1" }, ["r1", "r2"]],
  ["0, which is no limit", { limit: 0, offset: 4 }, ["r4"]],
];
for (const [title, pagination, names] of PAGES) {
  test(`paginate takes ${title}`, async (t) => {
    const { rows, total } = await own.ioc.riskDbService.paginate({}, pagination, { when: 1 });
    t.deepEqual([rows.map((row) => row.riskName), total], [names, 5]);
  });
}

ours("bounds that are no whole numbers are refused", async (t) => {
  const { riskDbService } = own.ioc;
  for (const wrong of [-1, 0.5, NaN, Infinity, "x", {}, [1], true, 1n, () => 1]) {
    const calls = [riskDbService.paginate({}, { limit: wrong }), riskDbService.paginate({}, { offset: wrong }), riskDbService.findAll({}, wrong)];
    for (const call of calls) t.is((await outcome(call)).error?.code, "INVALID_VALUE", String(wrong));
  }
  for (const wrong of [undefined, null, 5, [2]]) t.is((await outcome(riskDbService.paginate({}, wrong))).error?.code, "INVALID_VALUE");
});

test("findAll takes a limit as a number or its text, and null is none", async (t) => {
  const { riskDbService } = own.ioc;
  for (const [limit, count] of [[2, 2], ["2", 2], [null, 5], [0, 5]]) t.is((await riskDbService.findAll({}, limit)).length, count);
});

const SORTS = [
  ["text", "-when", "r4"],
  ["a list of texts", ["-when"], "r4"],
  ["a map", new Map([["when", -1]]), "r4"],
  ["words", { when: "descending" }, "r4"],
];
for (const [title, sort, first] of SORTS) {
  test(`a sort may be ${title}`, async (t) => {
    t.is((await own.ioc.riskDbService.findByFilter({}, sort)).riskName, first);
  });
}

test("filters that find nothing, for what MongoDB cannot find, are errors or empty, never everything", async (t) => {
  for (const filter of [{ when: {} }, { riskName: { a: 1 } }, { when: { $foo: 1 } }, { $foo: 1 }, { positions: {} }]) {
    const { value, error } = await outcome(found(filter));
    t.true(error instanceof Error || value.length === 0, JSON.stringify(filter));
  }
});

ours("an empty branch list is refused by the server", async (t) => {
  for (const filter of [{ $or: [] }, { $and: [] }, { $nor: [] }]) t.is((await outcome(found(filter))).error?.code, "MONGO_REPLY");
});

ours("what turns itself into text, a number or a date is refused where such a field is meant", async (t) => {
  const text = { toString: () => "r1" };
  const number = { valueOf: () => 1 };
  for (const dto of [{ riskName: text }, { riskName: new Date(0) }, { riskName: /r1/ }, { when: number }, { when: text }]) {
    const { error } = await outcome(own.ioc.riskDbService.create({ riskName: "x", exchangeName: "e", when: 1, ...dto }));
    t.is(error?.code, "INVALID_VALUE");
  }
});

test("the methods of lists and finds work as callbacks: arguments after their own count for nothing", async (t) => {
  const { measureDbService, storageDbService, logDbService, memoryDbService, intervalDbService, riskDbService } = own.ioc;
  for (const bucket of ["a", "b"]) for (const key of ["k1", "k2"]) await measureDbService.upsert(bucket, key, { removed: false });
  await intervalDbService.upsert("a", "k", { removed: false }, SAMPLE.when);
  await storageDbService.upsert(true, "s1", {});
  for (const id of ["l1", "l2"]) await logDbService.upsert(id, {});
  await memoryDbService.upsert("s", "b", "m", { removed: false }, SAMPLE.when);
  const keys = await Promise.all(["a", "b"].map(measureDbService.listKeys));
  t.deepEqual(keys.map((list) => list.sort()), [["k1", "k2"], ["k1", "k2"]]);
  t.deepEqual((await Promise.all([true, false].map(storageDbService.listByMode))).map((rows) => rows.length), [1, 0]);
  t.is((await logDbService.listAll(0, 1, 2)).length, 2);
  t.deepEqual((await Promise.all(["l1", "l2"].map(logDbService.findByEntryId))).map((row) => row.entryId), ["l1", "l2"]);
  t.is((await memoryDbService.listEntries("s", "b", 0, [])).length, 1);
  t.true(await memoryDbService.hasMemoryEntry("s", "b", "m", 0));
  t.is((await riskDbService.findAll()).length, 5);
  await Promise.all(["a"].map(intervalDbService.clearBucket));
  t.is(await own.mongo.count("interval-items"), 0);
});

ours("a list takes its limit as { limit }", async (t) => {
  const { logDbService, storageDbService, measureDbService, memoryDbService } = own.ioc;
  for (const i of [1, 2, 3]) {
    await logDbService.upsert(`l${i}`, {});
    await storageDbService.upsert(true, `s${i}`, {});
    await measureDbService.upsert("b", `k${i}`, {});
    await memoryDbService.upsert("s", "b", `m${i}`, {}, SAMPLE.when);
  }
  const lists = [
    (options) => logDbService.listAll(options),
    (options) => storageDbService.listByMode(true, options),
    (options) => measureDbService.listKeys("b", options),
    (options) => memoryDbService.listEntries("s", "b", options),
  ];
  for (const list of lists) {
    t.is((await list({ limit: 2 })).length, 2);
    for (const all of [{}, { limit: undefined }, undefined, null, 2, [2]]) t.is((await list(all)).length, 3);
    for (const limit of [-5, 0.5, NaN, {}, "x", null]) t.is((await outcome(list({ limit }))).error?.code, "INVALID_VALUE", String(limit));
  }
});

ours("an absent filter is logged as it was given", async (t) => {
  const lines = [];
  own.setLogger({ log() {}, debug() {}, warn() {}, info: (...args) => lines.push(args) });
  await own.ioc.riskDbService.findByFilter();
  own.setLogger(null);
  t.deepEqual(lines, [["BaseCRUD findByFilter modelName=risk-items", { filterData: undefined, sort: undefined }]]);
});

"use strict";

// `update` with operators and paths. What is stored is in spec/documents.json; here is what is refused, by whom, and what
// happens when a reply is lost.

const { serial: test } = require("ava");
const { loadFor, outcome } = require("./support/addon.js");
const { withMongo, oursOnly, isOriginal } = require("./support/mongo-peer.js");
const { startProxy } = require("./support/proxy.js");

const own = withMongo(test);
const ours = oursOnly(test);
const interval = (over) => ({ bucket: "b", entryKey: "k", payload: { n: 1, list: [1, 2, 3], s: "x" }, when: 7, ...over });

test.beforeEach(() => own.wipe());

/** What an update of one row does: `{ error }`, or `{ value: row }`; and whether the row in the database is another now. */
async function updated(dto) {
  const { intervalDbService } = own.ioc;
  const before = await intervalDbService.create(interval());
  const result = await outcome(intervalDbService.update(before.id, dto));
  const after = await intervalDbService.findById(before.id);
  await own.wipe();
  return { ...result, before, after };
}

test("a row as it was read can be given back whole", async (t) => {
  const { intervalDbService } = own.ioc;
  const row = await intervalDbService.create(interval());
  const updated = await intervalDbService.update(row.id, { ...row, when: 8 });
  t.deepEqual({ ...updated, updatedDate: null }, { ...row, when: 8, updatedDate: null });
});

test("operators, paths and fields in one update change one row, and it is returned", async (t) => {
  const { value, after } = await updated({ $inc: { "payload.n": 2 }, $push: { "payload.list": 4 }, "payload.s": "y", when: "9" });
  t.deepEqual(value, after);
  t.deepEqual([after.payload, after.when], [{ n: 3, list: [1, 2, 3, 4], s: "y" }, 9]);
});

test("a date of the server stands where $currentDate asks for it", async (t) => {
  const { after } = await updated({ $currentDate: { "payload.at": true, updatedDate: { $type: "date" } } });
  t.true(after.payload.at instanceof Date && after.updatedDate instanceof Date);
  // Of one moment; the server looks at its clock for each.
  t.true(Math.abs(after.payload.at.getTime() - after.updatedDate.getTime()) < 1_000);
});

const BY_THE_SERVER = [
  ["the same field twice", { $inc: { when: 1 }, when: 5 }, /would create a conflict at 'when'/],
  ["a field and what is within it", { payload: {}, "payload.a": 1 }, /would create a conflict at 'payload'/],
  ["the date of the change elsewhere", { $unset: { updatedDate: 1 } }, /would create a conflict at 'updatedDate'/],
  ["another id", { _id: "65a1b2c3d4e5f60718293a4c" }, /immutable field '_id'/],
  ["a number increased by text", { $inc: { "payload.n": "1" } }, /non-numeric/],
  ["a push to a number", { $push: { when: 1 } }, /must be an array/],
  ["a path into a number", { "when.x": 1 }, /Cannot create field 'x'/],
  ["a place that nothing was found at", { "payload.list.$": 1 }, /positional operator/],
  ["an empty name in a path", { "payload.": 1 }, /empty field name/],
];
for (const [title, dto, words] of BY_THE_SERVER) {
  test(`the server refuses, in its words, and nothing changes: ${title}`, async (t) => {
    const { error, before, after } = await updated(dto);
    t.regex(error.message, words);
    t.deepEqual(after, before);
    if (!isOriginal) t.is(error.code, "MONGO_WRITE");
  });
}

const REFUSED = [
  ["an unknown operator", { $foo: { when: 1 }, when: 8 }, "$foo"],
  ["an operator that MongoDB no longer has", { $pushAll: { "payload.list": [4] } }, "$pushAll"],
  ["an operator within another", { $set: { $inc: { when: 1 } } }, "$inc"],
  ["an operator with a list", { $unset: ["payload.s"] }, "$unset"],
  ["a list of stages", [{ $set: { when: 8 } }], "Array"],
  ["a field that is a function", { payload: () => 1 }, "payload"],
  ["a path to a function", { "payload.s": () => 1 }, "payload.s"],
  ["a field that is a symbol", { bucket: Symbol("b") }, "bucket"],
  ["a function in an operator", { $push: { "payload.list": { $each: [() => 1] } } }, "payload.list"],
  ["nothing", undefined, "dto"],
  ["a promise", Promise.resolve({ when: 8 }), "Promise"],
];
for (const [title, dto, word] of REFUSED) {
  ours(`update refuses what would be lost, and names it: ${title}`, async (t) => {
    const { error, before, after } = await updated(dto);
    t.is(error?.code, "INVALID_VALUE");
    t.true(error.message.includes(word), error.message);
    t.deepEqual(after, before);
  });
}

test("functions within a payload are left out, as in the original", async (t) => {
  const { after } = await updated({ payload: { a: 1, f() {}, [Symbol("s")]: 1 }, "payload.b": undefined });
  t.deepEqual(after.payload, { a: 1 });
});

test("functions of an object that are no fields of the collection are its own business", async (t) => {
  class Change {
    when = 8;
    describe = () => "a change";
  }
  const { error, after } = await updated(new Change());
  t.is(error, undefined);
  t.is(after.when, 8);
});

/** The package behind a proxy before the server. */
async function behindProxy(t) {
  const { mongo, redis } = own;
  const proxy = await startProxy(mongo);
  t.teardown(() => proxy.stop());
  const lib = loadFor(t, { CC_MONGO_CONNECTION_STRING: `mongodb://127.0.0.1:${proxy.port}/${mongo.database}`, CC_REDIS_URL: redis.url });
  return { proxy, crud: new (lib.BaseCRUD("interval-items"))() };
}

const isReply = (bytes) => bytes.includes(Buffer.from("lastErrorObject"));
/** Loses the next reply to an update, and the connection with it. Returns whether it has. */
function loseReply(proxy) {
  let lost = false;
  proxy.corrupt((bytes) => {
    if (lost || !isReply(bytes)) return bytes;
    lost = true;
    proxy.cut();
    return Buffer.alloc(0);
  });
  return () => lost;
}

const isUpdate = (bytes) => bytes.includes(Buffer.from("findAndModify"));

ours("an update whose reply is lost is done once, or rejects with MONGO_UNKNOWN where doing it again could count twice", async (t) => {
  const { proxy, crud } = await behindProxy(t);
  const { id } = await crud.create(interval());
  loseReply(proxy);
  t.is((await crud.update(id, { "payload.s": "again" })).id, id);
  for (const dto of [{ $inc: { "payload.n": 1 } }, { $push: { "payload.list": 4 } }]) {
    loseReply(proxy);
    t.is((await outcome(crud.update(id, dto))).error?.code, "MONGO_UNKNOWN");
  }
  t.deepEqual((await crud.findById(id)).payload, { n: 2, list: [1, 2, 3, 4], s: "again" });
});

ours("of two increments of one moment, one of which never reached the server, none resolves that is not there", async (t) => {
  const { proxy, crud } = await behindProxy(t);
  const { id } = await crud.create(interval());
  // Two connections, so that both travel at once.
  await Promise.all(Array.from({ length: 10 }, () => crud.findById(id)));
  let sent = 0;
  proxy.corrupt((bytes) => {
    if (isUpdate(bytes) && ++sent === 2) return Buffer.alloc(0);
    return bytes;
  }, "up");
  const isLost = loseReply(proxy);
  const results = await Promise.all([1, 2].map(() => outcome(crud.update(id, { $inc: { "payload.n": 1 } }))));
  t.true(isLost() && sent >= 2);
  const { n } = (await crud.findById(id)).payload;
  const resolved = results.filter(({ error }) => error === undefined).length;
  t.true(n - 1 >= resolved, `${resolved} resolved, ${n - 1} there`);
  t.true(n - 1 <= 2);
});

"use strict";

// Storage, notification and log: the kit hands over its whole list, and only what is new or changed may go out.

const { isDeepStrictEqual } = require("node:util");
const { serial: test } = require("ava");
const { outcome, until } = require("../support/addon.js");
const { anySeed, chance } = require("../support/random.js");
const { withKit } = require("../support/adapters.js");

// Failures are made by the server itself.
const own = withKit(test, { mongo: { args: ["--setParameter", "enableTestCommands=1"] } });
const START = 1_767_225_600_000;

/** How a list is reached: `args` are the registry's beside the list itself. */
const LISTS = [
  { noun: "Storage", collection: "storage-items", args: [true], other: [false], idField: "signalId", least: 1_000, variable: "CC_MAX_SIGNALS" },
  { noun: "Notification", collection: "notification-items", args: [true], other: [false], idField: "notificationId", least: 500, variable: "CC_MAX_NOTIFICATIONS" },
  { noun: "Log", collection: "log-items", args: [], idField: "entryId", least: 1_000, variable: "CC_MAX_LOG_LINES" },
];
/** Those whose entries may change. */
const CHANGING = LISTS.slice(0, 2);

/** An entry as the kit has them: numbers, texts, nested objects, Dates, what is nothing. */
const entry = (n, more) => ({
  ...{ id: `id-${n}`, type: "signal.opened", priority: n, createdAt: START + n, symbol: "BTCUSDT", price: 1.5 * n, note: null },
  ...{ pnl: { percent: n / 3, cost: Infinity, list: [1, 2, { deep: n }] }, backtest: true, missing: undefined, ...more },
});
const entries = (count, from = 0) => Array.from({ length: count }, (_, i) => entry(from + i));
/** What is stored of an entry, and comes back. */
const stored = (one) => ({ ...one, missing: null });

const through = ({ noun, args }, kit = own.kit) => {
  const adapter = kit[`Persist${noun}Adapter`];
  return {
    read: () => adapter[`read${noun}Data`](...args),
    write: (list) => adapter[`write${noun}Data`](list, ...args),
    clear: () => adapter.clear(),
  };
};

/** The ids that were written by each command of `action`. */
async function commandsOf({ collection, idField }, action) {
  // Indexes are made, so that they are no part of it.
  const watch = await own.mongo.watch();
  try {
    await action();
    const operations = (await watch.operations()).filter((one) => one.collection === collection);
    return operations
      .filter(({ kind }) => kind !== "createIndexes" && kind !== "listIndexes")
      .map(({ kind, command }) => `${kind} ${command.q?.[idField] ?? command.query?.[idField] ?? ""}`.trim());
  } finally {
    await watch.stop();
  }
}

/** How many commands the package sent during an action. */
async function sent(action, lib = own.lib) {
  const before = lib.stats().mongo.commands;
  await action();
  return lib.stats().mongo.commands - before;
}

for (const list of LISTS) {
  const { noun, collection, idField } = list;

  test(`${noun}: entries come back as they were written, the oldest first, in this process and in another`, async (t) => {
    const { read, write } = through(list);
    t.deepEqual(await read(), []);
    const given = [];
    for (let n = 0; n < 5; n++) {
      given.push(entry(n));
      t.is(await write(given), undefined);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    t.deepEqual(await read(), given.map(stored));
    t.deepEqual(await through(list, own.fresh().kit).read(), given.map(stored));
    if (list.other) t.deepEqual(await through({ ...list, args: list.other }).read(), []);
  });

  test(`${noun}: of a list only what is new goes out, in one command`, async (t) => {
    const { write } = through(list);
    const given = entries(20);
    await write(given);
    given.push(entry(20));
    t.deepEqual(await commandsOf(list, () => write(given)), [`findAndModify id-20`]);
    t.is(await sent(() => write(given)), 0, "nothing is new");
    t.is(await sent(() => write([...given, entry(21), entry(22), entry(23)])), 1);
    t.is(await own.mongo.count(collection), 24);
  });

  test(`${noun}: equal entries in new objects are not sent`, async (t) => {
    const { write } = through(list);
    await write(entries(20));
    t.is(await sent(() => write(entries(20))), 0);
    t.is(await sent(() => write(entries(20).reverse())), 0, "in whatever order");
    t.is(await sent(() => write(structuredClone(entries(20)))), 0);
  });

  test(`${noun}: what was read counts as known, so a fresh process sends no stale copies over another's`, async (t) => {
    await through(list).write(entries(5));
    const other = own.fresh();
    const { read, write } = through(list, other.kit);
    const found = await read();
    await through(list).write(entries(5).map((one) => ({ ...one, price: 99 })));
    t.is(await sent(() => write(found), other.lib), 0);
    t.deepEqual(await commandsOf(list, () => write([...found, entry(7)])), ["findAndModify id-7"]);
    const prices = (await own.mongo.documents(collection, { sort: { [idField]: 1 } })).map(({ payload }) => payload.price);
    t.deepEqual(prices, [...(noun === "Log" ? entries(5).map(({ price }) => price) : [99, 99, 99, 99, 99]), 1.5 * 7]);
  });

  test(`${noun}: what is known survives the kit's clear(), and ends with close()`, async (t) => {
    const { write, clear } = through(list);
    const given = entries(5);
    await write(given);
    clear();
    t.is(await sent(() => write(given)), 0);
    await own.lib.close();
    await write(given);
    t.is(own.lib.stats().mongo.requests, 5, "all five");
  });

  test(`${noun}: close() right after writes lets all that wait for each other go out, and no connection is left`, async (t) => {
    const { write } = through(list);
    await write(entries(1));
    const versions = [1, 2, 3].map((price) => entries(200).map((one) => ({ ...one, price })));
    // The second and the third wait for the first one's entries.
    const writing = versions.map((given) => outcome(write(given)));
    // The kit hands them on a few promises later.
    await new Promise(setImmediate);
    await own.lib.close();
    t.is(own.lib.health().mongo, null);
    t.deepEqual((await Promise.all(writing)).map(({ error }) => error), [undefined, undefined, undefined]);
    const found = await own.mongo.documents(collection);
    t.is(found.length, 200);
    const prices = found.filter((row) => row[idField] !== "id-0").map(({ payload }) => payload.price);
    // Entries of a log never change.
    t.deepEqual([...new Set(prices)], [noun === "Log" ? 1 : 3]);
    t.is(own.lib.health().mongo, null, "it stays closed");
  });

  test(`${noun}: entries that left the list stay in the database and are forgotten here`, async (t) => {
    const { write } = through(list);
    await write(entries(5));
    await write(entries(2, 3));
    t.is(await own.mongo.count(collection), 5);
    t.is(await sent(() => write(entries(2, 3))), 0);
    t.true((await sent(() => write(entries(5)))) > 0, "they are sent when they come back");
  });

  test(`${noun}: a refused entry is forgotten alone; the others of the call are written and known`, async (t) => {
    const { write } = through(list);
    await write(entries(2));
    const cyclic = entry(9);
    cyclic.self = cyclic;
    const given = [...entries(3), cyclic];
    t.is((await outcome(write(given))).error?.code, "INVALID_VALUE");
    t.is(await own.mongo.count(collection), 3);
    t.is(await sent(() => write(entries(3))), 0);
    delete cyclic.self;
    await write(given);
    t.is(await own.mongo.count(collection), 4);
  });

  test(`${noun}: after an error the entries of the failed command are sent again, and no others`, async (t) => {
    const { write } = through(list);
    await write(entries(5));
    const fail = { configureFailPoint: "failCommand", mode: "alwaysOn", data: { errorCode: 50, failCommands: ["update", "findAndModify"] } };
    await own.mongo.command(fail, { database: "admin" });
    const failed = await outcome(write(entries(8)));
    await own.mongo.command({ ...fail, mode: "off" }, { database: "admin" });
    t.is(failed.error?.code, "MONGO_WRITE");
    const before = own.lib.stats().mongo.requests;
    await write(entries(8));
    t.is(own.lib.stats().mongo.requests - before, 3);
    t.is(await own.mongo.count(collection), 8);
  });

  test(`${noun}: a call that leaves out what an earlier one is still writing waits for it, and fails with it`, async (t) => {
    const { write } = through(list);
    await write(entries(1));
    await own.mongo.pause();
    let over = false;
    const first = outcome(write(entries(3)));
    const second = outcome(write(entries(3)).finally(() => (over = true)));
    await new Promise((resolve) => setTimeout(resolve, 50));
    t.false(over);
    await own.mongo.resume();
    t.deepEqual([await first, await second], [{ value: undefined }, { value: undefined }]);
    t.is(await own.mongo.count(collection), 3);

    const fail = { configureFailPoint: "failCommand", mode: "alwaysOn", data: { errorCode: 50, failCommands: ["update", "findAndModify"] } };
    await own.mongo.command(fail, { database: "admin" });
    const outcomes = await Promise.all([outcome(write(entries(5))), outcome(write(entries(5)))]);
    await own.mongo.command({ ...fail, mode: "off" }, { database: "admin" });
    t.deepEqual(outcomes.map(({ error }) => error?.code), ["MONGO_WRITE", "MONGO_WRITE"]);
  });

  test(`${noun}: an entry that comes twice in a list is stored as it comes last`, async (t) => {
    const { write } = through(list);
    await write([entry(1, { price: 1 }), entry(2), entry(1, { price: 2 })]);
    t.is((await own.mongo.documents(collection, { filter: { [idField]: "id-1" } }))[0].payload.price, 2);
    t.is(await own.mongo.count(collection), 2);
    if (noun === "Log") return;
    await write([entry(1, { price: 5 }), entry(1, { price: 2 })]);
    t.is((await own.mongo.documents(collection, { filter: { [idField]: "id-1" } }))[0].payload.price, 2);
  });

  test(`${noun}: a read returns the newest, as many as are promised, in their order`, async (t) => {
    const { least } = list;
    const mode = list.args.length > 0 ? { backtest: true } : {};
    const rows = Array.from({ length: least + 50 }, (_, n) => ({
      ...mode,
      [idField]: `id-${n}`,
      payload: { id: `id-${n}` },
      // Three of each time, so that the order of their ids decides.
      createDate: new Date(START + Math.floor(n / 3)),
      updatedDate: new Date(START + 1_000_000 - n),
    }));
    for (const row of rows) await own.mongo.insert(collection, [row]);
    const wanted = rows.slice(-least);
    const found = await through(list).read();
    t.is(found.length, least);
    t.deepEqual(found.slice(3).map(({ id }) => id), wanted.slice(3).map(({ payload }) => payload.id));
  });

  test(`${noun}: a read returns more where the kit keeps more`, async (t) => {
    const { least, variable, noun: name } = list;
    const mode = list.args.length > 0 ? { backtest: true } : {};
    const rows = Array.from({ length: least + 50 }, (_, n) => ({ ...mode, [idField]: `id-${n}`, payload: { id: `id-${n}` }, createDate: new Date(START + n) }));
    await own.mongo.insert(collection, rows);
    const { standInKit } = require("../support/stand-in-kit.js");
    const larger = own.fresh({ kit: standInKit({ settings: { [variable]: least + 20 } }) });
    t.is((await through(list, larger.kit).read()).length, least + 20, name);
    const smaller = own.fresh({ kit: standInKit({ settings: { [variable]: 5 } }) });
    t.is((await through(list, smaller.kit).read()).length, least);
  });

  for (const count of [3, 60]) {
    test(`${noun}: who writes the list from within a call of the logger comes behind that call: a list of ${count}`, async (t) => {
      // By the class itself: the kit's registry hands a list over a moment later.
      const instance = new own.lib[`Persist${noun}Instance`](...list.args);
      const write = (given) => instance[`write${noun}Data`](given);
      await instance.waitForInit(true);
      const given = entries(count);
      await write(given);
      const version = (price, more) => [entry(900, { price }), ...given, ...[901, 902, ...more].map((n) => entry(n, { price }))];
      const lists = [version(2, [903]), version(3, [903, 904])];
      const [waiting, inner] = [[...lists], []];
      const log = (topic) => {
        if (!/ upsert$/.test(topic) || waiting.length === 0) return;
        const next = waiting.shift();
        inner.push(write(next));
        // It was handed over as it was.
        next[0].price = 77;
      };
      own.lib.setLogger({ log, debug() {}, info() {}, warn() {} });
      await write(version(1, []));
      t.is(inner.length, 2);
      await Promise.all(inner);
      own.lib.setLogger(null);
      const found = await own.mongo.documents(collection, { sort: { [idField]: 1 } });
      const late = found.filter((row) => /^id-90/.test(row[idField])).map((row) => [row[idField], row.payload.price]);
      const price = noun === "Log" ? { 903: 2, 904: 3 } : {};
      t.deepEqual(late, [900, 901, 902, 903, 904].map((n) => [`id-${n}`, noun === "Log" ? (price[n] ?? 1) : 3]));
      t.is(found.length, count + 5);
      // What is remembered is what is stored.
      const now = version(3, [903, 904]);
      t.is(await sent(() => write(now)), 0);
      if (noun === "Log") return;
      now[1].price = 5;
      t.deepEqual(await commandsOf(list, () => write(now)), ["findAndModify id-0"]);
    });
  }

  test(`${noun}: a list that is none is refused`, async (t) => {
    for (const wrong of [null, undefined, {}, "list"]) {
      t.is((await outcome(through(list).write(wrong))).error?.code, "INVALID_VALUE");
    }
    t.is((await outcome(through(list).write([{ id: undefined }]))).error?.code, "INVALID_CONTEXT");
    t.is((await outcome(through(list).write([null]))).error?.code, "INVALID_CONTEXT");
    t.is(await own.mongo.count(collection), 0);
  });
}

for (const list of CHANGING) {
  const { noun, collection, idField } = list;

  test(`${noun}: a changed entry goes out, whether in a new object or in the old one`, async (t) => {
    const { read, write } = through(list);
    const given = entries(20);
    await write(given);
    // By it the ids of the rows are known, whenever Redis has taken them: without them the rows of a command are looked up behind it.
    await read();
    t.is(await sent(() => write(given)), 0);
    given[3] = { ...given[3], price: 7 };
    t.deepEqual(await commandsOf(list, () => write(given)), ["findAndModify id-3"]);
    given[4].price = 8;
    t.deepEqual(await commandsOf(list, () => write(given)), ["findAndModify id-4"]);
    given[5].pnl.list[2].deep = "changed";
    t.deepEqual(await commandsOf(list, () => write(given)), ["findAndModify id-5"]);
    delete given[6].symbol;
    given[7].extra = 1;
    given[8].price = -0;
    given[9].pnl.list.push(3);
    t.is(await sent(() => write(given)), 1);
    t.is(await sent(() => write(given)), 0);
    const found = await read();
    t.deepEqual(found.sort((a, b) => a.priority - b.priority), given.map(stored));
  });

  test(`${noun}: a fresh process that has read the list sends its changes in one command, and asks nothing`, async (t) => {
    await through(list).write(entries(20));
    const { read, write } = through(list, own.fresh().kit);
    const found = await read();
    found.forEach((one) => (one.price = "other"));
    t.deepEqual(new Set(await commandsOf(list, () => write(found))).size, 20, "twenty statements");
    t.is(await sent(() => write(found)), 0);
    // A tick that is held up sends what it has before its end. This one's clock stands still.
    Object.defineProperty(performance, "now", { value: () => 0, configurable: true });
    const again = own.fresh();
    delete performance.now;
    const theirs = await through(list, again.kit).read();
    // A first write makes sure of the indexes.
    await through(list, again.kit).write([{ ...theirs[0], price: 0 }, ...theirs.slice(1)]);
    theirs.forEach((one) => (one.price = "third"));
    t.is(await sent(() => through(list, again.kit).write(theirs), again.lib), 1);
  });

  class Own {
    x = 1;
  }
  /** What an object's own method says that its bytes are. */
  let told = 1;
  const telling = () => Object.defineProperty({ value: 1 }, "toBSON", { value: () => ({ told }) });
  for (const [what, more, change] of [
    ["a Date", () => ({ at: new Date(1) }), (one) => one.at.setTime(5)],
    ["a Buffer", () => ({ bytes: Buffer.from([1, 2]) }), (one) => (one.bytes[0] = 9)],
    ["an instance's field", () => ({ instance: new Own() }), (one) => (one.instance.x = 2)],
    ["a value that is written by toBSON", () => ({ hidden: telling() }), () => told++],
    ["a toBSON that a nested object gets", () => ({ inner: { a: 1 } }), (one) => Object.defineProperty(one.inner, "toBSON", { value: () => ({ b: 2 }) })],
    ["a toBSON that a list gets", () => ({ list: [1] }), (one) => Object.defineProperty(one.list, "toBSON", { value: () => [2] })],
    ["0 into -0", () => ({ zero: 0 }), (one) => (one.zero = -0)],
    ["the name of a field", () => ({ last: 1 }), (one) => (delete one.last, (one.other = 1))],
    ["the order of fields", () => ({ last: 1 }), (one) => (delete one.symbol, (one.symbol = "BTCUSDT"))],
    ["a list into an object", () => ({ list: [1] }), (one) => (one.list = { 0: 1 })],
    ["a hole in a list", () => ({ list: [1, 2] }), (one) => delete one.list[0]],
    ["text into a number", () => ({ n: "1" }), (one) => (one.n = 1)],
    ["an empty list into its length", () => ({ list: [] }), (one) => (one.list = 0)],
    ["an empty object into nothing", () => ({ inner: {} }), (one) => (one.inner = null)],
    ["a field more in a nested object", () => ({ inner: { a: 1 }, b: 2 }), (one) => (one.inner.b = 2)],
    ["a field less", () => ({ last: 1 }), (one) => delete one.last],
  ]) {
    test(`${noun}: a change is seen in the same object: ${what}`, async (t) => {
      const { write } = through(list);
      const one = entry(1, more());
      await write([one]);
      t.is(await sent(() => write([one])), 0);
      change(one);
      t.is(await sent(() => write([one])), 1);
      t.is(await sent(() => write([one])), 0);
    });
  }

  test(`${noun}: a change is seen in one of many that were compared often`, async (t) => {
    const { write } = through(list);
    const given = entries(100);
    await write(given);
    t.is(await sent(async () => {
      for (let n = 0; n < 30; n++) await write(given);
    }), 0);
    given[3].pnl.list[2].deep = -1;
    given[4].price = -given[4].price;
    delete given[5].symbol;
    given[6] = { ...given[6], missing: null };
    const before = own.lib.stats().mongo.requests;
    await write(given);
    t.is(own.lib.stats().mongo.requests - before, 3);
    t.is(await sent(() => write(given)), 0);
  });

  test(`${noun}: null and undefined are stored alike, and are no change`, async (t) => {
    const { write } = through(list);
    const one = entry(1);
    await write([one]);
    one.note = undefined;
    t.is(await sent(() => write([one])), 0);
  });

  for (const [what, before, after] of [
    ["a method more", { a: 1 }, { a: 1, method() {} }],
    ["NaN", { a: NaN, list: [undefined] }, { a: NaN, list: [null] }],
    ["another half of a pair of UTF-16", { text: "\ud800" }, { text: "\udc00" }],
    ["fields named as an object's own", JSON.parse('{ "__proto__": { "x": 1 }, "a": [[], {}, { "b": "\\ud800" }] }'), JSON.parse('{ "__proto__": { "x": 1 }, "a": [[], {}, { "b": "\\udc00" }] }')],
    ["a number in a box", { a: 1 }, { a: Object(1) }],
  ]) {
    test(`${noun}: what is stored alike is not sent again: ${what}`, async (t) => {
      const { write } = through(list);
      await write([entry(1, before)]);
      t.is(await sent(() => write([entry(1, before)])), 0, "a copy");
      t.is(await sent(() => write([entry(1, after)])), 0);
      t.is(await sent(() => write([entry(1, { ...after, more: 1 })])), 1, "a change is seen after that");
    });
  }

  test(`${noun}: of a long list what is new goes out first, and what was changed in its place is not missed`, async (t) => {
    const { write } = through(list);
    const given = entries(300);
    await write(given);
    given.push(entry(300));
    t.is(await sent(() => write(given)), 1);
    given.push(entry(301));
    given[17].price = "changed";
    await write(given);
    t.is((await own.mongo.documents(collection, { filter: { [idField]: "id-17" } }))[0].payload.price, "changed");
    t.is(await own.mongo.count(collection), 302);
  });

  test(`${noun}: a newer state of an entry that is still being written goes out after it`, async (t) => {
    const { write } = through(list);
    await write(entries(3));
    for (let round = 1; round <= 20; round++) {
      const writes = [];
      for (let n = 0; n < 4; n++) {
        writes.push(write(entries(3).map((one) => ({ ...one, price: round * 10 + n }))));
        if (n % 2) await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(writes);
      const rows = await own.mongo.documents(collection);
      t.deepEqual(rows.map(({ payload }) => payload.price), Array(3).fill(round * 10 + 3));
    }
  });

  test(`${noun}: an entry whose id was changed in the same object is stored under that one, whoever else has or had the id`, async (t) => {
    const { write } = through(list);
    const payloads = async () => Object.fromEntries((await own.mongo.documents(collection)).map((row) => [row[idField], [row.payload.id, row.payload.price]]));
    for (const count of [3, 100]) {
      await own.mongo.drop();
      await own.lib.close();
      const given = entries(count);
      await write(given);
      given[0].id = "other";
      await write(given);
      // A new object has the old id.
      await write([...given, entry(0, { price: "new" })]);
      // It has the id of one behind it, which counts.
      given[1].id = "id-2";
      given[2].price = "last";
      await write(given);
      const expected = { "id-0": ["id-0", "new"], "id-1": ["id-1", 1.5], "id-2": ["id-2", "last"], other: ["other", 0] };
      t.like(await payloads(), expected);
      t.is(await sent(() => write(given)), 0);
    }
  });

  test(`${noun}: what is written after close() comes after what was still to be written then`, async (t) => {
    const { write } = through(list);
    await write([entry(1, { price: 0 })]);
    await own.mongo.pause();
    const before = [1, 2].map((price) => outcome(write([entry(1, { price })])));
    await new Promise(setImmediate);
    const closing = own.lib.close();
    const after = outcome(write([entry(1, { price: 3 })]));
    await new Promise(setImmediate);
    await own.mongo.resume();
    t.deepEqual(await Promise.all([...before, closing, after]), [{ value: undefined }, { value: undefined }, undefined, { value: undefined }]);
    t.is((await own.mongo.documents(collection))[0].payload.price, 3);
  });

  test(`${noun}: writes that come from within a call of the logger keep their order, whatever getters and close() do meanwhile`, async (t) => {
    const instance = new own.lib[`Persist${noun}Instance`](...list.args);
    const write = (price) => instance[`write${noun}Data`]([entry(1, { price })]);
    await instance.waitForInit(true);
    const inner = [];
    /** `act` is called once, in the middle of the next write. */
    const amid = (act) => {
      const log = (topic) => {
        if (!/ upsert$/.test(topic) || act === null) return;
        const once = act;
        act = null;
        once();
      };
      own.lib.setLogger({ log, debug() {}, info() {}, warn() {} });
    };
    const stored = async (expected) => {
      const outcomes = await Promise.all(inner.splice(0).map(outcome));
      own.lib.setLogger(null);
      t.deepEqual(outcomes, outcomes.map(() => ({ value: undefined })));
      t.is((await own.mongo.documents(collection))[0].payload.price, expected);
    };
    // A getter that runs while the list of another write is copied.
    amid(() => {
      let isFirst = true;
      const second = entry(1);
      Object.defineProperty(second, "price", {
        enumerable: true,
        get() {
          if (isFirst) {
            isFirst = false;
            inner.push(write(3));
          }
          return 2;
        },
      });
      inner.push(instance[`write${noun}Data`]([second]));
    });
    await write(1);
    await stored(3);
    // close() while writes are waiting, and another one behind it.
    amid(() => inner.push(write(5), write(6)));
    inner.push(write(4));
    inner.push(own.lib.close(), write(7));
    await stored(7);
    // close() in the middle of a write, and another one behind it.
    amid(() => inner.push(own.lib.close(), write(9)));
    inner.push(write(8));
    await stored(9);
  });

  test(`${noun}: a read that is made from within a write, by the logger, tells nothing of what that one writes`, async (t) => {
    const instance = new own.lib[`Persist${noun}Instance`](...list.args);
    await instance.waitForInit(true);
    const given = entries(400);
    const write = (price) => {
      given[399] = entry(399, { price });
      return instance[`write${noun}Data`](given);
    };
    await write(0);
    for (let round = 1; round <= 30; round++) {
      let read = null;
      own.lib.setLogger({ log: (topic) => (read ??= / upsert$/.test(topic) ? instance[`read${noun}Data`]() : null), debug() {}, info() {}, warn() {} });
      await write(`changed ${round}`);
      await read;
      own.lib.setLogger(null);
      await write(0);
      t.is((await own.mongo.documents(collection, { filter: { [idField]: "id-399" } }))[0].payload.price, 0, `round ${round}`);
    }
  });

  test(`${noun}: what was being written when a read was sent counts, whichever of both the server carries out first`, async (t) => {
    const { read, write } = through(list);
    await write(entries(1));
    for (let round = 0; round < 60; round++) {
      const [changed, back] = [entry(0, { price: `changed ${round}` }), entry(0, { price: 0 })];
      await Promise.all([write([changed]), read()]);
      await write([back]);
      t.is((await own.mongo.documents(collection))[0].payload.price, 0);
    }
  });

  test(`${noun}: whatever becomes of a list, and however calls overlap, the rows are as they were written last`, async (t) => {
    const seed = anySeed();
    t.log(`seed ${seed}`);
    const { below, pick, maybe, shuffled } = chance(seed);
    // The kit hands lists on some promises later, when they may have changed again.
    const instance = new own.lib[`Persist${noun}Instance`](...list.args);
    const expected = new Map();
    let [given, next, version] = [entries(60), 60, 0];
    const steps = [
      () => given.push(entry(next++)),
      () => given.splice(below(given.length), 1 + below(3)),
      () => (pick(given).price = ++version),
      () => (pick(given).pnl.list[2].deep = ++version),
      () => (given[below(given.length)] = entry(below(next), { price: ++version })),
      () => given.push(entry(below(next), { price: ++version })),
      () => given.push(pick(given)),
      () => (pick(given).id = `id-${below(next)}`),
      () => (given = shuffled(given)),
      () => (given = structuredClone(given)),
      () => given.splice(0, Math.max(0, given.length - 70)),
    ];
    const under = [];
    for (let call = 0; call < 300; call++) {
      for (let n = below(3); n >= 0; n--) {
        pick(steps)();
        if (given.length === 0) given.push(entry(next++));
      }
      for (const one of given) expected.set(one.id, structuredClone(one));
      under.push(instance[`write${noun}Data`](given));
      if (maybe(0.1)) under.push(instance[`read${noun}Data`]());
      if (maybe(0.02)) under.push(own.lib.close());
      if (maybe(0.3)) await new Promise(setImmediate);
      if (maybe(0.1)) await Promise.all(under.splice(0));
    }
    await Promise.all(under);
    const rows = await own.mongo.documents(collection);
    const found = new Map(rows.map((row) => [row[idField], row.payload]));
    const wrong = [...expected].filter(([id, one]) => !isDeepStrictEqual(found.get(id), stored(one)));
    t.deepEqual(wrong.map(([id, one]) => ({ id, expected: one, found: found.get(id) })), []);
    t.is(found.size, expected.size);
  });

  test(`${noun}: another process's change is kept, unless the entry is changed here`, async (t) => {
    const { write } = through(list);
    const given = entries(3);
    await write(given);
    const other = through(list, own.fresh().kit);
    const theirs = await other.read();
    theirs[0].price = "theirs";
    await other.write(theirs);
    given[1].price = "ours";
    await write(given);
    const prices = (await own.mongo.documents(collection, { sort: { [idField]: 1 } })).map(({ payload }) => payload.price);
    t.deepEqual(prices, ["theirs", "ours", 3]);
  });
}

// Storage has no index by date, as with the original: its rows are as few as a strategy's signals.
for (const list of LISTS.slice(1)) {
  const { noun, collection, idField } = list;
  test(`${noun}: of many rows a read looks at the newest alone, by the index, and sorts nothing`, async (t) => {
    const { read, write } = through(list);
    await write([entry(0)]);
    await until(async () => (await own.mongo.builtIndexes(collection)).some(({ key }) => key.createDate === -1), "the index is built");
    const rows = Array.from({ length: 3_000 }, (_, n) => ({ ...(list.other && { backtest: true }), [idField]: `row-${n}`, payload: entry(n), createDate: new Date(START + n) }));
    await own.mongo.insert(collection, rows);
    const watch = await own.mongo.watch();
    t.is((await read()).length, list.least);
    await watch.stop();
    const found = await own.mongo.documents("system.profile", { filter: { op: "query", ns: `${own.mongo.database}.${collection}` } });
    t.deepEqual(found.map(({ docsExamined, hasSortStage = false }) => [docsExamined, hasSortStage]), [[list.least, false]]);
    t.regex(found[0].planSummary, /createDate: -1/);
  });
}

test("Log: an entry whose id is known is never sent again, whatever became of it", async (t) => {
  const { write } = through(LISTS[2]);
  const given = entries(5);
  await write(given);
  given[2].price = "changed";
  t.is(await sent(() => write(given)), 0);
  t.is((await own.mongo.documents("log-items", { filter: { entryId: "id-2" } }))[0].payload.price, 3);
});

test("Log: each line of a list that slides is one command, for each line one", async (t) => {
  const { write } = through(LISTS[2]);
  let given = entries(1_000);
  await write(given);
  for (let n = 1_000; n < 1_010; n++) {
    given = [...given.slice(1), entry(n)];
    t.is(await sent(() => write(given)), 1);
  }
  t.is(await own.mongo.count("log-items"), 1_010);
});

test("the two modes of a list are apart", async (t) => {
  const storage = own.kit.PersistStorageAdapter;
  await storage.writeStorageData([entry(1)], true);
  await storage.writeStorageData([entry(1, { price: 2 })], false);
  t.is((await storage.readStorageData(true))[0].price, 1.5);
  t.is((await storage.readStorageData(false))[0].price, 2);
});

test("a read while an entry is being written does not make it unknown", async (t) => {
  const storage = own.kit.PersistStorageAdapter;
  await storage.writeStorageData(entries(2), true);
  await Promise.all([storage.writeStorageData(entries(4), true), storage.readStorageData(true)]);
  t.is(await sent(() => storage.writeStorageData(entries(4), true)), 0);
});

test("ids of entries lie in Redis as those of single writes do", async (t) => {
  await own.kit.PersistStorageAdapter.writeStorageData([entry(1), entry(2)], true);
  const [row] = await own.mongo.documents("storage-items", { filter: { signalId: "id-1" } });
  await until(async () => (await own.redis.command("GET", "storage_cache:backtest:id-1")) !== null, "the id is there");
  t.is(String(await own.redis.command("GET", "storage_cache:backtest:id-1")), row._id.toHexString());
});

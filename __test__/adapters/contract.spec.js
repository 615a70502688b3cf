"use strict";

// The contract of the kit's persist adapters: what each interface returns and stores, through registries that make their
// instances as the kit does.

const { serial: test } = require("ava");
const { collect, outcome } = require("../support/addon.js");
const { withKit } = require("../support/adapters.js");
const { NOUNS } = require("../support/stand-in-kit.js");

const own = withKit(test);
const adapter = (noun) => own.kit[`Persist${noun}Adapter`];
const WHEN = new Date(1_767_225_600_000);
const MINUTE = 60_000;

/** What a payload may hold: the kit's own kinds of values, nested. */
const PAYLOAD = {
  ...{ id: "sig-1", priority: 5, minuteEstimatedTime: Infinity, least: -Infinity, odd: Number.NaN, zero: -0, none: null },
  ...{ pendingAt: new Date(1_767_225_600_123), removed: false, text: "ю ∑ \u0000", big: 2 ** 53 - 1, small: 5e-324 },
  nested: { list: [1, [2, { deep: new Date(5) }], null], empty: {}, nothing: [] },
};

/** Rows of one context each: how they are written and read, and what is there before. */
const SNAPSHOTS = [
  { noun: "Signal", context: ["BTC/USDT:USDT", "strategy", "binance"], empty: null },
  { noun: "Schedule", context: ["BTCUSDT", "strategy", "binance"], empty: null },
  { noun: "Strategy", context: ["BTCUSDT", "strategy", "binance"], empty: null },
  { noun: "Risk", method: "Position", context: ["risk", "binance"], empty: [], dated: true, data: [["BTCUSDT:strategy", PAYLOAD]] },
  { noun: "Partial", context: ["BTCUSDT", "strategy", "sig-1", "binance"], empty: {}, dated: true, data: { "sig-1": PAYLOAD } },
  { noun: "Breakeven", context: ["BTCUSDT", "strategy", "sig-1", "binance"], empty: {}, dated: true, data: { "sig-1": PAYLOAD } },
  { noun: "Recent", context: ["BTCUSDT", "strategy", "binance", "", false], empty: null, dated: true, undatedRead: true },
  { noun: "State", context: ["sig-1", "bucket"], empty: null, dated: true, undatedRead: true },
  { noun: "Dictionary", context: ["sig-1", "dictionary"], empty: null, dated: true, undatedRead: true },
  { noun: "Session", context: ["strategy", "binance", "frame", "BTCUSDT", true], empty: null, dated: true, undatedRead: true },
];

/** The arguments of the registry's functions; a session's time stands between the parts of its context. */
const readArgs = ({ dated, undatedRead }, context) => (dated && !undatedRead ? [...context, WHEN] : context);
function writeArgs({ noun, dated }, context, when = WHEN) {
  if (noun === "Session") return [...context.slice(0, 3), when, ...context.slice(3)];
  return dated ? [...context, when] : context;
}

for (const row of SNAPSHOTS) {
  const { noun, method = noun, context, empty, data = PAYLOAD } = row;
  const read = (of = own.kit, where = context) => of[`Persist${noun}Adapter`][`read${method}Data`](...readArgs(row, where));
  const write = (value, where = context, when = WHEN) => adapter(noun)[`write${method}Data`](value, ...writeArgs(row, where, when));

  test(`${noun}: what was never written is what the kit expects of nothing`, async (t) => {
    t.deepEqual(await read(), empty);
  });

  test(`${noun}: values come back as they were written, in this process and in another`, async (t) => {
    t.is(await write(data), undefined);
    t.deepEqual(await read(), data);
    const found = JSON.stringify(await read(), (_, value) => (Object.is(value, -0) ? "-0" : value));
    t.is(found, JSON.stringify(data, (_, value) => (Object.is(value, -0) ? "-0" : value)), "the order of keys too");
    t.deepEqual(await read(own.fresh().kit), data);
  });

  test(`${noun}: the last write counts, whatever logical time it has`, async (t) => {
    await write(data);
    const later = Array.isArray(data) ? [] : { later: true };
    await write(later, context, new Date(0));
    t.deepEqual(await read(), later);
    t.is(await own.mongo.count(`${noun.toLowerCase()}-items`), 1);
    const [stored] = await own.mongo.documents(`${noun.toLowerCase()}-items`);
    t.is(stored.when, row.dated ? 0 : undefined);
  });

  test(`${noun}: contexts that differ in one part are apart`, async (t) => {
    await write(data);
    for (const [place, part] of context.entries()) {
      const other = context.with?.(place, typeof part === "boolean" ? !part : "other") ?? replaced(context, place, part);
      t.deepEqual(await read(own.kit, other), empty, `part ${place}`);
    }
  });

  if (["Signal", "Schedule", "Strategy"].includes(noun)) {
    test(`${noun}: null is a stored value`, async (t) => {
      await write(data);
      await write(null);
      t.is(await read(), null);
      t.is(await own.mongo.count(`${noun.toLowerCase()}-items`), 1);
      t.is((await own.mongo.documents(`${noun.toLowerCase()}-items`))[0].payload, null);
    });
  }
}

function replaced(context, place, part) {
  const other = [...context];
  other[place] = typeof part === "boolean" ? !part : "other";
  return other;
}

for (const { noun, keyed } of [{ noun: "Measure", keyed: false }, { noun: "Interval", keyed: true }]) {
  const data = (more) => ({ id: "key", data: { any: [1, null, Infinity] }, removed: false, ...(keyed && { when: WHEN }), ...more });
  const write = (value, key, bucket = "bucket") => adapter(noun)[`write${noun}Data`](value, bucket, key, WHEN);
  const read = (key, bucket = "bucket") => adapter(noun)[`read${noun}Data`](bucket, key);
  const remove = (key) => adapter(noun)[`remove${noun}Data`]("bucket", key);
  const list = (bucket = "bucket") => collect(adapter(noun)[`list${noun}Data`](bucket));

  test(`${noun}: an entry is read until it is removed, and again when it is written`, async (t) => {
    t.is(await read("key"), null);
    t.is(await remove("key"), undefined, "what is not there need not be removed");
    t.is(await own.mongo.count(`${noun.toLowerCase()}-items`), 0);
    await write(data(), "key");
    t.deepEqual(await read("key"), data());
    await remove("key");
    t.is(await read("key"), null);
    t.deepEqual(await list(), []);
    await write(data({ data: 2 }), "key");
    t.deepEqual(await read("key"), data({ data: 2 }));
    t.deepEqual(await list(), ["key"]);
    t.is(await read("key", "other"), null);
    t.deepEqual(await list("other"), []);
  });

  test(`${noun}: a list has all keys of a bucket, and removing while it goes on leaves none`, async (t) => {
    const keys = Array.from({ length: 2_500 }, (_, i) => `key-${String(i).padStart(4, "0")}`);
    await Promise.all(keys.map((key) => write(data(), key)));
    await write(data(), "foreign", "other");
    t.deepEqual((await list()).sort(), keys);
    for await (const key of adapter(noun)[`list${noun}Data`]("bucket")) await remove(key);
    t.deepEqual(await list(), []);
    t.deepEqual(await list("other"), ["foreign"]);
  });
}

test("Memory: entries are read, listed, marked as removed, and known to have been there", async (t) => {
  const memory = adapter("Memory");
  const data = (priority) => ({ priority, data: { text: "note" }, removed: false, index: "note", when: WHEN.getTime() });
  const context = ["sig-1", "bucket"];
  t.is(await memory.readMemoryData(...context, "a"), null);
  t.is(await memory.hasMemoryData(...context, "a"), false);
  await memory.writeMemoryData(data(1), ...context, "a", WHEN);
  await memory.writeMemoryData(data(2), ...context, "b", WHEN);
  await memory.writeMemoryData(data(3), "sig-2", "bucket", "a", WHEN);
  t.deepEqual(await memory.readMemoryData(...context, "a"), data(1));
  const byId = (a, b) => (a.memoryId < b.memoryId ? -1 : 1);
  t.deepEqual((await collect(memory.listMemoryData(...context))).sort(byId), [
    { memoryId: "a", data: data(1) },
    { memoryId: "b", data: data(2) },
  ]);
  await memory.removeMemoryData(...context, "a");
  t.is(await memory.readMemoryData(...context, "a"), null);
  t.is(await memory.hasMemoryData(...context, "a"), true, "a removed one was there");
  t.deepEqual(await collect(memory.listMemoryData(...context)), [{ memoryId: "b", data: data(2) }]);
  await memory.writeMemoryData(data(4), ...context, "a", WHEN);
  t.deepEqual(await memory.readMemoryData(...context, "a"), data(4));
});

test("Memory: a list has all entries of a bucket", async (t) => {
  const memory = adapter("Memory");
  const data = { priority: 1, data: {}, removed: false, index: "", when: 0 };
  const ids = Array.from({ length: 1_500 }, (_, i) => `m${String(i).padStart(4, "0")}`);
  await Promise.all(ids.map((id) => memory.writeMemoryData(data, "sig-1", "bucket", id, WHEN)));
  t.deepEqual((await collect(memory.listMemoryData("sig-1", "bucket"))).map(({ memoryId }) => memoryId).sort(), ids);
});

test("a list that is left in the middle keeps no cursor at the server", async (t) => {
  const measure = adapter("Measure");
  const data = { id: "key", data: 1, removed: false };
  await Promise.all(Array.from({ length: 2_500 }, (_, i) => measure.writeMeasureData(data, "bucket", `key-${i}`, WHEN)));
  const before = (await own.mongo.command({ serverStatus: 1 }, { database: "admin" })).metrics.cursor.open.total;
  for await (const key of measure.listMeasureData("bucket")) {
    t.regex(key, /^key-/);
    break;
  }
  await own.lib.close();
  const after = (await own.mongo.command({ serverStatus: 1 }, { database: "admin" })).metrics.cursor.open.total;
  t.is(Number(after), Number(before));
});

const candle = (timestamp, price = 1) => ({ timestamp, open: price, high: price + 0.5, low: price - 0.5, close: price + 0.25, volume: 10 });
const START = 1_767_225_600_000;

test("Candle: a window is all of its candles in order with six numbers each, or null as a whole", async (t) => {
  const candles = adapter("Candle");
  const given = Array.from({ length: 10 }, (_, i) => candle(START + i * MINUTE, i + 1));
  t.is(await candles.readCandlesData("BTCUSDT", "1m", "binance", 5, START, START + 5 * MINUTE), null);
  t.is(await candles.writeCandlesData([...given].reverse(), "BTCUSDT", "1m", "binance"), undefined);
  t.deepEqual(await candles.readCandlesData("BTCUSDT", "1m", "binance", 10, START, START + 10 * MINUTE), given);
  t.deepEqual(await candles.readCandlesData("BTCUSDT", "1m", "binance", 3, START + 2 * MINUTE, 0), given.slice(2, 5));
  t.is(await candles.readCandlesData("BTCUSDT", "1m", "binance", 11, START, 0), null);
  t.is(await candles.readCandlesData("BTCUSDT", "1m", "okx", 1, START, 0), null);
  t.is(await candles.readCandlesData("BTCUSDT", "5m", "binance", 1, START, 0), null);
  t.deepEqual(await own.fresh().kit.PersistCandleAdapter.readCandlesData("BTCUSDT", "1m", "binance", 10, START, 0), given);
});

test("Candle: the first write of a candle stays", async (t) => {
  const candles = adapter("Candle");
  await candles.writeCandlesData([candle(START, 1)], "BTCUSDT", "1m", "binance");
  await candles.writeCandlesData([candle(START, 2), candle(START + MINUTE, 2)], "BTCUSDT", "1m", "binance");
  t.deepEqual(await candles.readCandlesData("BTCUSDT", "1m", "binance", 2, START, 0), [candle(START, 1), candle(START + MINUTE, 2)]);
});

test("Candle: what is not over at the moment of the call is left out", async (t) => {
  const candles = adapter("Candle");
  for (const [interval, step] of [["1m", MINUTE], ["4h", 240 * MINUTE], ["1d", 1440 * MINUTE]]) {
    const current = Math.floor(Date.now() / step) * step;
    const given = [-2, -1, 0, 1].map((steps) => candle(current + steps * step));
    await candles.writeCandlesData(given, "BTCUSDT", interval, "binance");
    const stored = await own.mongo.documents("candle-items", { filter: { interval }, sort: { timestamp: 1 } });
    t.deepEqual(stored.map(({ timestamp }) => timestamp), [current - 2 * step, current - step]);
  }
});

test("every class that a kit may ask for is exported under the kit's name", (t) => {
  t.is(NOUNS.length, 17);
  for (const noun of NOUNS) {
    const Class = own.lib[`Persist${noun}Instance`];
    t.is(Class.name, `Persist${noun}Instance`);
    t.is(adapter(noun).Ctor, Class);
  }
});

test("the classes work by Reflect.construct, with another target, and extended", async (t) => {
  class Watched extends own.lib.PersistSignalInstance {
    async writeSignalData(row) {
      await super.writeSignalData({ ...row, watched: this.symbol });
    }
  }
  adapter("Signal").usePersistSignalAdapter(Watched);
  await adapter("Signal").writeSignalData({ id: "1" }, "BTCUSDT", "strategy", "binance");
  t.deepEqual(await adapter("Signal").readSignalData("BTCUSDT", "strategy", "binance"), { id: "1", watched: "BTCUSDT" });
  const plain = Reflect.construct(own.lib.PersistSignalInstance, ["BTCUSDT", "strategy", "binance"], Watched);
  t.true(plain instanceof Watched);
  t.deepEqual(await plain.readSignalData(), { id: "1", watched: "BTCUSDT" });
});

test("constructing an adapter does nothing: no call, no connection", async (t) => {
  for (const noun of NOUNS) Reflect.construct(own.lib[`Persist${noun}Instance`], ["a", "b", "c", "d", true]);
  await new Promise((resolve) => setImmediate(resolve));
  t.is(own.lib.stats().mongo, null);
  t.is(own.lib.health().redis.state, "idle");
});

for (const noun of ["Memory", "State", "Session", "Dictionary"]) {
  test(`${noun}: dispose() is there and loses nothing`, async (t) => {
    const instance = new own.lib[`Persist${noun}Instance`]("a", "b", "c", "d", true);
    const [method, args] = noun === "Memory" ? ["MemoryData", ["m", WHEN]] : [`${noun}Data`, [WHEN]];
    await instance[`write${method}`]({ id: "1", removed: false }, ...args);
    t.is(instance.dispose(), undefined);
    t.deepEqual(await instance[`read${method}`](...args), { id: "1", removed: false });
  });
}

test("after the kit's clear() all is as before, with new instances", async (t) => {
  await adapter("Signal").writeSignalData({ id: "1" }, "BTCUSDT", "strategy", "binance");
  await adapter("Candle").writeCandlesData([candle(START)], "BTCUSDT", "1m", "binance");
  for (const noun of NOUNS) adapter(noun).clear();
  t.deepEqual(await adapter("Signal").readSignalData("BTCUSDT", "strategy", "binance"), { id: "1" });
  t.deepEqual(await adapter("Candle").readCandlesData("BTCUSDT", "1m", "binance", 1, START, 0), [candle(START)]);
  t.is(adapter("Signal").made.length, 2);
});

test("a candle that was corrected by hand is read anew after the kit's clear()", async (t) => {
  const read = () => adapter("Candle").readCandlesData("BTCUSDT", "1m", "binance", 1, START, 0);
  await adapter("Candle").writeCandlesData([candle(START)], "BTCUSDT", "1m", "binance");
  t.is((await read())[0].close, 1.25);
  await own.mongo.command({ update: "candle-items", updates: [{ q: {}, u: { $set: { close: 99 } } }] });
  adapter("Candle").clear();
  t.is((await read())[0].close, 99);
});

test("a second caller that does not wait for the first call's init is served", async (t) => {
  const { lib, kit } = own.fresh();
  const signal = kit.PersistSignalAdapter;
  const [first, second] = await Promise.all([
    signal.readSignalData("BTCUSDT", "strategy", "binance"),
    signal.writeSignalData({ id: "2" }, "BTCUSDT", "strategy", "binance"),
  ]);
  t.true(first === null || first.id === "2");
  t.is(second, undefined);
  t.deepEqual(await signal.readSignalData("BTCUSDT", "strategy", "binance"), { id: "2" });
  t.is(lib.stats().mongo.errors, 0);
});

test("writes of one context end in the order in which they were made, however they overlap", async (t) => {
  const state = adapter("State");
  // Until the first call of a context is through its init, the kit itself lets later ones overtake it.
  await state.readStateData("sig-1", "bucket");
  for (let round = 0; round < 20; round++) {
    const writes = [];
    for (let n = 0; n < 5; n++) {
      writes.push(state.writeStateData({ id: "s", n: round * 10 + n }, "sig-1", "bucket", WHEN));
      if (n % 2) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(writes);
    t.is((await state.readStateData("sig-1", "bucket")).n, round * 10 + 4);
  }
});

test("a write that waits for an earlier one stores what it was given, not what became of it since", async (t) => {
  const state = new own.lib.PersistStateInstance("sig-1", "bucket");
  const data = { n: 1, when: new Date(7), big: 5n, none: undefined };
  const first = state.writeStateData({ n: 0 }, WHEN);
  const second = state.writeStateData(data, WHEN);
  data.n = "changed";
  await Promise.all([first, second]);
  t.deepEqual(await state.readStateData(), { n: 1, when: new Date(7), big: 5, none: null });
});

test("a write that a logger makes while another one of its context is being sent ends behind that one", async (t) => {
  const state = new own.lib.PersistStateInstance("sig-1", "bucket");
  const [waiting, inner] = [[2, 3], []];
  const log = (topic) => {
    if (!/ upsert$/.test(topic) || waiting.length === 0) return;
    const data = { n: waiting.shift() };
    inner.push(state.writeStateData(data, WHEN));
    data.n = "changed";
  };
  own.lib.setLogger({ log, debug() {}, info() {}, warn() {} });
  await state.writeStateData({ n: 1 }, WHEN);
  while (inner.length > 0) await inner.shift();
  own.lib.setLogger(null);
  t.deepEqual(waiting, []);
  t.deepEqual(await state.readStateData(), { n: 3 });
});

test("a write that fails for lack of stack leaves the order to the others: none is sent beside one that is under way", async (t) => {
  const { writeRow } = require("../../js/adapters/order.js");
  let isUnderWay = true;
  let [failed, beside] = [0, 0];
  const ended = [];
  const send = async () => void (beside += Number(isUnderWay));
  const write = () => {
    try {
      ended.push(writeRow("order", ["k"], { n: 2 }, send));
    } catch {
      failed++;
    }
  };
  let over;
  ended.push(writeRow("order", ["k"], { n: 1 }, () => new Promise((resolve) => (over = resolve))));
  // From the end of the stack on, further and further from it.
  let calls = 0;
  const recurse = () => {
    try {
      recurse();
    } catch {
      // No stack was left, not even for the call.
    }
    if (calls++ < 4_000) write();
  };
  recurse();
  write();
  t.true(failed > 0 && ended.length > 1, `${failed} of ${calls} failed`);
  isUnderWay = false;
  over();
  await Promise.allSettled(ended);
  t.is(beside, 0);
});

test("waitForInit of a later call is one promise that is there already", async (t) => {
  const signal = new own.lib.PersistSignalInstance("a", "b", "c");
  const state = new own.lib.PersistStateInstance("a", "b");
  t.is(signal.waitForInit(false), state.waitForInit(false));
  let waited = 0;
  const counting = (async () => {
    for (; waited < 10; waited++) await null;
  })();
  await signal.waitForInit(false);
  t.is(waited, 1, "no longer than an await of nothing");
  await counting;
  t.is(own.lib.stats().mongo, null, "and it asks nobody");
});

test("a value that has no bytes is refused by every write, and stores nothing", async (t) => {
  const cyclic = {};
  cyclic.self = cyclic;
  const refused = [
    adapter("Signal").writeSignalData(cyclic, "a", "b", "c"),
    adapter("State").writeStateData(cyclic, "a", "b", WHEN),
    adapter("Measure").writeMeasureData(cyclic, "a", "b", WHEN),
    adapter("Storage").writeStorageData([{ id: "1", cyclic }], true),
    adapter("Log").writeLogData([{ id: "1", cyclic }]),
  ];
  for (const { error } of await Promise.all(refused.map(outcome))) t.is(error?.code, "INVALID_VALUE");
  for (const name of ["signal", "state", "measure", "storage", "log"]) t.is(await own.mongo.count(`${name}-items`), 0);
});

test("hostile arguments of every adapter's method end in a result or a rejection with a code", async (t) => {
  const cyclic = { id: "c" };
  cyclic.self = cyclic;
  const trap = () => {
    throw new Error("trap");
  };
  const traps = { get: trap, has: trap, ownKeys: trap, getPrototypeOf: trap, getOwnPropertyDescriptor: trap };
  const values = [
    ...[undefined, null, true, 0, -1, 1.5, NaN, Infinity, 5n, "", "text", Symbol("s"), () => {}, class {}, [], {}],
    ...[cyclic, [cyclic], new Proxy({}, traps), [new Proxy({}, traps)], { get id() { return trap(); } }, { toString: trap }],
    ...[new Map([["a", 1]]), new Date(NaN), Buffer.from("b"), Object.create(null), [null], [{ id: Symbol("s") }], [{ id: {} }]],
  ];
  for (const noun of NOUNS) {
    const Class = own.lib[`Persist${noun}Instance`];
    const methods = Object.getOwnPropertyNames(Class.prototype).filter((name) => /Data$/.test(name));
    t.true(methods.length >= 2, noun);
    for (const [place, value] of values.entries()) {
      const other = values[(place * 7 + 3) % values.length];
      for (const instance of [new Class("a", "b", "c", "d", true), new Class(value, other, "c", "d", true)]) {
        for (const method of methods) {
          const made = instance[method](value, other, value);
          const { error } = await outcome(typeof made.then === "function" ? made : collect(made));
          const what = `${noun}.${method} of ${place}: ${error?.stack}`;
          if (error) t.true(["INVALID_VALUE", "INVALID_CONTEXT"].includes(error.code), what);
        }
      }
    }
  }
});

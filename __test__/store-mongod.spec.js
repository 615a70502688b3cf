"use strict";

// The embedded store held against a mongod, on the whole way from ioc's call to its rows: random documents, changes, filters and
// sorts find the same rows in the same order, or are refused as INVALID_VALUE. The rules over BSON alone have `npm run golden:bson`.

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const test = require("ava");
const { Binary, Decimal128, Double, Int32, Long, MaxKey, MinKey, ObjectId, Timestamp } = require("bson");
const { collect, loadFresh, outcome } = require("./support/addon.js");
const { anySeed, chance } = require("./support/random.js");
const { startMongo } = require("./support/mongo.js");
const { startRedis } = require("./support/redis.js");

const ROWS = 60;
const QUESTIONS = 250;
const own = {};

test.before(async () => {
  [own.redis, own.mongo] = await Promise.all([startRedis(), startMongo()]);
  own.folder = fs.mkdtempSync(path.join(os.tmpdir(), "bkn-store-mongod-"));
  const off = { CC_CANDLE_CACHE_MAX_BYTES: 0 };
  own.server = loadFresh({ ...off, CC_STORE_PATH: null, CC_REDIS_URL: own.redis.url, CC_MONGO_CONNECTION_STRING: own.mongo.url });
  own.store = loadFresh({ ...off, CC_STORE_PATH: own.folder });
});

test.after.always(async () => {
  for (const lib of [own.server, own.store]) if (lib) await lib.close();
  for (const server of [own.redis, own.mongo]) if (server) await server.stop();
  if (own.folder) fs.rmSync(own.folder, { recursive: true, force: true });
});

const TEXTS = ["", "a", "b", "B", "é", "\u{1F600}", "\uFFFD", "10", "9", "a b"];
const NUMBERS = [0, -0, 1, -1, 1.5, 2, 10, 1e20, -Infinity, Infinity, NaN, 2 ** 53];

/** A value of any type, of which some are alike. */
function anything(next, depth = 0) {
  const kinds = [
    () => next.pick(TEXTS),
    () => next.pick(NUMBERS),
    () => next.pick([true, false]),
    () => null,
    () => new Date(next.pick([0, 1, 1e12])),
    () => Long.fromString(next.pick(["1", "2", "9007199254740992", "9007199254740993"])),
    () => Decimal128.fromString(next.pick(["1", "1.0", "0.1", "NaN", "9007199254740993", "1E+3"])),
    () => new Int32(next.pick([1, 2])),
    () => new Double(next.pick([1, 2.5])),
    () => new ObjectId(next.pick(["000000000000000000000001", "ffffffffffffffffffffffff"])),
    () => new Binary(Buffer.from(next.pick(["", "a", "ab"]))),
    () => new Timestamp({ t: 1, i: next.below(2) }),
    () => next.pick([new MinKey(), new MaxKey()]),
  ];
  if (depth < 2) {
    kinds.push(() => Array.from({ length: next.below(4) }, () => anything(next, depth + 1)));
    kinds.push(() => Object.fromEntries(Array.from({ length: next.below(3) }, () => [next.pick(["a", "b"]), anything(next, depth + 1)])));
  }
  return next.pick(kinds)();
}

/** Of each service: a row's key, its other fields, and what its fields are asked. */
const SERVICES = {
  storageDbService: {
    row: (next, i) => ({ backtest: next.maybe(0.5), signalId: `${next.pick(TEXTS)}${i}`, payload: payload(next) }),
    asks: { backtest: (next) => next.maybe(0.5), signalId: (next) => `${next.pick(TEXTS)}${next.below(ROWS)}` },
  },
  measureDbService: {
    row: (next, i) => ({ bucket: next.pick(["x", "y"]), entryKey: `${i}`, payload: payload(next), removed: next.maybe(0.3) }),
    asks: { bucket: (next) => next.pick(["x", "y", "z"]), entryKey: (next) => `${next.below(ROWS)}`, removed: (next) => next.maybe(0.5) },
  },
  riskDbService: {
    row: (next, i) => ({ riskName: `${next.pick(TEXTS)}${i}`, exchangeName: next.pick(["e", "f"]), positions: payload(next), when: next.pick([0, 1, 1.5, 1e12, -5]) }),
    asks: { riskName: (next) => `${next.pick(TEXTS)}${next.below(ROWS)}`, exchangeName: (next) => next.pick(["e", "f"]), when: (next) => next.pick([0, 1, 1.5, 1e12, 7]) },
  },
  candleDbService: {
    row: (next, i) => ({ symbol: next.pick(["S", "T"]), interval: next.pick(["1m", "5m", "odd"]), exchangeName: "e", timestamp: next.maybe(0.8) ? i * 60_000 : i + 0.5, open: next.below(3), high: 2, low: 1, close: next.pick([1, 1.5]), volume: next.below(3) }),
    asks: { symbol: (next) => next.pick(["S", "T", "U"]), interval: (next) => next.pick(["1m", "5m"]), timestamp: (next) => next.below(ROWS) * 60_000, open: (next) => next.below(3), volume: (next) => next.below(3) },
  },
};

const payload = (next) => ({ a: anything(next), b: anything(next), c: { a: anything(next), n: next.below(5) }, n: next.below(7) });
const PATHS = ["a", "b", "c", "c.a", "c.n", "n", "a.0", "a.a", "b.b"];

/** A filter: fields of the key, paths into what is anything, and branches. */
function filter(next, asks, inner, depth = 0) {
  const conditions = {};
  for (let left = 1 + next.below(3); left > 0; left--) {
    const branch = next.pick(["$and", "$or", "$nor"]);
    if (depth < 2 && next.maybe(0.2)) conditions[branch] = Array.from({ length: 1 + next.below(2) }, () => filter(next, asks, inner, depth + 1));
    else if (inner && next.maybe(0.4)) conditions[`${inner}.${next.pick(PATHS)}`] = condition(next, (it) => anything(it, 1));
    else {
      const name = next.pick(Object.keys(asks));
      conditions[name] = condition(next, asks[name]);
    }
  }
  return conditions;
}

function condition(next, value) {
  const operators = ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"];
  const kinds = [
    () => value(next),
    () => ({ [next.pick(operators)]: value(next) }),
    () => ({ [next.pick(["$gt", "$gte"])]: value(next), [next.pick(["$lt", "$lte"])]: value(next) }),
    () => ({ [next.pick(["$in", "$nin"])]: Array.from({ length: 1 + next.below(3) }, () => value(next)) }),
    () => ({ $exists: next.maybe(0.7) }),
    () => ({ $not: { [next.pick(operators)]: value(next) } }),
    () => ({ $in: [null, value(next)] }),
    () => null,
  ];
  return next.pick(kinds)();
}

const shown = (value) => JSON.stringify(value, (_, inner) => (typeof inner === "number" && !Number.isFinite(inner) ? String(inner) : inner));

/** What both say to a call: the store's may be refused where the server's is not, and nothing else may differ. */
async function both(t, call, what, says) {
  const store = await outcome(call(own.store.ioc));
  if (store.error?.code === "INVALID_VALUE") return null;
  const server = await outcome(call(own.server.ioc));
  t.is(store.error?.code, server.error?.code, `${what}: ${store.error?.message}; ${server.error?.message}`);
  if (store.error) {
    t.is(store.error.cause?.code, server.error.cause?.code, what);
    return null;
  }
  t.deepEqual(says(store.value), says(server.value), what);
  return store.value;
}

/** What a row is known by on both sides: a candle's `_id` is each side's own. */
const known = (row) => (row === null ? null : "timestamp" in row ? [row.exchangeName, row.symbol, row.interval, row.timestamp, row.high].join(" ") : row.id);
const all = (rows) => rows.map(known);

/** Changes that lead to rows as nobody casts them: other types in fields of the key, in flags and in dates. */
function change(next, name) {
  const [inner] = Object.keys(SERVICES[name].row(next, 0)).filter((field) => ["payload", "positions"].includes(field));
  if (!inner) return next.pick([{ $inc: { timestamp: next.pick([1, 0.5, 2 ** 31]) } }, { $set: { open: next.below(3) } }, { $unset: { volume: 1 } }, { $mul: { timestamp: 2 } }]);
  const fields = [...Object.keys(SERVICES[name].asks), "createDate", "updatedDate"];
  return next.pick([
    { $rename: { [`${inner}.${next.pick(["a", "b", "n", "c"])}`]: next.pick(fields) } },
    { $set: { createDate: new Date(next.pick([0, 5, 1e12])) } },
    { $unset: { [next.pick(fields)]: 1 } },
    { $push: { [`${inner}.${next.pick(["a", "b"])}`]: anything(next, 1) } },
    { $inc: { [`${inner}.n`]: next.pick([1, 0.5, -3]) } },
  ]);
}

for (const [name, { row, asks }] of Object.entries(SERVICES)) {
  test.serial(`${name}: random rows, changes, filters and sorts have the server's outcome, or are refused`, async (t) => {
    t.timeout(120_000);
    const seed = Number(process.env.BKN_SEED ?? anySeed());
    t.log(`BKN_SEED=${seed}`);
    const next = chance(seed);
    const ids = [];
    for (let i = 0; i < ROWS; i++) {
      const dto = { _id: new ObjectId(), ...row(next, i) };
      const made = new Map();
      const create = async (ioc) => made.set(ioc, await ioc[name].create(dto)).get(ioc);
      if (await both(t, create, `create ${shown(dto)}`, known)) ids.push((ioc) => made.get(ioc).id);
    }
    let changed = 0;
    for (let i = 0; i < ROWS; i++) {
      const [id, dto] = [next.pick(ids), change(next, name)];
      if (await both(t, (ioc) => ioc[name].update(id(ioc), dto), `update ${shown(dto)}`, known)) changed++;
    }
    t.true(changed > ROWS / 4, `${changed} rows were changed`);
    const isCandle = name === "candleDbService";
    const inner = isCandle ? null : Object.keys(row(next, 0)).find((field) => ["payload", "positions"].includes(field));
    const sortable = [...Object.keys(asks), ...(inner ? PATHS.map((it) => `${inner}.${it}`) : [])];
    let answered = 0;
    let found = 0;
    for (let i = 0; i < QUESTIONS; i++) {
      const question = next.maybe(0.1) ? {} : filter(next, asks, inner);
      const sort = { ...Object.fromEntries(Array.from({ length: next.below(3) }, () => [next.pick(sortable), next.pick([1, -1])])) };
      for (const last of isCandle ? ["timestamp", "symbol", "interval", "high"] : ["_id"]) sort[last] ??= next.pick([1, -1]);
      const what = `${shown(question)} by ${shown(sort)}`;
      const rows = await both(t, (ioc) => collect(ioc[name].iterate(question, sort)), what, all);
      if (!rows) continue;
      answered++;
      found += rows.length;
      const bounds = { limit: 1 + next.below(10), offset: next.below(5) };
      await both(t, (ioc) => ioc[name].paginate(question, bounds, sort), `${what} ${shown(bounds)}`, (page) => [page.total, all(page.rows)]);
      await both(t, (ioc) => ioc[name].findAll(question), what, (them) => all(them).sort());
      await both(t, (ioc) => ioc[name].findByFilter(question, sort), what, known);
    }
    t.log(`${changed} changes, ${answered} questions, ${found} rows`);
    t.true(answered > QUESTIONS / 2 && found > 0);
  });
}

"use strict";

// The rules of the candle cache without a server: random histories against a model, and each rule by its name.

const test = require("ava");
const { World, answerOf, rowOf, turn } = require("./support/candle-world.js");
const { chance, anySeed } = require("./support/random.js");
const path = require("node:path");
const { root } = require("./support/addon.js");


const { CandleCache, HELD, MISSING, ODD } = require(path.join(root, "js", "candles", "cache.js"));
const { bytesOf } = require(path.join(root, "js", "candles", "block.js"));
const { fetch } = require(path.join(root, "js", "candles", "fetch.js"));
const { BLOCK } = require(path.join(root, "js", "candles", "grid.js"));

const MINUTE = 60_000;
const FIRST = 28_763 * BLOCK;
const SEED = Number(process.env.BKN_CANDLE_SEED) || anySeed();
const HISTORIES = 20;
const STEPS = 300;

const series = [
  { symbol: "A", interval: "1m", exchangeName: "x" },
  { symbol: "A", interval: "1m", exchangeName: "y" },
  { symbol: "A:1m", interval: "5m", exchangeName: "x" },
];
const firstOf = ({ interval }) => (interval === "1m" ? FIRST : Math.ceil(FIRST / 5));

/** One random step. */
function act(world) {
  const { chance: random } = world;
  const names = random.pick(series);
  // Around a border of two blocks, and at the beginning of the third.
  const slot = firstOf(names) + random.pick([BLOCK - 8, 2 * BLOCK - 8, BLOCK / 2 + 500]) + random.below(16);
  const limit = 1 + random.below(random.maybe(0.1) ? BLOCK : 6);
  const write = random.next();
  world.elapsed += random.below(120);
  world.present += random.below(MINUTE);
  if (write < 0.35) return void world.read(names, slot, limit, random.maybe(0.4), random.maybe(0.5));
  const step = random.maybe(0.5) ? () => 1 : () => random.below(3);
  if (write < 0.5) return void world.write(names, Array.from({ length: 1 + random.below(6) }, (_, i) => slot + step() * i));
  if (write < 0.53) return void world.change(names, slot, random.maybe(0.5) ? null : rowOf(++world.version));
  if (write < 0.55) return void (world.row(names, slot) ?? world.set(names, slot, rowOf(++world.version, random.pick([3, 3, 1, 0]))));
  if (write < 0.56) return void world.cache.forget(random.pick([undefined, "A"]), random.pick([undefined, "1m"]), random.pick([undefined, "x"]));
  if (write < 0.57) return void world.cache.voidAbsence();
  if (write < 0.78) return void world.runOne();
  return void world.answerOne();
}

const BOUNDS = { "room for everything": 100 * bytesOf(true), "room for a few blocks": 3 * bytesOf(true), "hardly room": 1.5 * bytesOf(true) };
for (const [title, maxBytes] of Object.entries(BOUNDS)) {
  test(`whatever happens in whatever order, answers are what was in the database: ${title}`, async (t) => {
    let [reads, hits, evictions, dropped] = [0, 0, 0, 0];
    for (let history = 0; history < HISTORIES; history++) {
      const seed = SEED + history;
      const random = chance(seed);
      const world = new World(random, { maxBytes, absenceMs: 1_000, start: (FIRST + 2 * BLOCK) * MINUTE });
      for (; world.step < STEPS; world.step++) {
        act(world);
        await turn();
        if (world.step % 8 === 0) world.audit();
      }
      await world.settle();
      world.audit();
      t.deepEqual(world.problems.slice(0, 3), [], `BKN_CANDLE_SEED=${seed}`);
      const stats = world.cache.stats();
      [reads, hits, evictions, dropped] = [reads + world.reads, hits + stats.fills, evictions + stats.evictions, dropped + stats.dropped];
    }
    // A history that exercises nothing would prove nothing.
    t.true(reads > 200 && hits > 200 && dropped > 2, `${reads} reads, ${hits} fills, ${dropped} dropped`);
    if (maxBytes < 10 * bytesOf(true)) t.true(evictions > 0, `${evictions} evictions`);
  });
}

// Each rule by its name.

const NAMES = ["A", "1m", "x"];
const NUMBERS = { open: 1, high: 2, low: 3, close: 4, volume: 5 };
const ROW = { ids: new Uint8Array(12), at: 0, createDate: 6, updatedDate: 7 };

/** A cache with a clock that stands a year after the first slot. */
function made({ maxBytes = 100 * bytesOf(true), absenceMs = 1_000 } = {}) {
  const clock = { now: 10_000, wall: (FIRST + 500_000) * MINUTE, elapsed: () => clock.now, present: () => clock.wall };
  const cache = new CandleCache({ maxBytes, absenceMs });
  const series = () => cache.open(...NAMES);
  return {
    cache,
    clock,
    series,
    ask: (first, limit, options = {}) => cache.questions(series(), first, limit, { rows: false, remember: false, ...options }, clock),
    look: (first, limit, rows = false) => (cache.find(...NAMES) === undefined ? MISSING : cache.look(series(), first, limit, rows)),
    absent: (first, limit) => cache.find(...NAMES) !== undefined && cache.absent(series(), first, limit, clock.now),
    /** Answers a question with these places of its block. */
    answer(question, places, fits = 3) {
      cache.fill(question, answerOf(places.map((place) => [place - question.from, rowOf(place, fits)]), question.rows));
    },
    /** A write of one slot that is confirmed. */
    store(slot, rows = false) {
      const write = cache.begin();
      cache.claim(write, series(), slot);
      cache.stored(write, series(), slot, NUMBERS, ROW, rows);
      cache.end(write);
    },
  };
}

const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);
/** What a question asks for. */
const asked = ({ asks }) => asks.map(({ index, from, to, places, whole }) => ({ block: index - FIRST / BLOCK, asked: places ?? [from, to], whole }));

test("the first miss in a block asks for the whole block, later ones for what the window lacks, and what is held is not asked for", (t) => {
  const { ask, answer, look } = made();
  const first = ask(FIRST + 10, 3);
  t.deepEqual(asked(first), [{ block: 0, asked: [0, BLOCK], whole: true }]);
  answer(first.asks[0], [0, 10, 11, 12, 15]);
  t.is(look(FIRST + 10, 3), HELD);
  t.is(look(FIRST + 10, 4), MISSING);
  t.deepEqual(asked(ask(FIRST + 10, 5)), [{ block: 0, asked: [13, 15], whole: false }]);
  t.deepEqual(asked(ask(FIRST + 12, 5)), [{ block: 0, asked: [13, 14, 16], whole: false }]);
  t.deepEqual(asked(ask(FIRST + 10, 3)), []);
});

test("a window over the border of two blocks asks for each", (t) => {
  const { ask } = made();
  t.deepEqual(asked(ask(FIRST + BLOCK - 1, 2)).map(({ block }) => block), [0, 1]);
});

test("blocks before 1970 are blocks", (t) => {
  const { ask, answer, look } = made();
  const { asks } = ask(-2, 4);
  t.deepEqual(asks.map(({ index }) => index), [-1, 0]);
  answer(asks[0], [BLOCK - 2, BLOCK - 1]);
  answer(asks[1], [0, 1]);
  t.is(look(-2, 4), HELD);
});

test("ids and dates are asked for only where they are wanted, and then the numbers come along", (t) => {
  const { ask, answer, look } = made();
  answer(ask(FIRST, 1).asks[0], [0]);
  t.is(look(FIRST, 1, true), MISSING);
  const rows = ask(FIRST, 1, { rows: true });
  t.deepEqual(asked(rows), [{ block: 0, asked: [0, BLOCK], whole: true }]);
  answer(rows.asks[0], [0, 1]);
  t.is(look(FIRST, 2, true), HELD);
  t.is(look(FIRST, 2), HELD);
  t.deepEqual(asked(ask(FIRST, 3, { rows: true })), [{ block: 0, asked: [2, 3], whole: false }]);
});

test("an answer that was asked for before the cache was emptied fills nothing", (t) => {
  for (const empty of [(cache) => cache.empty(), (cache) => cache.forget("A"), (cache) => cache.forget("another symbol")]) {
    const { cache, ask, answer, look } = made();
    const { asks } = ask(FIRST, 1);
    empty(cache);
    answer(asks[0], [0]);
    t.is(look(FIRST, 1), MISSING);
    t.is(cache.stats().dropped, 1);
  }
});

test("a question that was asked before the cache was emptied is not waited for", (t) => {
  const { cache, ask } = made();
  ask(FIRST, 1);
  cache.empty();
  t.is(ask(FIRST, 1).joins.length, 0);
});

test("a write that began before the cache was emptied fills nothing, and is not what a later write leaves out", (t) => {
  const { cache, look, series } = made();
  const write = cache.begin();
  cache.claim(write, series(), FIRST);
  t.is(cache.known(series(), FIRST), write);
  cache.empty();
  t.is(cache.known(series(), FIRST), null);
  cache.stored(write, series(), FIRST, NUMBERS, ROW, false);
  cache.end(write);
  t.is(look(FIRST, 1), MISSING);
});

test("a slot is known to be there only when that is confirmed; until then it is the write's that has it", (t) => {
  const { cache, series, store } = made();
  const write = cache.begin();
  cache.claim(write, series(), FIRST);
  t.is(cache.known(series(), FIRST), write);
  cache.end(write);
  t.is(cache.known(series(), FIRST), null);
  store(FIRST);
  t.is(cache.known(series(), FIRST), true);
});

test("two writes that have one slot: when the second is over, the slot is still the first one's", (t) => {
  const { cache, series } = made();
  const [one, two] = [cache.begin(), cache.begin()];
  cache.claim(one, series(), FIRST);
  cache.claim(two, series(), FIRST);
  cache.end(two);
  t.is(cache.known(series(), FIRST), one);
});

test("a stretch is free where nothing of it is known or being written, and then it is the write's that has it", (t) => {
  const { cache, series, store, look } = made();
  store(FIRST + 5);
  t.deepEqual([cache.isFree(series(), FIRST, 5), cache.isFree(series(), FIRST, 6), cache.isFree(series(), FIRST + 6, 3 * BLOCK)], [true, false, true]);
  const write = cache.begin();
  const [first, count] = [FIRST + BLOCK - 10, 20];
  cache.claimRun(write, series(), first, count);
  t.deepEqual([first - 1, first, first + 19, first + 20].map((slot) => cache.known(series(), slot)), [null, write, write, null]);
  t.false(cache.isFree(series(), first + 19, 1));
  t.is(look(first, count), MISSING);
  const numbers = Float64Array.from(range(0, count).flatMap((i) => [0, i, i + 1, i + 2, i + 3, i + 4]));
  cache.storedRun(write, series(), first, count, numbers);
  t.is(cache.known(series(), first), true);
  cache.end(write);
  t.is(look(first, count), HELD);
  t.is(cache.stats().candles, count + 1);
  const { open, volume } = series().blocks.get(FIRST / BLOCK + 1);
  t.deepEqual([open[0], volume[9]], [10, 23]);
});

test("a stretch whose write fails is free again, and one that was written while the cache was emptied is not held", (t) => {
  const { cache, series, look } = made();
  const failed = cache.begin();
  cache.claimRun(failed, series(), FIRST, 10);
  cache.end(failed);
  t.true(cache.isFree(series(), FIRST, 10));
  const late = cache.begin();
  cache.claimRun(late, series(), FIRST, 10);
  cache.empty();
  t.true(cache.isFree(series(), FIRST, 10), "a later write does not leave it out");
  cache.storedRun(late, series(), FIRST, 10, new Float64Array(60));
  cache.end(late);
  t.is(look(FIRST, 1), MISSING);
});

test("absence of a stretch is void from when it is being written", (t) => {
  const { ask, answer, absent, cache, series } = made();
  answer(ask(FIRST, 1, { remember: true }).asks[0], []);
  t.true(absent(FIRST + 3, 1));
  const write = cache.begin();
  cache.claimRun(write, series(), FIRST + 2, 5);
  t.deepEqual([absent(FIRST + 1, 1), absent(FIRST + 2, 5), absent(FIRST + 7, 1)], [true, false, true]);
  cache.end(write);
  t.false(absent(FIRST + 2, 5));
});

test("a block that is read as a whole takes the place of all that was held of it", (t) => {
  const { cache, series, store, look } = made();
  store(FIRST + 5, true);
  /** As the store fills it: a bitmap, five columns, and with rows two dates and an id for each slot. */
  const block = (places, rows) => {
    const buffer = new ArrayBuffer(BLOCK / 8 + 5 * BLOCK * 8 + (rows ? BLOCK * 28 : 0));
    const bits = new Uint8Array(buffer, 0, BLOCK / 8);
    const numbers = new Float64Array(buffer, BLOCK / 8, 5 * BLOCK);
    for (const place of places) {
      bits[place >>> 3] |= 1 << (place & 7);
      for (let column = 0; column < 5; column++) numbers[column * BLOCK + place] = place + column / 8;
    }
    return buffer;
  };
  const whole = cache.replace(series(), FIRST / BLOCK, block([7, 31, 32, 1_023], false), false);
  t.deepEqual([5, 7, 31, 32, 33, 1_023].map((place) => look(FIRST + place, 1)), [MISSING, HELD, HELD, HELD, MISSING, HELD]);
  t.is(look(FIRST + 7, 1, true), MISSING);
  t.deepEqual([whole.open[7], whole.volume[1_023]], [7, 1_023.5]);
  cache.replace(series(), FIRST / BLOCK, block([7, 8], true), true);
  t.deepEqual([look(FIRST + 7, 2, true), look(FIRST + 31, 1)], [HELD, MISSING]);
  t.like(cache.stats(), { candles: 2, blocks: 1, bytes: bytesOf(true) });
});

test("questions under way are waited for where they may bring what is missing", (t) => {
  const { cache, ask, answer, series } = made();
  const [whole] = ask(FIRST, 1).asks;
  t.deepEqual(ask(FIRST + 5, 2), { asks: [], joins: [whole] });
  t.is(ask(FIRST + 5, 2, { join: false }).asks.length, 1);
  t.is(ask(FIRST + 5, 2, { rows: true }).asks.length, 1, "it brings no rows");
  answer(whole, [0]);
  cache.finish([...series().asks][0]);
  cache.finish([...series().asks][0]);
  const [some] = ask(FIRST + 5, 3).asks;
  t.deepEqual(ask(FIRST + 6, 1).joins, [some]);
  t.is(ask(FIRST + 4, 2).joins.length, 0, "it does not bring all");
});

test("a question under way is not waited for where it left out what was held then, and is not any more", (t) => {
  const { cache, ask, answer, store } = made({ maxBytes: 2 * bytesOf(false) });
  answer(ask(FIRST, 1).asks[0], [6]);
  t.deepEqual(asked(ask(FIRST + 5, 3)), [{ block: 0, asked: [5, 7], whole: false }]);
  for (const slot of [FIRST + BLOCK, FIRST + 2 * BLOCK]) store(slot);
  t.is(cache.stats().evictions, 1);
  t.is(ask(FIRST + 6, 1).joins.length, 0);
});

test("absence is remembered for the adapter alone, for so long from when the question was sent", (t) => {
  const { clock, ask, answer, absent } = made();
  answer(ask(FIRST, 1).asks[0], [5]);
  t.false(absent(FIRST, 1), "the question of another call");
  const { asks } = ask(FIRST, 1, { remember: true });
  clock.now += 400;
  answer(asks[0], []);
  t.true(absent(FIRST, 1));
  t.true(absent(FIRST + 4, 3));
  t.false(absent(FIRST + 5, 1), "it is there");
  clock.now += 599;
  t.true(absent(FIRST, 1));
  clock.now += 1;
  t.false(absent(FIRST, 1));
});

test("an adapter's later question reaches to the end of its block, for what is not held there", (t) => {
  const { ask, answer } = made();
  answer(ask(FIRST, 1, { remember: true }).asks[0], [3]);
  t.deepEqual(asked(ask(FIRST + 4, 1, { remember: true })), [{ block: 0, asked: [4, BLOCK], whole: false }]);
  t.deepEqual(asked(ask(FIRST + 2, 1, { remember: true })), [{ block: 0, asked: range(2, BLOCK).filter((place) => place !== 3), whole: false }]);
});

test("absence is not remembered of candles that were not over for a minute", (t) => {
  const { clock, ask, answer, absent } = made();
  // Slot 2 ends a minute before this, and slot 3 a millisecond after that.
  clock.wall = (FIRST + 4) * MINUTE;
  answer(ask(FIRST, 1, { remember: true }).asks[0], [1]);
  t.true(absent(FIRST + 2, 1));
  t.false(absent(FIRST + 3, 1));
  t.false(absent(FIRST + 1, 1), "it is there");
});

test("absence is void for what is being written, was written since the question, or is written later", (t) => {
  for (const [when, steps] of [
    ["before the question", ["begin", "ask", "answer"]],
    ["before the answer", ["ask", "begin", "answer"]],
    ["and over before the answer", ["begin", "ask", "end", "answer"]],
    ["between both", ["ask", "begin", "end", "answer"]],
    ["after the answer", ["ask", "answer", "begin"]],
    ["and over after the answer, although the cache was emptied", ["begin", "empty", "ask", "answer", "end"]],
  ]) {
    const { cache, ask, answer, absent, series } = made();
    let [write, question] = [null, null];
    const act = {
      begin: () => cache.claim((write = cache.begin()), series(), FIRST),
      ask: () => ([question] = ask(FIRST, 1, { remember: true }).asks),
      answer: () => answer(question, []),
      end: () => cache.end(write),
      empty: () => cache.empty(),
    };
    for (const step of steps) act[step]();
    t.false(absent(FIRST, 1), `a write ${when}`);
  }
});

test("absence of other slots stands while one is written", (t) => {
  const { cache, ask, answer, absent, series } = made();
  const write = cache.begin();
  cache.claim(write, series(), FIRST);
  answer(ask(FIRST, 1, { remember: true }).asks[0], []);
  t.true(absent(FIRST + 1, 1));
  cache.end(write);
  t.true(absent(FIRST + 1, 1));
});

test("a write of which nobody can tell the slots voids all absence, known and asked for", (t) => {
  const { cache, ask, answer, absent } = made();
  answer(ask(FIRST, 1, { remember: true }).asks[0], []);
  const { asks } = ask(FIRST + BLOCK, 1, { remember: true });
  cache.voidAbsence();
  t.false(absent(FIRST, 1));
  answer(asks[0], []);
  t.false(absent(FIRST + BLOCK, 1));
});

test("absence that may last no time is not remembered", (t) => {
  const { ask, answer, absent } = made({ absenceMs: 0 });
  answer(ask(FIRST, 1, { remember: true }).asks[0], []);
  t.false(absent(FIRST, 1));
});

test("a row that does not fit marks its slot, and its neighbours are held", (t) => {
  const { cache, ask, answer, look, series } = made();
  const [question] = ask(FIRST, 1).asks;
  cache.fill(question, answerOf([[0, rowOf(1)], [1, rowOf(2, 0)], [2, rowOf(3)]], false));
  t.deepEqual([look(FIRST, 1), look(FIRST, 3), look(FIRST + 1, 1), look(FIRST + 2, 1)], [HELD, ODD, ODD, HELD]);
  t.is(cache.known(series(), FIRST + 1), null);
  const [rows] = ask(FIRST + 3, 1, { rows: true }).asks;
  answer(rows, [3], 1);
  t.deepEqual([look(FIRST + 3, 1), look(FIRST + 3, 1, true)], [HELD, ODD]);
});

test("where a row's moment cannot be told, nothing of its block is answered from memory", (t) => {
  const { cache, ask, look } = made();
  const found = answerOf([[0, rowOf(1)], [1, rowOf(2)]], false);
  found.offsets[1] = 0xffffffff;
  cache.fill(ask(FIRST, 1).asks[0], found);
  t.is(look(FIRST, 1), ODD);
});

test("a range that takes more than a quarter of the bound is not remembered, nor anything where no block has room", (t) => {
  const { cache } = made({ maxBytes: 4 * bytesOf(false) });
  t.true(cache.keeps(BLOCK, false));
  t.false(cache.keeps(BLOCK + 1, false));
  t.true(cache.keeps(BLOCK / 2, true));
  t.false(cache.keeps(BLOCK, true));
  const small = made({ maxBytes: bytesOf(false) - 1 });
  t.false(small.cache.keeps(1, false));
  small.store(FIRST);
  t.like(small.cache.stats(), { candles: 0, evictions: 0 });
});

test("a long window passes by once; what meets it, or is held in part, is remembered", (t) => {
  const { cache, series, store } = made();
  const names = { symbol: NAMES[0], interval: NAMES[1], exchangeName: NAMES[2] };
  const passes = (first, limit) => {
    const answer = cache.passes(names, first, limit);
    if (answer) cache.passed(names, first, limit);
    return answer;
  };
  t.true(cache.passes(names, FIRST, 9 * BLOCK));
  t.is(cache.find(...NAMES), undefined, "one that was not answered leaves nothing");
  t.true(passes(FIRST, 9 * BLOCK));
  t.false(passes(FIRST, 9 * BLOCK));
  t.false(passes(FIRST + 9 * BLOCK - 1, BLOCK), "it has one slot of it");
  t.true(passes(FIRST + 9 * BLOCK, 9 * BLOCK), "the next one");
  t.true(passes(FIRST, 9 * BLOCK), "only the last is known");
  const question = cache.ask(series(), { index: 0, from: 0, to: 1, places: null, rows: false, whole: false, remember: false }, { elapsed: () => 0, present: () => 0 });
  cache.finish(question);
  t.false(passes(FIRST, 9 * BLOCK), "it is known as long as nothing is forgotten");
  cache.forget(NAMES[0]);
  t.is(cache.find(...NAMES), undefined);
  t.true(passes(FIRST, 9 * BLOCK));
  cache.forget();
  store(FIRST + 4 * BLOCK + 7);
  t.false(passes(FIRST, 9 * BLOCK));
  t.true(passes(FIRST + 5 * BLOCK, 9 * BLOCK));
});

test("the block that was used least recently goes first, reads and writes count", (t) => {
  const { cache, look, store, series } = made({ maxBytes: 3 * bytesOf(false) });
  const [a, b, c, d, e] = range(0, 5).map((i) => FIRST + i * BLOCK);
  for (const slot of [a, b, c]) store(slot);
  look(a, 1);
  store(d);
  t.deepEqual([a, b, c, d].map((slot) => look(slot, 1)), [HELD, MISSING, HELD, HELD]);
  look(a, 1);
  cache.known(series(), c);
  store(e);
  t.deepEqual([a, b, c, d, e].map((slot) => look(slot, 1)), [HELD, MISSING, HELD, MISSING, HELD]);
  t.is(cache.stats().evictions, 2);
});

test("names are compared and never joined", (t) => {
  const { cache } = made();
  const one = cache.open("a:1m", "1m", "x");
  t.is(cache.find("a:1m", "1m", "x"), one);
  for (const names of [["a", "1m", "x"], ["a:1m", "1m", "x:a"], ["x", "1m", "a:1m"], ["a:1m", "5m", "x"]]) t.is(cache.find(...names), undefined);
});

test("forget empties what fits all that is named", (t) => {
  const all = [["A", "1m", "x"], ["A", "1m", "y"], ["A", "5m", "x"], ["B", "1m", "x"]];
  const left = (...named) => {
    const { cache } = made();
    for (const names of all) {
      const write = cache.begin();
      cache.claim(write, cache.open(...names), FIRST);
      cache.stored(write, cache.open(...names), FIRST, NUMBERS, ROW, false);
      cache.end(write);
    }
    cache.forget(...named);
    t.is(cache.stats().candles, cache.stats().blocks);
    return all.filter((names) => cache.find(...names) !== undefined).map((names) => names.join(""));
  };
  t.deepEqual(left(), []);
  t.deepEqual(left("A"), ["B1mx"]);
  t.deepEqual(left("A", "1m"), ["A5mx", "B1mx"]);
  t.deepEqual(left("A", "1m", "y"), ["A1mx", "A5mx", "B1mx"]);
  t.deepEqual(left(undefined, undefined, "x"), ["A1my"]);
});

test("the next block is fetched once reads go forward in the second half of a block, and once only", (t) => {
  const { cache, clock, series, store } = made();
  const ahead = (first, limit = 5) => cache.ahead(series(), first, limit, false, false, clock);
  t.is(ahead(FIRST + 600), null, "one read is no direction");
  t.is(ahead(FIRST + 590), null, "backwards");
  t.is(ahead(FIRST + 100), null);
  t.is(ahead(FIRST + 101), null, "the first half");
  t.is(ahead(FIRST + 506), null, "up to the last slot of it");
  // Something is known, so that the series is kept.
  store(FIRST);
  t.is(ahead(FIRST + 508 + BLOCK), null, "a leap");
  t.is(ahead(FIRST + 507), null, "back");
  const question = ahead(FIRST + 508);
  t.like(question, { index: FIRST / BLOCK + 1, from: 0, to: BLOCK, rows: false });
  t.is(ahead(FIRST + 509), null);
  cache.finish(question);
  t.is(ahead(FIRST + 510), null);
  t.is(cache.stats().readAheads, 1);
});

test("what was asked for already, is being asked for, or is held is not fetched beforehand", (t) => {
  for (const prepare of [
    ({ ask, answer }) => answer(ask(FIRST + BLOCK, 1).asks[0], []),
    ({ ask }) => ask(FIRST + BLOCK, 1),
    ({ store }) => range(0, BLOCK).forEach((place) => store(FIRST + BLOCK + place)),
  ]) {
    const it = made();
    prepare(it);
    it.cache.ahead(it.series(), FIRST + 600, 5, false, false, it.clock);
    t.is(it.cache.ahead(it.series(), FIRST + 601, 5, false, false, it.clock), null);
  }
});

test("a block is fetched up to the present, and one of the future when its time has come", (t) => {
  const { cache, clock, series } = made();
  const ahead = (first) => cache.ahead(series(), first, 5, false, false, clock);
  clock.wall = (FIRST + BLOCK) * MINUTE - 1;
  ahead(FIRST + 600);
  t.is(ahead(FIRST + 601), null);
  clock.wall = (FIRST + BLOCK + 9) * MINUTE + 1;
  t.like(ahead(FIRST + 602), { from: 0, to: 10 });
});

test("where there is little room no block is fetched beforehand", (t) => {
  const { cache, clock, series } = made({ maxBytes: 4 * bytesOf(false) - 1 });
  for (const first of [FIRST + 600, FIRST + 601]) t.is(cache.ahead(series(), first, 5, false, false, clock), null);
});

test("ids and dates of a write are kept where they are wanted, or have room already", (t) => {
  const { cache, store, look, series } = made();
  store(FIRST);
  t.is(look(FIRST, 1, true), MISSING);
  store(FIRST + 1, true);
  t.is(look(FIRST + 1, 1, true), HELD);
  t.is(cache.idOf(series(), FIRST + 1), "0".repeat(24));
  store(FIRST + 2);
  t.is(look(FIRST + 2, 1, true), HELD);
  t.is(cache.idOf(series(), FIRST), null);
});

test("a month of minutes takes at most 2.5 MB without ids and dates, and 3.5 MB with", (t) => {
  for (const [rows, most] of [[false, 2_500_000], [true, 3_500_000]]) {
    const { cache, ask, answer, look } = made();
    for (const question of ask(FIRST + 7, 44_640, { rows }).asks) answer(question, range(0, BLOCK));
    t.is(look(FIRST + 7, 44_640, rows), HELD);
    t.true(cache.stats().bytes <= most, `${cache.stats().bytes} bytes`);
  }
});

// How a window comes together.

/** Fetches windows with questions that the test answers: `{ ...made(), sent, fetching(first, limit, options) }`. */
function fetcher(options) {
  const it = made(options);
  const sent = [];
  const put = (_, question) => {
    const answered = new Promise((resolve, reject) => {
      sent.push({
        question,
        bring(places) {
          const found = answerOf(places.map((place) => [place - question.from, rowOf(place)]), question.rows);
          it.cache.fill(question, found);
          resolve(found);
        },
        fail() {
          it.cache.finish(question);
          reject(new Error("no answer"));
        },
      });
    });
    question.done = answered;
    answered.catch(() => {});
    question.hold = () => (question.held = true);
  };
  const fetching = (first, limit, wanted = {}) =>
    fetch(it.cache, { symbol: "A", interval: "1m", exchangeName: "x" }, first, limit, { rows: false, remember: false, ...wanted }, { put, clock: it.clock });
  return { ...it, sent, fetching };
}

const opens = (columns) => range(0, columns.size).map((slot) => (columns.has(slot, false) ? columns.open[slot] : null));

test("calls that miss one block share its question", async (t) => {
  const { sent, fetching } = fetcher();
  const both = [fetching(FIRST, 2), fetching(FIRST + 5, 1)];
  t.is(sent.length, 1);
  t.true(sent[0].question.held);
  sent[0].bring([0, 1, 5]);
  const columns = await Promise.all(both);
  t.deepEqual(columns.map(opens), [[0, 1], [5]]);
  t.deepEqual(columns.map(({ count }) => count), [2, 1]);
});

test("what is known not to fit is known of the whole window, although another block of it was missing", async (t) => {
  for (const spoil of [(found) => (found.fits[0] = 0), (found) => (found.offsets[1] = 0xffffffff)]) {
    const { cache, sent, fetching, ask } = fetcher();
    const found = answerOf([[BLOCK - 1, rowOf(1)], [BLOCK - 2, rowOf(2)]], false);
    spoil(found);
    cache.fill(ask(FIRST + BLOCK - 1, 1).asks[0], found);
    const columns = fetching(FIRST + BLOCK - 1, 2);
    sent[0]?.bring([0]);
    t.true((await columns).isOdd(0, 2, false));
  }
});

test("what a shared question does not bring is asked for anew: it may have come since", async (t) => {
  const { sent, fetching } = fetcher();
  const both = [fetching(FIRST, 2), fetching(FIRST + 5, 1)];
  sent[0].bring([0]);
  await turn();
  t.is(sent.length, 2);
  t.deepEqual([sent[1].question.from, sent[1].question.to], [5, 6]);
  sent[1].bring([5]);
  t.deepEqual((await Promise.all(both)).map(opens), [[0, null], [5]]);
});

test("an adapter takes the absence that a shared question brings, because it may be remembered", async (t) => {
  const { sent, fetching } = fetcher();
  const both = [fetching(FIRST, 2, { remember: true }), fetching(FIRST + 5, 1, { remember: true })];
  sent[0].bring([0]);
  t.deepEqual((await Promise.all(both)).map(opens), [[0, null], [null]]);
  t.is(sent.length, 1);
});

test("an answer is shared, a failure is not", async (t) => {
  const { sent, fetching } = fetcher();
  const [one, two] = [fetching(FIRST, 2), fetching(FIRST + 5, 1)];
  sent[0].fail();
  await t.throwsAsync(one, { message: "no answer" });
  t.is(sent.length, 2);
  sent[1].bring([5]);
  t.deepEqual(opens(await two), [5]);
});

test("a window has what was held when it was asked for, although it is forgotten meanwhile", async (t) => {
  const { cache, sent, fetching, ask, answer } = fetcher();
  answer(ask(FIRST, 1).asks[0], [0]);
  const columns = fetching(FIRST, 2);
  cache.empty();
  sent[0].bring([1]);
  t.deepEqual(opens(await columns), [0, 1]);
});

test("a window has what its questions bring, although nothing of it has room", async (t) => {
  const { cache, sent, fetching } = fetcher({ maxBytes: bytesOf(false) });
  const columns = fetching(FIRST + BLOCK - 1, 2);
  sent[0].bring([BLOCK - 1]);
  sent[1].bring([0]);
  t.deepEqual(opens(await columns), [BLOCK - 1, 0]);
  t.is(cache.stats().blocks, 1);
});

test("id and dates never stand beside the numbers of another answer", (t) => {
  const { cache, ask, answer, store, series } = made();
  const held = () => {
    const block = series().blocks.get(FIRST / BLOCK);
    return [0, 1].map((place) => [block.open[place], block.updatedDates[place]]);
  };
  answer(ask(FIRST, 1).asks[0], [0, 1]);
  // Somebody else has deleted and written them meanwhile, which nobody told the cache.
  cache.fill(ask(FIRST, 1, { rows: true }).asks[0], answerOf([[0, rowOf(20)]], true));
  store(FIRST + 1, true);
  t.deepEqual(held(), [[20, 20], [NUMBERS.open, ROW.updatedDate]]);
});

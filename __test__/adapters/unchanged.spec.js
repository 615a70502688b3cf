"use strict";

// Whether an object is as it was: what the comparison says, of the bytes that BSON makes.

const { execFile } = require("node:child_process");
const path = require("node:path");
const { promisify } = require("node:util");
const test = require("ava");
const { serialize } = require("bson");
const { DIFFERENT, SAME, compare, objectOf, pictureOf } = require("../../js/adapters/unchanged.js");
const { anySeed, chance } = require("../support/random.js");

/** So many comparisons that a layout has got code of its own. */
const OFTEN = 2_500;

const bytes = (value) => serialize({ value }, { ignoreUndefined: false });
const isStoredAlike = (one, other) => Buffer.compare(bytes(one), bytes(other)) === 0;

/** Random objects, and changes of them, of few keys and values, so that much of it meets. */
function world({ below, pick, maybe }) {
  const KEYS = ["a", "b", "id", "__proto__", 'q"\\\n\u2028', "0", "toString"];
  const scalar = () => pick([0, -0, 1, 1.5, NaN, Infinity, 2 ** 53, "", "a", "text", "\ud800", "\udc00", true, false, null, undefined]);
  const set = (object, key, value) => Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  const value = (depth) => {
    if (depth === 0 || maybe(0.6)) return scalar();
    return maybe(0.3) ? Array.from({ length: below(4) }, () => value(depth - 1)) : object(depth - 1);
  };
  const object = (depth) => {
    const made = maybe(0.1) ? Object.create(null) : {};
    for (let n = below(6); n > 0; n--) set(made, pick(KEYS), value(depth));
    return made;
  };
  /** Changes something, somewhere. */
  const change = (target) => {
    const inner = Object.values(target).filter((one) => typeof one === "object" && one !== null);
    if (inner.length > 0 && maybe(0.6)) return change(pick(inner));
    const keys = Object.keys(target);
    const how = below(6);
    if (Array.isArray(target)) {
      if (how === 0) target.pop();
      else if (how === 1) delete target[below(target.length)];
      else if (how === 2) target.push(scalar());
      else if (target.length > 0) target[below(target.length)] = value(1);
    } else if (how === 0) {
      delete target[pick(keys)];
    } else if (how === 1) {
      set(target, pick(KEYS), value(1));
    } else if (how === 2 && keys.length > 0) {
      const key = pick(keys);
      const before = Object.getOwnPropertyDescriptor(target, key).value;
      delete target[key];
      set(target, key, before);
    } else if (how === 3) {
      Object.defineProperty(target, "toBSON", { value: () => ({ told: 1 }), configurable: true });
    } else if (keys.length > 0) {
      set(target, pick(keys), scalar());
    }
    return target;
  };
  return { object, change };
}

test("what the comparison is sure of is so in the bytes, at first and where it has code of its own", (t) => {
  const seed = anySeed();
  t.log(`seed ${seed}`);
  const { object, change } = world(chance(seed));
  const told = new Set();
  for (let round = 0; round < 150; round++) {
    const one = object(3);
    const picture = pictureOf(one);
    if (picture === null) continue;
    t.true(isStoredAlike(objectOf(picture), one));
    t.is(compare(one, picture), SAME);
    const copies = Array.from({ length: 30 }, (_, n) => {
      const copy = structuredClone(one);
      for (let changes = n % 3; changes > 0; changes--) change(copy);
      return copy;
    });
    const first = copies.map((copy) => compare(copy, picture));
    for (let n = 0; n < OFTEN; n++) compare(one, picture);
    t.not(picture.layout.same, null);
    t.is(compare(one, picture), SAME);
    copies.forEach((copy, n) => {
      t.is(compare(copy, picture), first[n]);
      told.add(first[n]);
      if (first[n] === SAME) t.true(isStoredAlike(copy, one));
      if (first[n] === DIFFERENT) t.false(isStoredAlike(copy, one));
    });
  }
  t.is(told.size, 3, "each outcome was there");
});

test("pictures of objects with the same keys share a layout, whatever their values are", (t) => {
  const pictures = [1, 2, 3].map((n) => pictureOf({ id: `${n}`, n, inner: { list: [n, "x"], none: null } }));
  t.is(new Set(pictures.map(({ layout }) => layout)).size, 1);
  t.not(pictureOf({ n: 1, id: "1", inner: { list: [1, "x"], none: null } }).layout, pictures[0].layout, "another order");
});

test("a layout gets code of its own with the 2,000th comparison of its objects, and is compared by it from then on", (t) => {
  const [one, other] = [1, 2].map((n) => ({ twoThousand: n, inner: { times: "x" } }));
  const [picture, beside] = [pictureOf(one), pictureOf(other)];
  const { layout } = picture;
  t.is(beside.layout, layout);
  for (let n = 0; n < 1_998; n++) compare(...(n % 2 === 0 ? [one, picture] : [other, picture]));
  t.is(compare(other, beside), SAME);
  t.is(layout.same, null, "1,999 comparisons");
  t.is(compare(one, picture), SAME);
  const { same } = layout;
  t.is(typeof same, "function", "2,000 comparisons");
  let asked = 0;
  layout.same = (...args) => (asked++, same(...args));
  t.is(compare(one, picture), SAME);
  t.is(compare(other, picture), DIFFERENT);
  t.is(asked, 2);
});

test("objects are compared as fast where a process forbids code that is made from text", async (t) => {
  const program = `
    const { compare, pictureOf, SAME, DIFFERENT } = require(${JSON.stringify(path.resolve(__dirname, "..", "..", "js", "adapters", "unchanged.js"))});
    const one = { id: "1", inner: { n: 1.5 } };
    const picture = pictureOf(one);
    for (let n = 0; n < ${OFTEN}; n++) if (compare(one, picture) !== SAME) process.exit(2);
    one.inner.n = 2;
    process.stdout.write(String(compare(one, picture) === DIFFERENT && picture.layout.same !== null));`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--disallow-code-generation-from-strings", "-e", program]);
  t.is(stdout, "true");
});

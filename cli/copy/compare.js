"use strict";
// Compares two stores by the keys of their rows. First by sums of digests, which need no memory; only where those differ, row by
// row.

const { Failure } = require("../failure.js");
const { documentsOf } = require("../stores/opened.js");

/** Bytes of a row's digest: half for its key, half for all of it. */
const DIGEST = 32;
const WORDS = DIGEST / 4;
/** How many rows of each kind are named. */
const NAMED = 5;

/** Goes through a collection's pages; `each` gets rows and their digests. */
async function through(store, number, whole, each) {
  let after = null;
  do {
    const page = await store.page(number, after);
    after = page.after;
    if (page.rows.length > 0) {
      const digests = store.addon.rowDigests(number, page.rows, whole);
      if (digests === null) throw new Failure(`${store.name}: a page of ${store.table[number].collection} cannot be read`);
      each(page.rows, digests);
    }
  } while (after !== null);
}

/** Number of rows, and the sum of their digests, which is the same in any order. */
async function sumOf(store, number, whole, progress) {
  const sum = new Uint32Array(WORDS);
  let rows = 0;
  await through(store, number, whole, (_, digests) => {
    // A copy, because words must be aligned.
    const words = new Uint32Array(Uint8Array.prototype.slice.call(digests).buffer);
    for (let at = 0; at < words.length; at++) sum[at % WORDS] += words[at];
    const count = digests.length / DIGEST;
    rows += count;
    progress.add(store.table[number].collection, count);
  });
  return { rows, sum: Buffer.from(sum.buffer).toString("hex") };
}

/** The key of a row, for people. */
function keyOf(store, number, bytes) {
  const row = store.codec.deserialize(bytes);
  return Object.fromEntries(store.table[number].key.map(({ name }) => [name, row[name] ?? null]));
}

/** Which rows differ: `{ missing, extra, different }`, each `{ count, rows: [key, …] }`. */
async function differencesOf(from, to, number, whole) {
  const known = new Map();
  const note = (list, store, row) => {
    list.count++;
    if (list.rows.length < NAMED && row !== null) list.rows.push(keyOf(store, number, row));
  };
  const of = (digests, place) => [digests.toString("latin1", place * DIGEST, place * DIGEST + 16), digests.toString("latin1", place * DIGEST + 16, (place + 1) * DIGEST)];
  await through(from, number, whole, (rows, digests) => {
    for (let place = 0; place * DIGEST < digests.length; place++) known.set(...of(digests, place));
  });
  const [missing, extra, different] = [0, 0, 0].map(() => ({ count: 0, rows: [] }));
  await through(to, number, whole, (rows, digests) => {
    let place = 0;
    for (const row of documentsOf(rows)) {
      const [key, content] = of(digests, place++);
      const there = known.get(key);
      known.delete(key);
      if (there === undefined) note(extra, to, row);
      else if (there !== content) note(different, to, row);
    }
  });
  missing.count = known.size;
  if (known.size > 0) {
    await through(from, number, whole, (rows, digests) => {
      let place = 0;
      for (const row of documentsOf(rows)) {
        const [key] = of(digests, place++);
        if (missing.rows.length < NAMED && known.has(key)) missing.rows.push(keyOf(from, number, row));
      }
    });
  }
  return { missing, extra, different };
}

/** `{ rows: [from, to], same, missing?, extra?, different? }` of a collection. */
async function compareCollection(from, to, number, whole, progress) {
  const [one, other] = await Promise.all([sumOf(from, number, whole, progress), sumOf(to, number, whole, progress)]);
  const found = { rows: [one.rows, other.rows], same: one.rows === other.rows && one.sum === other.sum };
  return found.same ? found : { ...found, ...(await differencesOf(from, to, number, whole)) };
}

/** Keys of maps: those of `from` that `to` lacks or has otherwise, and those that only `to` has. */
async function compareKeys(from, to, progress) {
  const found = { keys: [0, 0], missing: { count: 0, keys: [] }, different: { count: 0, keys: [] }, extra: { count: 0, keys: [] } };
  const note = (list, key) => {
    list.count++;
    if (list.keys.length < NAMED) list.keys.push(key);
  };
  const known = new Set();
  for await (const entries of from.keys()) {
    const texts = entries.filter(({ value }) => value !== null);
    const values = await Promise.all(texts.map(({ key }) => to.valueOf(key)));
    texts.forEach(({ key, value }, place) => {
      known.add(key);
      if (values[place] === null) note(found.missing, key);
      else if (!value.equals(values[place])) note(found.different, key);
    });
    found.keys[0] += texts.length;
    progress.add("keys of maps", texts.length);
  }
  for await (const entries of to.keys()) {
    for (const { key, value } of entries) {
      if (value === null) continue;
      found.keys[1]++;
      if (!known.has(key)) note(found.extra, key);
    }
  }
  return { ...found, same: ["missing", "different", "extra"].every((kind) => found[kind].count === 0) };
}

module.exports = { compareCollection, compareKeys };

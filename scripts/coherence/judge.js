"use strict";
// The judge of the coherence test: from what was written, when, and what was read, when, by whom, it says which answers
// were too old. Pure, so that it can be tested itself.
//
// A write: `{ key, id, start, end, by, sure }`. `id` is null where it deleted. It took effect between `start` and
// `end`; `end` is Infinity where nobody knows when, if ever. Only what is `sure` can make other values old.
// A sighting: `{ key, id, at, until, by }`: a read that began at `at` and ended at `until` returned `id`; null for
// absence, true where it was only asked whether there is one. Moments are milliseconds of one clock.

/** Index of the first element of a sorted list for which `after` holds, or its length. */
function firstIndex(list, after) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (after(list[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** What `index` makes of the members of each group of a list, by the group's name. */
function indexed(list, nameOf, index) {
  const groups = new Map();
  for (const one of list) {
    const name = nameOf(one);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [one]);
    else group.push(one);
  }
  return new Map([...groups].map(([name, group]) => [name, index(group)]));
}

/** For a moment: the latest end of the writes that had begun by then; undefined where none had. */
function latestEnds(writes) {
  const sorted = [...writes].sort((a, b) => a.start - b.start);
  let latest = -Infinity;
  const ends = sorted.map(({ end }) => (latest = Math.max(latest, end)));
  return (moment) => ends[firstIndex(sorted, (write) => write.start > moment) - 1];
}

/** For a moment: the earliest end of the writes that began after it; Infinity where none did. */
function earliestEnds(writes) {
  const sorted = [...writes].sort((a, b) => a.start - b.start);
  let earliest = Infinity;
  const ends = sorted.map((_, i) => (earliest = Math.min(earliest, sorted[sorted.length - 1 - i].end))).reverse();
  return (moment) => ends[firstIndex(sorted, (write) => write.start > moment)] ?? Infinity;
}

/** For a moment: the latest beginning of the writes that were answered before it; -Infinity where none was. */
function latestStarts(writes) {
  const sorted = [...writes].sort((a, b) => a.end - b.end);
  let latest = -Infinity;
  const starts = sorted.map(({ start }) => (latest = Math.max(latest, start)));
  return (moment) => starts[firstIndex(sorted, (write) => write.end >= moment) - 1] ?? -Infinity;
}

/** Each value with its writes, by names that keep null, true and ids apart. */
const valueOf = (key, id) => `${key} ${id === null ? "null" : id === true ? "true" : `id ${id}`}`;

/**
 * Judges a history. Returns `{ problems, oldest, judged }`: the worst age of an answer in milliseconds, and how many
 * answers were held against a write.
 * @param {{ writes: object[], sightings: object[], bound: number, lost?: (id: string) => boolean }} history
 *   `bound`: how old an answer may be; `lost(id)`: the id's writer was killed, so that its last writes may be unknown.
 */
function judge({ writes, sightings, bound, lost = () => false }) {
  // Nothing was there in the beginning.
  const keys = new Set([...writes, ...sightings].map(({ key }) => key));
  const beginning = [...keys].map((key) => ({ key, id: null, start: -Infinity, end: -Infinity, by: "", sure: true }));
  const all = [...beginning, ...writes];
  const presence = all.filter(({ id }) => id !== null).map((write) => ({ ...write, id: true }));
  const sure = all.filter((write) => write.sure);
  const byValue = indexed([...all, ...presence], ({ key, id }) => valueOf(key, id), latestEnds);
  const replaced = indexed(sure, ({ key }) => key, earliestEnds);
  const acknowledged = indexed(sure, ({ key, by }) => `${by} ${key}`, latestStarts);

  const problems = [];
  let oldest = 0;
  let judged = 0;
  for (const { key, id, at, until, by } of sightings) {
    const what = `${by} read ${key} = ${id}`;
    const written = byValue.get(valueOf(key, id))?.(until);
    if (written === undefined) {
      // The writer was killed before it could report.
      if (typeof id !== "string" || !lost(id)) problems.push(`${what}, which nobody had written`);
      continue;
    }
    judged++;
    const age = at - replaced.get(key)(written);
    oldest = Math.max(oldest, age);
    if (age > bound) problems.push(`${what}, replaced ${age.toFixed(0)} ms before the read began`);
    const own = acknowledged.get(`${by} ${key}`)?.(at) ?? -Infinity;
    if (written < own) problems.push(`${what}, older than what it had written itself by an answered write`);
  }
  return { problems, oldest, judged };
}

module.exports = { judge };

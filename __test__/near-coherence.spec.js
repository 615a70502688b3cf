"use strict";

// Several processes on the same keys while the server and they are disturbed (`npm run coherence` does the same for a
// minute), and the judge of what they saw.

const { serial: test } = require("ava");
const { coherence } = require("../scripts/coherence/run.js");
const { judge } = require("../scripts/coherence/judge.js");

test("four processes see nothing older than the lease, whatever befalls, and agree with Redis at last", async (t) => {
  t.timeout(90_000);
  const result = await coherence({ seconds: 6, onLine: (line) => t.log(line) });
  const { problems, reads, writes, hits, told, judged, oldest, done, errors } = result;
  t.log(`${reads} reads, ${hits} of them from memory, ${writes} writes; oldest value ${oldest.toFixed(0)} ms`, errors);
  t.deepEqual(problems, [], `seed ${result.seed}: ${result.order.join(", ")}`);
  t.true(hits > 1000 && writes > 100 && told > 10 && judged > 1000, "they worked");
  t.is(Object.keys(done).length, 11);
  for (const [name, count] of Object.entries(done)) t.true(count >= 1, name);
});

const BOUND = 2000;
const write = (id, start, end, more) => ({ key: 0, id, start, end, by: "writer", sure: true, ...more });
const sighting = (id, at, more) => ({ key: 0, id, at, until: at + 1, by: "reader", ...more });
/** A write by the process that reads, too. */
const own = (id, start, end) => write(id, start, end, { by: "reader" });
const unsure = (id, start, end) => write(id, start, end, { sure: false });
const problemsOf = (writes, sightings, more) => judge({ writes, sightings, bound: BOUND, ...more }).problems;

for (const [what, writes, seen, expected] of [
  ["the newest value", [write("a", 0, 1), write("b", 10, 11)], sighting("b", 9000)],
  ["a value replaced within the bound", [write("a", 0, 1), write("b", 10, 11)], sighting("a", 2011)],
  ["a value replaced longer ago", [write("a", 0, 1), write("b", 10, 11)], sighting("a", 2012), /replaced 2001 ms/],
  ["what was replaced", [write("a", 0, 1), write("b", 9, 9000), write("c", 20, 21)], sighting("a", 2022), /2001/],
  ["one of two values written at the same time", [write("a", 0, 5), write("b", 4, 11)], sighting("a", 9000)],
  ["a value that may have been replaced", [write("a", 0, 1), unsure("b", 10, 11)], sighting("a", 9000)],
  ["a value whose writer never heard of it", [unsure("a", 0, Infinity), write("b", 10, 11)], sighting("a", 9000)],
  ["a value that nobody wrote", [write("a", 0, 1)], sighting("x", 5), /nobody had written/],
  ["a value before it was written", [write("a", 50, 51)], sighting("a", 5), /nobody had written/],
  ["absence before the first write", [write("a", 50, 51)], sighting(null, 5)],
  ["absence long after a write", [write("a", 50, 51)], sighting(null, 2052), /0 = null, replaced 2001 ms/],
  ["absence after a deletion", [write("a", 0, 1), write(null, 10, 11)], sighting(null, 9000)],
  ["absence after a deletion and a write", [write(null, 10, 11), write("a", 20, 21)], sighting(null, 9000), /replaced/],
  ["a value long after a deletion", [write("a", 0, 1), write(null, 10, 11)], sighting("a", 9000), /replaced/],
  ["presence of any value", [write("a", 0, 1), write("b", 10, 11)], sighting(true, 9000)],
  ["presence long after a deletion", [write("a", 0, 1), write(null, 10, 11)], sighting(true, 9000), /replaced/],
  ["a foreign value from before an own write", [write("a", 0, 1), own("b", 10, 11)], sighting("a", 12), /itself/],
  ["absence from before an own write", [own("b", 10, 11)], sighting(null, 12), /written itself/],
  ["a value from before an own deletion", [write("a", 0, 1), own(null, 10, 11)], sighting("a", 12), /written itself/],
  ["a value that may have come again", [write("a", 0, 1), unsure("a", 2, 90), own("b", 10, 11)], sighting("a", 12)],
  ["an old value while an own write is not answered yet", [write("a", 0, 1), own("b", 10, 20)], sighting("a", 15)],
  ["a value written at the same time as an own one", [write("a", 5, 12), own("b", 10, 20)], sighting("a", 30)],
]) {
  test(`the judge ${expected ? "objects to" : "accepts"} ${what}`, (t) => {
    const problems = problemsOf(writes, [seen]);
    t.is(problems.length, expected ? 1 : 0, problems.join("; "));
    if (expected) t.regex(problems[0], expected);
  });
}

test("the judge does not mix keys, and forgives a killed process what it could not report", (t) => {
  const writes = [write("a", 0, 1), write("b", 10, 11, { key: 1 })];
  t.deepEqual(problemsOf(writes, [sighting("a", 9000), sighting("b", 9000, { key: 1 })]), []);
  t.is(problemsOf(writes, [sighting("b", 9000)]).length, 1);
  t.deepEqual(problemsOf(writes, [sighting("killed-7", 9000)], { lost: (id) => id.startsWith("killed-") }), []);
});

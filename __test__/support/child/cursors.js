"use strict";

// Run with --expose-gc. Begins to iterate over more rows than a page holds and drops the iterators in the middle; a line of
// JSON for each stage, and goes on when its input says so.

const { once } = require("node:events");
const { ioc, close } = require(process.env.BKN_ROOT);

const ITERATORS = 5;

async function begin() {
  const iterators = Array.from({ length: ITERATORS }, () => ioc.logDbService.iterate());
  for (const iterator of iterators) await iterator.next();
  return iterators;
}

const tell = (stage, more) => console.log(JSON.stringify({ stage, ...more }));

async function main() {
  let iterators = await begin();
  tell("begun", { iterators: iterators.length });
  await once(process.stdin, "data");
  iterators = null;
  const timer = setInterval(() => global.gc(), 10);
  await once(process.stdin, "data");
  clearInterval(timer);
  // One that is still there goes on, and others that end in order leave nothing.
  const kept = await begin();
  for (const iterator of kept.slice(1)) await iterator.return();
  let rows = 1;
  for await (const row of kept[0]) rows += Number(row._id !== null);
  tell("over", { rows });
  await once(process.stdin, "data");
  process.stdin.destroy();
  await close();
}

main();

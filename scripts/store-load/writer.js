"use strict";

// A process that writes to an embedded store as fast as it can until it is told to end, and holds iterators over keys and rows open
// all the time, each a page into what there is. It prints how many writes were acknowledged, and how many bytes of values they had.

const path = require("node:path");
const { BaseMap, close, ioc } = require(path.resolve(__dirname, "..", ".."));

const [name] = process.argv.slice(2);
/** Writes of one tick. */
const AT_ONCE = 50;
/** Names of keys and rows, which are written again and again, so that the file does not grow without end. */
const NAMES = 400;
const PAD = "x".repeat(4_000);

async function main() {
  const map = new BaseMap(`load-${name}`, -1);
  let over = false;
  process.stdin.once("end", () => (over = true)).resume();
  const told = { writes: 0, bytes: 0, pages: 0 };
  let open = [];
  for (let i = 0; !over; i += AT_ONCE) {
    const calls = Array.from({ length: AT_ONCE }, (_, j) => {
      const n = (i + j) % NAMES;
      return j % 2 === 0 ? map.set(`k${n}`, `${i}${PAD}`) : ioc.logDbService.upsert(`${name} ${n}`, { i, pad: PAD });
    });
    await Promise.all(calls);
    told.writes += AT_ONCE;
    told.bytes += AT_ONCE * PAD.length;
    // Some go on, and are open all the time; when they are through, others begin.
    if (i % (20 * AT_ONCE) === 0) {
      if (open.length === 0) open = [map.keys(), map.values(), map.iterate(), ioc.logDbService.iterate({})];
      const steps = await Promise.all(open.map((iterator) => iterator.next()));
      open = open.filter((_, at) => !steps[at].done);
      told.pages += steps.length;
    }
  }
  for (const iterator of open) await iterator.return();
  console.log(JSON.stringify(told));
  await close();
}

main().catch((error) => {
  console.error(error);
  process.exit(3);
});

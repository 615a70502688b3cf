"use strict";

// Scanning: exactly the map's own keys, each once, whatever else the server holds and however its table changes.

const { serial: test } = require("ava");
const { withRedis, loadFor, collect } = require("./support/addon.js");
const { fakeFor, page, bulk, array } = require("./support/fake-redis.js");
const { loadSpec } = require("./support/spec.js");

const own = withRedis(test);
test.beforeEach(() => own.server.command("FLUSHALL"));

const map = (connectionKey = "ns") => new own.lib.BaseMap(connectionKey, -1);

/** Writes `count` keys `<prefix><i>` in a few round trips. */
async function fill(prefix, count, value = "v") {
  for (let from = 0; from < count; from += 1000) {
    const words = [];
    for (let i = from; i < Math.min(from + 1000, count); i++) words.push(`${prefix}${i}`, value);
    await own.server.command("MSET", ...words);
  }
}

for (const one of loadSpec("glob").cases) {
  test(`scanning sees and clears exactly the own keys: ${one.name}`, async (t) => {
    const made = map(one.connectionKey);
    for (const key of one.own) await own.server.command("SET", `${one.connectionKey}:${key}`, `value of ${key}`);
    for (const key of one.foreign) await own.server.command("SET", key, "foreign");
    const sorted = [...one.own].sort();
    t.deepEqual((await collect(made.keys())).sort(), sorted);
    t.deepEqual((await made.toArray()).sort(), sorted.map((key) => [key, `value of ${key}`]));
    t.is(await made.size(), one.own.length);
    const commands = await own.calls(() => made.clear());
    const scans = commands.filter(([name]) => name === "SCAN").slice(0, 1);
    t.deepEqual(scans.map((scan) => scan[scan.indexOf("MATCH") + 1]), [one.match]);
    t.deepEqual((await own.server.command("KEYS", "*")).map(String).sort(), [...one.foreign].sort());
  });
}

test("25,000 keys among 25,000 others are found, counted and cleared", async (t) => {
  await fill("ns:", 25_000);
  await fill("other:", 25_000);
  const made = map();
  t.is(await made.size(), 25_000);
  const keys = await collect(made.keys());
  t.is(keys.length, 25_000);
  t.is(new Set(keys).size, 25_000);
  t.is((await made.toArray()).length, 25_000);
  t.is((await collect(made.values())).length, 25_000);
  await made.clear();
  t.is(await made.size(), 0);
  t.is(await own.server.command("DBSIZE"), 25_000);
});

for (const method of ["keys", "iterate", "values"]) {
  test(`${method} yields each key once while the server's table shrinks under it`, async (t) => {
    for (let round = 0; round < 4; round++) {
      await own.server.command("FLUSHALL");
      await fill("ns:", 4096);
      await fill("gone:", 60_000);
      const victims = Array.from({ length: 60_000 }, (_, i) => `gone:${i}`);
      const seen = [];
      for await (const item of map()[method]()) {
        seen.push(Array.isArray(item) ? item[0] : item);
        if (seen.length % 40 === 0) await own.server.command("DEL", ...victims.splice(0, 4000), "none");
      }
      t.is(seen.length, 4096);
      if (method !== "values") t.is(new Set(seen).size, 4096);
    }
  });

  test(`${method} yields each key once while the server's table grows under it`, async (t) => {
    await fill("ns:", 3000);
    let added = 0;
    let count = 0;
    for await (const item of map()[method]()) {
      t.truthy(item);
      count++;
      if (count % 100 === 0 && added < 40_000) {
        await fill(`more${added}:`, 2000);
        added += 2000;
      }
    }
    t.is(count, 3000);
  });
}

test("a key that SCAN returns several times is seen and counted once", async (t) => {
  const pages = { 0: page("7", ["ns:a", "ns:b", "ns:a"]), 7: page("9", ["ns:b", "ns:c"]), 9: page("0", ["ns:a"]) };
  const fake = await fakeFor(t, ([name, ...args]) => {
    if (name === "SCAN") return pages[args[0]];
    if (name === "MGET") return array(args.map((key) => bulk(`value of ${key}`)));
    return `:${args.length}\r\n`;
  });
  const lib = loadFor(t, fake.config);
  const made = new lib.BaseMap("ns", -1);
  t.deepEqual(await collect(made.keys()), ["a", "b", "c"]);
  t.is(await made.size(), 3);
  t.deepEqual(await made.toArray(), ["a", "b", "c"].map((key) => [key, `value of ns:${key}`]));
  t.deepEqual(await collect(made.iterate()), await made.toArray());
  t.is((await collect(made.values())).length, 3);
  await made.clear();
  const deleted = fake.commands.filter(([name]) => name === "DEL" || name === "UNLINK").flatMap(([, ...keys]) => keys);
  t.deepEqual([...new Set(deleted)].sort(), ["ns:a", "ns:b", "ns:c"]);
  t.deepEqual(await collect(made.keys()), ["a", "b", "c"], "a later scan begins anew");
});

test("pages without keys do not end a scan", async (t) => {
  await own.server.command("SET", "ns:only", "v");
  await fill("other:", 20_000);
  t.deepEqual(await collect(map().keys()), ["only"]);
  t.deepEqual(await map().toArray(), [["only", "v"]]);
  t.is(await map().size(), 1);
});

test("keys that are not UTF-8 are counted, shown with U+FFFD, and cleared", async (t) => {
  const binary = ["ns:\xff\xfeA", "ns:\xc3", "ns:\x80\x81"].map((text) => Buffer.from(text, "latin1"));
  for (const key of binary) await own.server.command("SET", key, "v");
  await own.server.command("SET", "ns:plain", "v");
  t.is(await map().size(), 4);
  t.deepEqual((await collect(map().keys())).sort(), ["plain", "\ufffd", "\ufffd\ufffd", "\ufffd\ufffdA"]);
  t.is((await map().toArray()).length, 4);
  t.deepEqual(await collect(map().values()), ["v", "v", "v", "v"]);
  await map().clear();
  t.is(await own.server.command("DBSIZE"), 0);
});

test("two binary keys that look alike as text are two keys", async (t) => {
  await own.server.command("SET", Buffer.from("ns:\xff", "latin1"), "1");
  await own.server.command("SET", Buffer.from("ns:\xfe", "latin1"), "2");
  t.is(await map().size(), 2);
  t.deepEqual((await map().toArray()).sort(), [["\ufffd", "1"], ["\ufffd", "2"]]);
});

test("a value that is not UTF-8 is shown with U+FFFD", async (t) => {
  await own.server.command("SET", "ns:k", Buffer.from("a\xffb", "latin1"));
  t.is(await map().get("k"), "a\ufffdb");
  t.deepEqual(await map().toArray(), [["k", "a\ufffdb"]]);
});

test("keys of other types are counted and cleared, but have no value", async (t) => {
  await own.server.command("HSET", "ns:hash", "f", "v");
  await own.server.command("RPUSH", "ns:list", "v");
  await own.server.command("SADD", "ns:set", "v");
  await own.server.command("ZADD", "ns:zset", "1", "v");
  await own.server.command("XADD", "ns:stream", "*", "f", "v");
  await own.server.command("SET", "ns:text", "v");
  t.is(await map().size(), 6);
  t.is((await collect(map().keys())).length, 6);
  t.deepEqual(await map().toArray(), [["text", "v"]]);
  t.deepEqual(await collect(map().values()), ["v"]);
  t.true(await map().has("hash"));
  const error = await t.throwsAsync(map().get("hash"), { code: "REDIS_REPLY" });
  t.regex(error.message, /^WRONGTYPE Operation against a key holding the wrong kind of value/);
  await map().set("hash", "now text");
  t.is(await map().get("hash"), "now text");
  await map().delete("list");
  t.is(await map().size(), 5);
  await map().clear();
  t.is(await own.server.command("DBSIZE"), 0);
});

/** The COUNT of each SCAN that listing the keys took. */
async function counts(lib) {
  const commands = await own.calls(() => collect(new lib.BaseMap("ns", -1).keys()));
  return commands.filter(([name]) => name === "SCAN").map((args) => Number(args[args.indexOf("COUNT") + 1]));
}

test("COUNT starts at 100 and doubles with each SCAN up to 1000, whatever the pages bring", async (t) => {
  for (const [mine, others] of [[10, 20_000], [20_000, 10]]) {
    await own.server.command("FLUSHALL");
    await fill("ns:", mine);
    await fill("other:", others);
    const seen = await counts(own.lib);
    t.true(seen.length > 10, `${seen.length} SCANs`);
    t.deepEqual(seen, seen.map((_, i) => Math.min(100 * 2 ** i, 1000)));
    t.is((await counts(own.lib))[0], 100, "the next scan begins small again");
  }
});

test("equal settings keep COUNT fixed, and a bound keeps it below", async (t) => {
  await fill("ns:", 10);
  await fill("other:", 20_000);
  const fixed = loadFor(t, { CC_REDIS_SCAN_COUNT: 50, CC_REDIS_SCAN_COUNT_MAX: 50 });
  const bounded = loadFor(t, { CC_REDIS_SCAN_COUNT: 200, CC_REDIS_SCAN_COUNT_MAX: 300 });
  t.deepEqual(new Set(await counts(fixed)), new Set([50]));
  const seen = await counts(bounded);
  t.is(seen[0], 200);
  t.is(Math.max(...seen), 300);
});

test("pages of a hundred thousand keys are no problem", async (t) => {
  await fill("ns:", 250_000);
  const lib = loadFor(t, { CC_REDIS_SCAN_COUNT: 100_000, CC_REDIS_SCAN_COUNT_MAX: 100_000 });
  const made = new lib.BaseMap("ns", -1);
  t.is(await made.size(), 250_000);
  t.is((await made.toArray()).length, 250_000);
  t.is((await collect(made.keys())).length, 250_000);
  await made.clear();
  t.is(await own.server.command("DBSIZE"), 0);
});

test("many scans at once do not disturb each other", async (t) => {
  await fill("ns:", 1500);
  await fill("b:", 700);
  const results = await Promise.all([
    map().size(),
    map("b").size(),
    map().toArray().then((items) => items.length),
    collect(map("b").keys()).then((items) => items.length),
    collect(map().values()).then((items) => items.length),
    ...Array.from({ length: 100 }, (_, i) => map().get(String(i))),
  ]);
  t.deepEqual(results.slice(0, 5), [1500, 700, 1500, 700, 1500]);
  t.true(results.slice(5).every((value) => value === "v"));
});

test("clear deletes what was there when it began, even while others write", async (t) => {
  await fill("ns:", 5000);
  const clearing = map().clear();
  await fill("other:", 3000);
  await clearing;
  t.is(await map().size(), 0);
  t.is(await own.server.command("DBSIZE"), 3000);
});

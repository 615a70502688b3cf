"use strict";

// Time to live: one atomic command, refused at the map's creation where Redis could not take it.

const { serial: test } = require("ava");
const { withRedis, until, label } = require("./support/addon.js");
const { loadSpec, evaluate } = require("./support/spec.js");

const own = withRedis(test);
test.beforeEach(() => own.server.command("FLUSHALL"));

test("set with a time to live is one command", async (t) => {
  const commands = await own.calls(() => new own.lib.BaseMap("t", 7).set("k", "v"));
  t.deepEqual(commands, [["SET", "t:k", "v", "EX", "7"]]);
});

test("set without a time to live carries no option", async (t) => {
  const commands = await own.calls(() => new own.lib.BaseMap("t", -1).set("k", "v"));
  t.deepEqual(commands, [["SET", "t:k", "v"]]);
});

/** The arguments of BaseMap for a case: with or without the second one. */
function argumentsOf(one) {
  if (one.omitted) return ["t"];
  return ["t", "js" in one ? evaluate(one.js) : one.ttl];
}

for (const one of loadSpec("ttl").cases) {
  if (one.code) {
    test(`a time to live is refused: ${one.name}`, (t) => {
      const expected = { instanceOf: RangeError, code: one.code };
      t.throws(() => own.lib.BaseMap(...argumentsOf(one)), expected, "as a call");
      t.throws(() => new own.lib.BaseMap(...argumentsOf(one)), expected, "with new");
    });
    continue;
  }
  test(`a time to live is taken: ${one.name}`, async (t) => {
    const args = argumentsOf(one);
    for (const map of [new own.lib.BaseMap(...args), new (own.lib.BaseMap(...args))()]) {
      // An earlier time to live must not survive the write.
      await own.server.command("SET", "t:k", "old", "EX", "50");
      await map.set("k", "v");
      const left = await own.server.command("TTL", "t:k");
      if (one.seconds === null) t.is(left, -1);
      else t.true(left === one.seconds || left === one.seconds - 1, String(left));
    }
  });
}

for (const ttl of [true, {}, [5, 6], 10n ** 30n, new Date(5)]) {
  test(`a time to live of ${label(ttl)} is a RangeError where the map is made`, (t) => {
    const expected = { instanceOf: RangeError, code: "INVALID_TTL" };
    t.throws(() => own.lib.BaseMap("t", ttl), expected);
    t.throws(() => new own.lib.BaseMap("t", ttl), expected);
  });
}

test("an object as a time to live is refused without running its code", (t) => {
  const ttl = {
    valueOf() {
      throw new Error("no");
    },
    toString() {
      throw new Error("no");
    },
  };
  t.throws(() => own.lib.BaseMap("t", ttl), { code: "INVALID_TTL" });
  t.throws(() => new own.lib.BaseMap("t", new Proxy({}, { get: () => ttl.valueOf() })), { code: "INVALID_TTL" });
});

test("the message of a refused time to live says what it was and what is accepted", (t) => {
  const error = t.throws(() => own.lib.BaseMap("t", 1.5));
  t.regex(error.message, /1\.5/);
  t.regex(error.message, /-1/);
});

test("writing again starts the time anew; reading does not", async (t) => {
  const map = new own.lib.BaseMap("t", 100);
  await map.set("k", "v");
  await own.server.command("EXPIRE", "t:k", "50");
  await map.get("k");
  await map.has("k");
  t.true((await own.server.command("TTL", "t:k")) <= 50);
  await map.set("k", "w");
  t.true((await own.server.command("TTL", "t:k")) > 50);
});

test("a key expires and is gone from every method", async (t) => {
  const map = new own.lib.BaseMap("t", 1);
  await map.set("k", "v");
  t.is(await map.get("k"), "v");
  const left = await own.server.command("PTTL", "t:k");
  t.true(left > 0 && left <= 1000, String(left));
  await until(async () => (await map.get("k")) === null, "the key expires");
  t.false(await map.has("k"));
  t.is(await map.size(), 0);
  t.deepEqual(await map.toArray(), []);
});

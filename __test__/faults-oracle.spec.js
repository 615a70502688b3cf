"use strict";

// The oracle of the fault suite itself: a load that takes any answer for right would let every case pass.

const { serial: test } = require("ava");
const { Load, sleep } = require("./support/load.js");

/** A package that keeps a Map. `get(key, value)` says what it answers, `set(values, key, value)` what a write does. */
function stub({ get = (key, value) => value, set = (values, key, value) => void values.set(key, value) } = {}) {
  const values = new Map();
  const read = async (key) => get(key, values.get(key) ?? null);
  const write = async (key, value) => set(values, key, value);
  class BaseMap {
    get = read;
    set = write;
  }
  const signalCacheService = { setSignalId: (row) => write(row.symbol, row.id), getSignalId: (symbol) => read(symbol) };
  return { values, BaseMap, ioc: { signalCacheService } };
}

/** A load that has run on such a package, with something done in the middle. */
async function loaded(lib, during = () => {}) {
  const load = new Load(lib, { workers: 4 }).start();
  await sleep(50);
  during(load);
  await sleep(50);
  await load.stop();
  return load;
}

test("right answers are none that are wrong", async (t) => {
  const load = await loaded(stub());
  t.deepEqual(load.wrong, []);
  t.true(load.calls > 20);
});

for (const [what, get] of [
  ["a value that was replaced", (key, value) => value.replace(/\d+$/, (number) => String(Math.max(number - 1, 0)))],
  ["another key's value", (key, value) => value.replace(key, `${key}0`)],
  ["a value that was never written", (key, value) => value.replace(/\d+$/, (number) => String(Number(number) + 1))],
  ["nothing for a key that was written", () => null],
  ["what is no value of the load", () => "garbage"],
]) {
  test(`${what} is a wrong answer`, async (t) => {
    t.true((await loaded(stub({ get }))).wrong.length > 0);
  });
}

test("nothing is a right answer once data was lost on purpose, and a wrong one before", async (t) => {
  for (const told of [true, false]) {
    const lib = stub();
    // Again and again: the workers keep step, and only a read after the loss can see it.
    let timer;
    const load = await loaded(lib, (one) => {
      timer = setInterval(() => {
        lib.values.clear();
        if (told) one.wiped();
      }, 1);
    }).finally(() => clearInterval(timer));
    t.is(load.wrong.length === 0, told);
  }
});

test("a rejected write may have happened or not", async (t) => {
  for (const happens of [true, false]) {
    let writes = 0;
    const set = (values, key, value) => {
      const fails = writes++ % 3 === 0;
      if (!fails || happens) values.set(key, value);
      if (fails) throw Object.assign(new Error("lost"), { code: "REDIS_TIMEOUT" });
    };
    const load = await loaded(stub({ set }));
    t.deepEqual(load.wrong, []);
    t.true(load.errors.REDIS_TIMEOUT > 0);
  }
});

test("a call that is never settled is found at the end", async (t) => {
  const load = new Load(stub({ get: () => new Promise(() => {}) }), { workers: 4 }).start();
  await sleep(20);
  await t.throwsAsync(load.stop(100), { message: /4 calls were not settled/ });
});

"use strict";

// Random operations of one process on few keys, by every object that can hold them, one after the other and many at
// once: each read gives what the last write before it has written. The seed is printed; BKN_NEAR_SEED repeats it.

const { serial: test } = require("ava");
const { until, withRedis } = require("./support/addon.js");
const { anySeed, chance: chanceOf } = require("./support/random.js");

const own = withRedis(test, { config: { CC_NEAR_CACHE: "on" } });
const OPERATIONS = 1000;
const seed = Number(process.env.BKN_NEAR_SEED) || anySeed();
const LETTERS = ["a", "b", "c"];
const IDS = ["1", "2", "3"];

/** Objects that hold the keys of sessions; the last ones are no services. */
function holders(lib) {
  const plain = lib.ioc.sessionCacheService;
  class Mine extends lib.SessionCacheService {}
  const services = [plain, plain, plain, new lib.SessionCacheService(), new Mine(), Object.setPrototypeOf({}, plain)];
  return { services, all: [...services, new lib.BaseMap("session_cache", -1), new lib.BaseMap("session_cache", 300)] };
}

/**
 * Operations on sessions of three strings, whose keys meet: those of older releases and those of the uniform form. Each
 * begins at once and is `{ what, promise, expected }`; `model` has what Redis will hold after it.
 */
function operations({ lib, chance, model }) {
  const { services, all } = holders(lib);
  const names = () => [chance.pick(LETTERS), chance.pick(LETTERS), chance.pick(LETTERS)];
  const write = (key, id) => (id === null ? model.delete(key) : model.set(key, id));
  const found = ([a, b, c]) => model.get(`${b}:${a}:${c}`) ?? model.get(`${c}:${b}:${a}`) ?? null;
  const key = () => names().join(":");
  return [
    [30, () => {
      const strings = names();
      const promise = chance.pick(services).getSessionId(...strings);
      return { what: `getSessionId(${strings})`, promise, expected: found(strings) };
    }],
    [10, () => {
      const strings = names();
      const promise = chance.pick(services).hasSessionId(...strings);
      return { what: `hasSessionId(${strings})`, promise, expected: found(strings) !== null };
    }],
    [10, () => {
      const [strategyName, exchangeName, frameName] = names();
      const id = chance.pick(IDS);
      write(`${exchangeName}:${strategyName}:${frameName}`, id);
      const promise = chance.pick(services).setSessionId({ strategyName, exchangeName, frameName, id });
      return { what: `setSessionId(${exchangeName}:${strategyName}:${frameName}, ${id})`, promise, expected: id };
    }],
    [5, () => {
      const [symbol, strategyName, exchangeName] = names();
      const id = chance.pick(IDS);
      write(`${exchangeName}:${strategyName}:${symbol}`, id);
      const promise = chance.pick(services).setSessionId({ symbol, strategyName, exchangeName, id });
      return { what: `setSessionId(${exchangeName}:${strategyName}:${symbol}, ${id})`, promise, expected: id };
    }],
    [3, () => {
      const [one, id] = [key(), chance.pick(IDS)];
      write(one, id);
      return { what: `set(${one}, ${id})`, promise: chance.pick(all).set(one, id), expected: undefined };
    }],
    [5, () => {
      const one = key();
      return { what: `get(${one})`, promise: chance.pick(all).get(one), expected: model.get(one) ?? null };
    }],
    [5, () => {
      const one = key();
      return { what: `has(${one})`, promise: chance.pick(all).has(one), expected: model.has(one) };
    }],
    [4, () => {
      const one = key();
      write(one, null);
      return { what: `delete(${one})`, promise: chance.pick(all).delete(one), expected: undefined };
    }],
  ];
}

/** One of a list of `[weight, value]`. */
function weighted(chance, list) {
  let rest = chance.below(list.reduce((sum, [weight]) => sum + weight, 0));
  return list.find(([weight]) => (rest -= weight) < 0)[1];
}

for (const [how, most] of [["one after the other", 1], ["up to 20 at once", 20]]) {
  test(`a thousand random operations, ${how}, read what was written last`, async (t) => {
    t.log(`seed ${seed}`);
    const chance = chanceOf(seed);
    const model = new Map();
    const { lib } = own;
    const acts = operations({ lib, chance, model });
    await lib.ioc.redisService.waitForInit();
    const { flushes } = lib.stats().nearCache;
    await own.server.command("FLUSHALL");
    await until(() => lib.stats().nearCache.flushes > flushes, "the flush is announced");
    const before = lib.stats().nearCache;
    const trail = [];
    for (let done = 0; done < OPERATIONS; ) {
      if (chance.below(100) === 0) {
        trail.push("clear()");
        await chance.pick(holders(lib).all).clear();
        model.clear();
      }
      const batch = Array.from({ length: 1 + chance.below(most) }, () => weighted(chance, acts)());
      done += batch.length;
      for (const { what, promise, expected } of batch) {
        trail.push(what);
        const answer = await promise;
        if (answer !== expected) {
          t.fail(`${what} gave ${answer} in place of ${expected} (seed ${seed}), after ${trail.slice(-30).join(", ")}`);
        }
      }
    }
    const entries = await lib.ioc.sessionCacheService.toArray();
    t.deepEqual(new Map(entries.sort()), new Map([...model].sort()));
    const { hits } = lib.stats().nearCache;
    t.log(`${hits - before.hits} hits`);
    t.true(hits - before.hits > 50, "memory answered");
  });
}

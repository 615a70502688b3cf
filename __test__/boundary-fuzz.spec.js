"use strict";

// A short part of `npm run fuzz`, from seeds that are always the same (the calls are, when replies arrive is not); and what
// longer runs have found, each as a test of its own.

const { setTimeout } = require("node:timers/promises");
const { serial: test } = require("ava");
const { loadFor, serverFor, until } = require("./support/addon.js");
const { runChild } = require("./support/child.js");
const { fakeFor } = require("./support/fake-redis.js");
const { fuzz } = require("../scripts/fuzz/run.js");

test("hostile calls among honest ones reject with a code, and what honest calls stored comes back", async (t) => {
  t.timeout(120_000);
  const { done, problems } = await fuzz({ seed: 1, cases: 250, seconds: 90 });
  t.log(`${done} cases`);
  t.deepEqual(problems.map(({ seed, problem }) => `npm run fuzz -- --seed ${seed} --cases 1: ${problem}`), []);
  t.true(done >= 20, "they ran");
});

test("calls that are made while close() waits are sent once, so that a read sees no write that was called after it", async (t) => {
  const held = [];
  const fake = await fakeFor(t, (args, socket) => {
    held.push(() => socket.write(args[0] === "SET" ? "+OK\r\n" : "$-1\r\n"));
    if (released) release();
  });
  let released = false;
  /** Answers one by one, so that each reply is read alone. */
  const release = async () => {
    released = true;
    while (held.length > 0) {
      held.shift()();
      await setTimeout(20);
    }
  };
  const lib = loadFor(t, fake.config);
  const map = new lib.BaseMap("closing", -1);
  const before = map.get("before");
  await until(() => held.length === 1, "the first call was sent");
  const closed = lib.close();
  const calls = [map.get("k"), map.set("k", "later")];
  await setTimeout(50);
  await release();
  await Promise.all([before, closed, ...calls]);
  const names = fake.commands.filter((args) => args[1] === "closing:k").map(([name]) => name);
  t.deepEqual(names, ["GET", "SET"]);
});

test("an iteration of something that is no map rejects with a code, as every other method does", async (t) => {
  const lib = loadFor(t);
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  for (const method of ["keys", "values", "iterate", "size", "toArray"]) {
    for (const target of [proxy, {}, 5, null, undefined]) {
      const result = lib.BaseMap.prototype[method].call(target);
      const error = await t.throwsAsync(() => (typeof result.next === "function" ? result.next() : result));
      t.is(error.code, "INVALID_CONTEXT", `${method} of ${target === proxy ? "a revoked proxy" : String(target)}`);
    }
  }
});

test("calls that overflow the stack in their middle leave every other call its own answer", async (t) => {
  const server = await serverFor(t);
  const result = await runChild("overflow", { env: server.env });
  t.deepEqual(result.lines, [{ answers: "right" }]);
  t.is(result.code, 0);
});

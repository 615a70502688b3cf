"use strict";

// Calls that are given up, at their deadline or before: what was not sent is not carried out, what was sent counts until
// it is answered, and however many they are, the loop has its turns while they are told so.

const { serial: test } = require("ava");
const { freePort } = require("./support/redis.js");
const { serverFor, loadFor, halfSent, outcome, until } = require("./support/addon.js");
const { fakeFor, hello } = require("./support/fake-redis.js");

const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);
const codesOf = (results) => [...new Set(results.map(({ error }) => error?.code))];

test("what expires before a byte of it was sent is not carried out when the server goes on", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, { CC_REDIS_URL: redis.url, CC_REDIS_TIMEOUT_MS: 500 });
  const map = new lib.BaseMap("ns", -1);
  await map.set("there", "v");
  await redis.kill("SIGSTOP");
  // More than the socket takes; what stands behind it waits for room.
  const large = range(0, 10).map((i) => outcome(map.set(`large${i}`, "x".repeat(1_000_000))));
  const late = range(0, 100).map((i) => outcome(map.set(`late${i}`, "v")));
  const gone = outcome(map.delete("there"));
  await halfSent(t, lib);
  const results = await Promise.all([...large, ...late, gone]);
  t.deepEqual(codesOf(results), ["REDIS_TIMEOUT"]);
  await redis.kill("SIGCONT");
  await until(async () => (await outcome(map.get("there"))).value === "v", "a call succeeds, and nothing is deleted");
  t.is(await redis.command("EXISTS", ...range(0, 100).map((i) => `ns:late${i}`)), 0);
  // What the socket had taken is another matter: nobody can take it back.
  t.true((await redis.command("DBSIZE")) < 11);
});

test("a half sent command that has expired is sent to its end, and what comes after it is answered", async (t) => {
  const redis = await serverFor(t);
  const lib = loadFor(t, { CC_REDIS_URL: redis.url, CC_REDIS_TIMEOUT_MS: 500 });
  const map = new lib.BaseMap("ns", -1);
  await map.set("k", "v");
  await redis.kill("SIGSTOP");
  const half = outcome(map.set("half", "x".repeat(20_000_000)));
  await halfSent(t, lib);
  t.is((await half).error?.code, "REDIS_TIMEOUT");
  await redis.kill("SIGCONT");
  await until(async () => !(await outcome(map.get("k"))).error, "a call succeeds");
  t.deepEqual(await Promise.all(range(0, 50).map(() => map.get("k"))), Array(50).fill("v"));
  t.is(await redis.command("STRLEN", "ns:half"), 20_000_000);
  t.is(lib.stats().redis.losses, 0);
});

test("calls that were sent and have expired count for the bound until they are answered", async (t) => {
  let answers = null;
  const fake = await fakeFor(
    t,
    (args, socket) => {
      if (answers === null) return "$1\r\nv\r\n";
      answers.push(() => socket.write("$1\r\nv\r\n"));
      return undefined;
    },
    // Probes are not answered either, so that the connection is kept.
    ([name], _, id) => (name === "HELLO" ? hello(id) : name === "PING" ? undefined : "+OK\r\n"),
  );
  const lib = loadFor(t, { ...fake.config, CC_REDIS_TIMEOUT_MS: 300, CC_REDIS_QUEUE_MAX: 50, CC_NEAR_CACHE: "off" });
  const map = new lib.BaseMap("ns");
  t.is(await map.get("k"), "v");
  answers = [];
  const sent = await Promise.all(range(0, 50).map(() => outcome(map.get("k"))));
  t.deepEqual(codesOf(sent), ["REDIS_TIMEOUT"]);
  for (let round = 0; round < 3; round++) {
    const { error } = await outcome(map.get("k"));
    t.is(error?.code, "QUEUE_FULL");
    t.regex(error.message, /50 calls wait \(CC_REDIS_QUEUE_MAX\), 50 of them past their deadline/);
  }
  t.is(answers.length, 50, "and the server is sent no more");
  answers.splice(0).forEach((answer) => answer());
  answers = null;
  await until(async () => !(await outcome(map.get("k"))).error, "the places are free again");
  t.deepEqual(await Promise.all(range(0, 50).map(() => map.get("k"))), Array(50).fill("v"));
});

/** How often the loop has turned between the first and the last of these rejections. */
async function turnsDuring(calls) {
  let turns = 0;
  let first = null;
  let last = 0;
  let over = false;
  const turn = () => {
    turns++;
    if (!over) setImmediate(turn);
  };
  setImmediate(turn);
  await Promise.all(
    calls.map((call) =>
      call.catch(() => {
        first ??= turns;
        last = turns;
      }),
    ),
  );
  over = true;
  return last - first;
}

const MANY = 20_000;

test("close() rejects many calls in slices, with turns of the loop in between, and is over when all are", async (t) => {
  const lib = loadFor(t, { CC_REDIS_URL: `redis://127.0.0.1:${await freePort()}`, CC_REDIS_TIMEOUT_MS: 600_000 });
  const map = new lib.BaseMap("ns");
  const calls = range(0, MANY).map(() => map.get("k"));
  const codes = new Set();
  let open = MANY;
  calls.forEach((call) => call.catch((error) => (codes.add(error.code), open--)));
  await until(() => lib.health().redis.attempts > 0, "an attempt has failed");
  const turns = turnsDuring(calls);
  await lib.close();
  t.is(open, 0);
  t.deepEqual([...codes], ["CLOSED"]);
  t.true((await turns) > 10, `${await turns} turns`);
  t.is(lib.health().redis.state, "idle");
});

test("a refused password rejects many calls in slices, with turns of the loop in between", async (t) => {
  const redis = await serverFor(t, { password: "right" });
  const lib = loadFor(t, { CC_REDIS_URL: `redis://:not-it@127.0.0.1:${redis.port}`, CC_REDIS_TIMEOUT_MS: 600_000 });
  const map = new lib.BaseMap("ns");
  const calls = range(0, MANY).map(() => map.get("k"));
  const turns = await turnsDuring(calls);
  t.true(turns > 10, `${turns} turns`);
  t.deepEqual(codesOf(await Promise.all(calls.map(outcome))), ["REDIS_AUTH"]);
});

test("while many calls are rejected the server may return: none of them is carried out, and new ones are", async (t) => {
  const redis = await serverFor(t, { password: "right" });
  const lib = loadFor(t, { CC_REDIS_PORT: redis.port, CC_REDIS_PASSWORD: "not-it", CC_REDIS_TIMEOUT_MS: 600_000 });
  const map = new lib.BaseMap("ns", -1);
  const calls = range(0, 100_000).map((i) => map.set(`k${i}`, "v"));
  let rejected = 0;
  calls.forEach((call) => call.catch(() => rejected++));
  await until(() => rejected > 0, "the first ones are rejected");
  await redis.command("CONFIG", "SET", "requirepass", "not-it");
  await until(async () => !(await outcome(map.set("new", "v"))).error, "a call succeeds");
  t.deepEqual(codesOf(await Promise.all(calls.map(outcome))), ["REDIS_AUTH"]);
  t.is(await redis.command("DBSIZE"), 1);
});

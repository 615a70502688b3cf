"use strict";

// The near cache: the same question again and again, answered in the process, until another client changes the answer.

const Redis = require("ioredis");
const { health, ioc, stats } = require("../index.js");
const { NOUNS } = require("./books.js");
const { check } = require("./checks.js");
const { bar, chapter, count, left, paint, print, right, row } = require("./screen.js");

const QUESTIONS = 100_000;
const ROUND_TRIPS = 3_000;
// No value is served that was replaced longer ago: the lease, in milliseconds.
const LEASE = 2_000;

async function memory({ server, books, facts }) {
  const [, known] = [...books.of("signal")][0];
  const { symbol, strategyName, exchangeName, id } = known.row;
  const key = `signal_cache:${NOUNS.Signal[2](known.row)}`;
  const service = ioc.signalCacheService;
  const ask = () => service.getSignalId(symbol, strategyName, exchangeName);
  chapter("Asked a hundred thousand times", "Redis says when somebody else changes an id, so the others are answered in the process.");

  // The story wrote it; asked once more so that it is known whatever happened since.
  check("the id is that of the story", await ask(), id);
  check("the near cache answers", health().nearCache.state, "alive");
  const before = stats();
  let started = performance.now();
  let correct = 0;
  for (let i = 0; i < QUESTIONS; i++) if ((await ask()) === id) correct++;
  const near = ((performance.now() - started) / QUESTIONS) * 1000;
  const after = stats();
  const asked = after.redis.commands - before.redis.commands;
  check("all answers are right", correct, QUESTIONS);
  check("nearly all came from memory", after.nearCache.hits - before.nearCache.hits > QUESTIONS * 0.99);
  const client = new Redis({ port: server.port, host: server.host, password: server.password, username: "default" });
  try {
    for (let i = 0; i < 300; i++) await client.get(key);
    started = performance.now();
    for (let i = 0; i < ROUND_TRIPS; i++) if ((await client.get(key)) !== id) check("ioredis reads the same id", false);
    const trip = ((performance.now() - started) / ROUND_TRIPS) * 1000;
    facts.near = { micros: near.toFixed(2), ratio: Math.round(trip / near) };
    for (const [name, micros, paintBar] of [["ioredis, each time", trip, paint.dim], ["from memory", near, paint.green]]) {
      print(`${left(name, 19)}  ${paintBar(left(bar(micros / Math.max(trip, near), 34), 34))} ${right(micros.toFixed(2), 7)} µs`);
    }
    print();
    print(`${count(QUESTIONS)} answers, ${count(asked)} of them by Redis: ${paint.bold(`${facts.near.ratio}×`)} as fast as asking each time.`);
    print();
    await changed({ client, key, id, ask, facts });
  } finally {
    client.disconnect();
  }
}

/** Another client writes and deletes; the next answers are the new ones. */
async function changed({ client, key, id, ask, facts }) {
  row([38, 26, -11], ["what another client does", "the answer", "after"].map(paint.dim));
  const steps = [
    [`SET ${key.slice(0, 28)}…`, "695b81f4ffffffffffffffff", () => client.set(key, "695b81f4ffffffffffffffff")],
    [`DEL ${key.slice(0, 28)}…`, null, () => client.del(key)],
    [`SET ${key.slice(0, 28)}…`, id, () => client.set(key, id)],
  ];
  facts.near.slowest = 0;
  for (const [what, wanted, act] of steps) {
    await act();
    const started = performance.now();
    let answer = await ask();
    while (answer !== wanted && performance.now() - started < LEASE) answer = await ask();
    const ms = performance.now() - started;
    facts.near.slowest = Math.max(facts.near.slowest, ms);
    check(`the answer follows ${what}`, answer, wanted);
    row([38, 26, -11], [what, answer === null ? paint.yellow("null") : paint.cyan(answer), `${ms.toFixed(2)} ms`]);
  }
}

module.exports = { memory };

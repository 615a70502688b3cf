"use strict";

// Plays the story on a redis-server of its own. Resolves with the exit code: 0 where everything was as it should be.

const os = require("node:os");
const { startMongo } = require("../__test__/support/mongo.js");
const { startRedis } = require("../__test__/support/redis.js");
const { close, health, setConfig, stats } = require("../index.js");
const { Books } = require("./books.js");
const { candles } = require("./candles.js");
const { chapters } = require("./chapters.js");
const { check, done, sign } = require("./checks.js");
const { kit } = require("./kit.js");
const { memory } = require("./memory.js");
const { race } = require("./race.js");
const { count, paint, print, rule } = require("./screen.js");
const { coloured } = require("./trading.js");

// The password that the development setup has; the server of the demo asks for it.
const PASSWORD = "mysecurepassword";

async function play() {
  const started = performance.now();
  const server = await startRedis({ password: PASSWORD });
  const mongo = await mongoIfAny();
  try {
    await opening(server);
    const stage = { server, books: new Books(), facts: {} };
    if (mongo.error) print(paint.yellow(`Acts one and three are left out, there is no MongoDB here: ${mongo.error}`));
    else await kit({ ...stage, mongo });
    setConfig(server.env);
    for (const chapter of [...chapters, memory, race]) await chapter(stage);
    const { commands, errors } = stats().redis;
    if (!mongo.error) await actThree({ ...stage, mongo });
    check("Redis answered nothing with an error", errors, 0);
    await close();
    check("close() leaves no connection", health().redis.state, "idle");
    summary(stage, commands, (performance.now() - started) / 1000);
  } finally {
    await close();
    await Promise.all([server.stop(), mongo.stop()]);
  }
  return done.failed.length === 0 ? 0 : 1;
}

/** MongoDB is not needed for the rest: where it cannot be had, the demo says so and goes on. */
async function mongoIfAny() {
  try {
    return await startMongo();
  } catch (error) {
    return { error: error.message.split("\n")[0], stop: async () => {} };
  }
}

async function actThree(stage) {
  await close();
  setConfig(stage.mongo.env);
  await candles(stage);
  await close();
}

async function opening(server) {
  const info = String(await server.command("INFO", "server"));
  const redis = /redis_version:(\S+)/.exec(info)[1];
  print();
  rule();
  print(paint.bold("backtest-kit-native: a trading story on a real Redis and MongoDB"));
  print(`redis-server ${redis} on port ${server.port}, the demo's own · Node ${process.versions.node} · ${os.availableParallelism()} cores`);
  rule();
}

function summary({ books, facts }, commands, seconds) {
  const total = facts.traders.reduce((sum, { profit }) => sum + profit, 0) / facts.traders.length;
  const lines = [
    ...(facts.kit ? [`a month of backtest-kit: ${facts.kit.trades} trades, ${facts.kit.ratio} as fast as the original, ${facts.kit.beside} the time of dummies`] : []),
    `${facts.traders.length} trades by 2 strategies on 2 exchanges, ${coloured(total)} on average`,
    `${facts.services} services: ${count(books.calls.set)} rows stored, ${count(books.calls.has + books.calls.get)} questions, each answered correctly`,
    `${facts.keys} keys in Redis, each with the original's name and value`,
    `a price that was gone after ${facts.expired} s, as its map had promised`,
    `${facts.cleared[0]} orders cleared, ${facts.cleared[1]} of a neighbour left alone; ${facts.mistakes} told`,
    `a known id in ${facts.near.micros} µs, ${facts.near.ratio} times as fast as asking Redis, and new ${facts.near.slowest.toFixed(1)} ms after a foreign change`,
    `against ioredis: ${facts.ratios.map(([what, ratio]) => `${ratio} ${what}`).join(", ")}`,
    ...(facts.candles ? [`a month of candles written in ${facts.candles.seconds.toFixed(1)} s: ${facts.candles.written} as fast as one by one, and read ${facts.candles.read}`] : []),
    `${count(commands)} commands over one connection`,
  ];
  rule();
  const fine = done.failed.length === 0;
  for (const line of lines) print(`${fine ? sign(true) : "·"} ${line}`);
  print();
  if (fine) {
    print(paint.bold(`All ${count(done.passed)} checks as they should be, in ${seconds.toFixed(1)} s.`));
    print(paint.dim("Next: npm test · npm run bench · README.md"));
  } else {
    print(paint.red(paint.bold(`${done.failed.length} of ${count(done.passed + done.failed.length)} checks failed:`)));
    for (const what of done.failed.slice(0, 20)) print(paint.red(`✘ ${what}`));
  }
  rule();
}

module.exports = { play };

"use strict";

// Plays the story: first on the embedded store, then on servers of its own, where they are to be had. Resolves with the exit code:
// 0 where everything was as it should be.

const fs = require("node:fs");
const os = require("node:os");
const { ensureRedisServer } = require("../scripts/lib/tools.js");
const { startMongo } = require("../__test__/support/mongo.js");
const { startRedis } = require("../__test__/support/redis.js");
const { close, health, setConfig, stats } = require("../index.js");
const { Books } = require("./books.js");
const { candles } = require("./candles.js");
const { chapters } = require("./chapters.js");
const { check, done, sign } = require("./checks.js");
const { kit, moved } = require("./kit.js");
const { memory } = require("./memory.js");
const { race } = require("./race.js");
const { count, paint, print, rule, say } = require("./screen.js");
const { coloured } = require("./trading.js");

// The password that the development setup has; the server of the demo asks for it.
const PASSWORD = "mysecurepassword";

async function play() {
  const started = performance.now();
  const facts = {};
  opening();
  const act = await kit({ facts });
  try {
    const servers = await serversIfAny();
    if (servers.error) {
      print();
      say(`The rest needs Redis and MongoDB: ${servers.error}`, paint.yellow);
    } else {
      await onServers({ ...servers, books: new Books(), facts, act });
    }
    summary(facts, (performance.now() - started) / 1000);
  } finally {
    fs.rmSync(act.folder, { recursive: true, force: true });
  }
  return done.failed.length === 0 ? 0 : 1;
}

/** Both servers, each the demo's own; or why there are none: nothing of the first act needs them. */
async function serversIfAny() {
  let server;
  try {
    ensureRedisServer();
    server = await startRedis({ password: PASSWORD });
    return { server, mongo: await startMongo() };
  } catch (error) {
    await server?.stop();
    return { error: error.message.split("\n")[0].replace(/:$/, "") };
  }
}

async function onServers(stage) {
  const { server, mongo, facts, books } = stage;
  try {
    await named(server);
    await moved(stage);
    setConfig(server.env);
    for (const chapter of [...chapters, memory, race]) await chapter(stage);
    const { commands, errors } = stats().redis;
    await actThree(stage);
    check("Redis answered nothing with an error", errors, 0);
    await close();
    check("close() leaves no connection", health().redis.state, "idle");
    Object.assign(facts, { commands, books });
  } finally {
    await close();
    await Promise.all([server.stop(), mongo.stop()]);
  }
}

async function actThree(stage) {
  await close();
  setConfig(stage.mongo.env);
  await candles(stage);
  await close();
}

function opening() {
  print();
  rule();
  print(paint.bold("backtest-kit-native: a month without servers, and a trading story on them"));
  print(`Node ${process.versions.node} · ${os.availableParallelism()} cores`);
  rule();
}

/** Which servers the rest plays on. */
async function named(server) {
  const info = String(await server.command("INFO", "server"));
  print();
  rule();
  print(`redis-server ${/redis_version:(\S+)/.exec(info)[1]} on port ${server.port}, and a mongod: both the demo's own`);
  rule();
}

function summary(facts, seconds) {
  const lines = [
    `a month of backtest-kit without servers: ${facts.kit.trades} trades, ${facts.kit.files} as fast as on its own files, ${facts.kit.beside} the time of dummies`,
    ...(facts.commands === undefined ? [] : storyOf(facts)),
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

/** What was shown on servers. */
function storyOf(facts) {
  const { books, commands } = facts;
  const total = facts.traders.reduce((sum, { profit }) => sum + profit, 0) / facts.traders.length;
  return [
    `${facts.kit.moved} rows copied into servers and compared; the month on them ${facts.kit.ratio} as fast as the original`,
    `${facts.traders.length} trades by 2 strategies on 2 exchanges, ${coloured(total)} on average`,
    `${facts.services} services: ${count(books.calls.set)} rows stored, ${count(books.calls.has + books.calls.get)} questions, each answered correctly`,
    `${facts.keys} keys in Redis, each with the original's name and value`,
    `a price that was gone after ${facts.expired} s, as its map had promised`,
    `${facts.cleared[0]} orders cleared, ${facts.cleared[1]} of a neighbour left alone; ${facts.mistakes} told`,
    `a known id in ${facts.near.micros} µs, ${facts.near.ratio} times as fast as asking Redis, and new ${facts.near.slowest.toFixed(1)} ms after a foreign change`,
    `against ioredis: ${facts.ratios.map(([what, ratio]) => `${ratio} ${what}`).join(", ")}`,
    `a month of candles written in ${facts.candles.seconds.toFixed(1)} s: ${facts.candles.written} as fast as one by one, and read ${facts.candles.read}`,
    `${count(commands)} commands over one connection`,
  ];
}

module.exports = { play };

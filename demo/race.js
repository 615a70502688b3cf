"use strict";

// A short look at speed: the same work on the same server, by this package and by ioredis, in rounds that alternate.
// `npm run bench` measures properly; this is a taste of it.

const Redis = require("ioredis");
const { version } = require("ioredis/package.json");
const { BaseMap } = require("../index.js");
const { check } = require("./checks.js");
const { bar, chapter, count, left, paint, print, right } = require("./screen.js");

const PREFIX = "race_map";
const KEYS = 5_000;
const ROUNDS = 31;

const keys = Array.from({ length: KEYS }, (_, i) => `SYM${i}`);
const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

/** What the original's toArray does over ioredis. */
async function ioredisToArray(client) {
  const pairs = [];
  let cursor = "0";
  do {
    const [next, page] = await client.scan(cursor, "MATCH", `${PREFIX}:*`, "COUNT", 100);
    cursor = next;
    if (page.length === 0) continue;
    const values = await client.mget(page);
    page.forEach((key, i) => pairs.push([key.slice(PREFIX.length + 1), values[i]]));
  } while (cursor !== "0");
  return pairs;
}

async function oneByOne(get) {
  for (let i = 0; i < 150; i++) await get(keys[i]);
}

async function hundredAtOnce(get) {
  for (let batch = 0; batch < 15; batch++) await Promise.all(keys.slice(batch * 100, batch * 100 + 100).map(get));
}

/** The races: title, name in the summary, operations in a round, unit, and the same work for both sides. */
function races(map, client) {
  const ours = (key) => map.get(key);
  const theirs = (key) => client.get(`${PREFIX}:${key}`);
  return [
    ["get, one after the other", "one by one", 150, "µs", () => oneByOne(ours), () => oneByOne(theirs)],
    ["get, 100 at once", "at 100 at once", 1_500, "µs", () => hundredAtOnce(ours), () => hundredAtOnce(theirs)],
    [`toArray over ${count(KEYS)} keys`, "toArray", 1, "ms", () => map.toArray(), () => ioredisToArray(client)],
  ];
}

async function time(work) {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** Median milliseconds of each side; who begins changes with every round. */
async function measure(ours, theirs) {
  const times = { ours: [], theirs: [] };
  for (let round = -3; round < ROUNDS; round++) {
    const order = round % 2 === 0 ? [["ours", ours], ["theirs", theirs]] : [["theirs", theirs], ["ours", ours]];
    for (const [side, work] of order) {
      const ms = await time(work);
      // The first rounds only warm up.
      if (round >= 0) times[side].push(ms);
    }
  }
  return { ours: median(times.ours), theirs: median(times.theirs) };
}

function show(title, unit, perOperation, ratio) {
  print(paint.bold(title));
  const longest = Math.max(...Object.values(perOperation));
  for (const [side, value] of Object.entries(perOperation)) {
    const ours = side === "ours";
    const drawn = left(bar(value / longest, 34), 34);
    const figure = `${right(value.toFixed(value < 10 ? 2 : 1), 7)} ${unit}`;
    const name = ours ? "backtest-kit-native" : "ioredis";
    print(`${left(name, 19)}  ${ours ? paint.green(drawn) : paint.dim(drawn)} ${figure}${ours ? `  ${paint.bold(ratio)}` : ""}`);
  }
  print();
}

async function race({ server, facts }) {
  chapter(`Against ioredis ${version}`, `One server, ${ROUNDS} rounds in turns, medians; shorter bars are better. For toArray, ioredis does what the original does: SCAN of 100 keys, MGET, and so on.`);
  const map = new BaseMap(PREFIX, -1);
  const client = new Redis({ port: server.port, host: server.host, password: server.password, username: "default" });
  try {
    await Promise.all(keys.map((key, i) => map.set(key, `695b81f45a3c9e17d0${String(i).padStart(6, "0")}`)));
    const [mine, others] = await Promise.all([map.toArray(), ioredisToArray(client)]);
    check("both sides read the same pairs", mine.sort(), others.sort());
    check("all keys are there", mine.length, KEYS);
    facts.ratios = [];
    for (const [title, short, operations, unit, ours, theirs] of races(map, client)) {
      const medians = await measure(ours, theirs);
      const scale = (unit === "µs" ? 1000 : 1) / operations;
      const ratio = `${(medians.theirs / medians.ours).toFixed(1)}×`;
      show(title, unit, { theirs: medians.theirs * scale, ours: medians.ours * scale }, ratio);
      facts.ratios.push([short, ratio]);
    }
    await map.clear();
    check("the race's keys are gone", await map.size(), 0);
  } finally {
    client.disconnect();
  }
}

module.exports = { race };

"use strict";

// npm run store:kills [kills]: processes write to one embedded store and are killed (SIGKILL) at random
// moments. What was acknowledged must be there, whole, and the store must open without any repair.

const { judge } = require("./store-kills/run.js");

const kills = Number(process.argv[2] ?? 1_000);
const seed = Number(process.env.BKN_KILLS_SEED ?? Date.now() % 1_000_000);
console.log(`${kills} kills, BKN_KILLS_SEED=${seed}`);
judge({ kills, seed, log: (line) => console.log(line) }).then(
  ({ acknowledged, missing }) => {
    console.log(`${acknowledged} writes were acknowledged, ${missing.length} of them are missing`);
    for (const one of missing.slice(0, 20)) console.log(`  ${one}`);
    process.exit(missing.length === 0 ? 0 : 1);
  },
  (error) => {
    console.error(error);
    process.exit(1);
  },
);

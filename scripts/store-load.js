"use strict";

// npm run store:load [seconds]: three processes write to one embedded store as fast as they can, with iterators open all the time.
// Its log must stay below 64 MiB.

const { load } = require("./store-load/run.js");

const MIB = 1024 * 1024;
const MOST = 64 * MIB;
const seconds = Number(process.argv[2] ?? 60);

load(seconds * 1_000).then(
  ({ writes, bytes, pages, mostBytes, turns }) => {
    console.log(`${writes} writes of ${(bytes / MIB).toFixed(0)} MiB in ${seconds} s, ${pages} steps of iterators; the log had ${(mostBytes / MIB).toFixed(1)} MiB at most, and was begun anew ${turns} times`);
    process.exit(mostBytes > 0 && mostBytes < MOST ? 0 : 1);
  },
  (error) => {
    console.error(error.message);
    process.exit(1);
  },
);

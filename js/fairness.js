"use strict";
// Answers from memory must not starve the event loop.
//
// A promise that is settled already never lets the loop turn, so a backtest that finds all its candles in memory would starve
// timers, servers, sockets, and commands that leave at the end of a tick. When such answers have gone on for a
// millisecond since the loop last turned, further ones are given by the loop. An immediate is that: while one waits, the loop
// looks at its descriptors without sleeping.

// Of Node itself, and captured now: fake timers replace the global ones, perhaps before this is loaded.
const { setImmediate } = require("node:timers");
const now = performance.now.bind(performance);

/** How long answers may be given at once without a turn of the loop, in milliseconds; as for the near cache. */
const FAIR_MS = 1;

/** The clock is read after so much work, counted in candles, because reading it costs as much as a short window. */
const LOOK = 256;
/** What an answer costs beside its candles. */
const ANSWER = 16;

/** When the first answer since the loop's last turn was given; 0: none was. */
let since = 0;
let work = 0;
/** Whether the time is over. */
let over = false;
let owed = [];

function turned() {
  since = work = 0;
  over = false;
  const answers = owed;
  owed = [];
  for (const answer of answers) {
    answer();
  }
}

/** An answer from memory, of so many candles: the value itself, or a promise of it for the loop's next turn. */
function fair(value, candles = 1) {
  if (since === 0) {
    setImmediate(turned);
    since = now();
  }
  work += candles + ANSWER;
  if (work >= LOOK) {
    work = 0;
    over ||= now() - since > FAIR_MS;
  }
  return over ? new Promise((resolve) => owed.push(() => resolve(value))) : value;
}

module.exports = { fair };

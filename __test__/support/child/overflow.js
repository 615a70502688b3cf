"use strict";

// Calls on a stack that is nearly full, at every depth near its end: some throw in their middle. Then other calls, of which
// each must get its own answer.

const lib = require(process.env.BKN_ROOT);
const map = new lib.BaseMap("overflow", -1);
const KEYS = [..."abcdefgh"];
const PATIENCE_MS = 2000;

let made = 0;
function deep() {
  try {
    deep();
  } catch {
    // The stack is full; the frames above have a little more room each.
  }
  if (made++ < 40) {
    try {
      map.get("deep").catch(() => {});
    } catch {
      // Its own stack was full.
    }
  }
}

/** Some more frames below, so that the end comes at another place in each round. */
function from(frames) {
  if (frames > 0) from(frames - 1);
  else deep();
}

const late = () => new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, "no answer"));

(async () => {
  for (const key of KEYS) await map.set(key, `value of ${key}`);
  for (let round = 0; round < 100; round++) {
    made = 0;
    from(round);
    await new Promise((resolve) => setTimeout(resolve, 1));
    const answers = await Promise.all(KEYS.map((key) => Promise.race([map.get(key), late()])));
    if (answers.some((answer, at) => answer !== `value of ${KEYS[at]}`)) {
      console.log(JSON.stringify({ round, answers }));
      process.exit();
    }
  }
  console.log(JSON.stringify({ answers: "right" }));
  process.exit();
})();

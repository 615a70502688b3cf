"use strict";

// Ends in the middle of everything, in the way that its argument names.

const lib = require(process.env.BKN_ROOT);

const map = new lib.BaseMap("exit", -1);
const pair = (_, i) => map.set(`k${i}`, "v").then(() => map.get(`k${i}`)).catch(() => {});
const flood = () => Array.from({ length: 500 }, pair);
const quit = () => process.exit(7);

const ways = {
  "right after the calls": () => void flood(), // and then `quit` below, in the same turn
  "in a microtask": () => void (flood(), queueMicrotask(quit)),
  "in nextTick": () => void (flood(), process.nextTick(quit)),
  "in setImmediate": () => void (flood(), setImmediate(quit)),
  "in the callback of a reply": () => void map.get("k").then(quit),
  "in the callback of one reply of many": async () => {
    await map.get("k");
    flood()[250].then(quit);
  },
  "in the middle of an iteration": async () => {
    await Promise.all(flood());
    for await (const key of map.keys()) if (key) quit();
  },
  "while converting a value": () => void map.set("k", { toString: quit }),
  "in the logger": () => {
    lib.setLogger({ info: quit });
    map.get("k");
  },
  "during close": async () => {
    await map.get("k");
    flood();
    lib.close();
    setImmediate(quit);
  },
  "with an uncaught error": async () => {
    await map.get("k");
    flood();
    process.on("uncaughtException", quit);
    map.get("k").then(() => setImmediate(() => {
      throw new Error("uncaught");
    }));
  },
};

ways[process.argv[2]]();
if (process.argv[2] === "right after the calls") quit();

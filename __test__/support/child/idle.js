"use strict";

// Does one thing (its argument), notes the time of the last answer, and leaves the end to Node. A handle or a pending
// call that is held by mistake shows as a process that does not end.

const lib = require(process.env.BKN_ROOT);
const fs = require("node:fs");

const print = (value) => fs.writeSync(1, `${JSON.stringify(value)}\n`);
process.on("unhandledRejection", (error) => {
  fs.writeSync(2, `unhandled: ${error && error.stack}\n`);
  process.exit(3);
});
let last = Date.now();
process.on("exit", () => print({ tookMs: Date.now() - last }));

const map = new lib.BaseMap("idle", -1);
const settled = (promise) => promise.then(() => "ok", (error) => error.code);

const actions = {
  "only the import": async () => {},
  "health, stats and configuration": async () => void [lib.health(), lib.stats(), lib.getConfig()],
  "one call": () => map.get("k"),
  "many calls": () => Promise.all(Array.from({ length: 1000 }, (_, i) => map.set(`k${i}`, "v"))),
  "a call in a callback": () => map.get("k").then(() => map.set("k", "v")).then(() => map.size()),
  "waitForInit": () => lib.ioc.redisService.waitForInit(),
  "a whole iteration": async () => {
    for (let i = 0; i < 300; i++) await map.set(`k${i}`, "v");
    for await (const key of map.keys()) if (!key) throw new Error("no key");
  },
  "an iteration that is broken off": async () => {
    for (let i = 0; i < 300; i++) await map.set(`k${i}`, "v");
    for await (const key of map.iterate()) if (key) break;
  },
  "an iteration that is forgotten": async () => {
    for (let i = 0; i < 300; i++) await map.set(`k${i}`, "v");
    await map.iterate().next();
  },
  "a call and close": async () => {
    await map.get("k");
    await lib.close();
  },
  "close and a call again": async () => {
    await lib.close();
    await map.get("k");
  },
  "a call that fails": async () => print({ code: await settled(map.get("k")) }),
  "a call that nobody waits for": async () => void settled(map.set("left", "v")).then((code) => print({ code })),
};

const action = actions[process.argv[2]];
action().then(() => (last = Date.now()));

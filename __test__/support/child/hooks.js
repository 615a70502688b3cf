"use strict";

// async_hooks see every promise that the addon makes, and run user code in the middle of it.

const asyncHooks = require("node:async_hooks");

const lib = require(process.env.BKN_ROOT);
const map = new lib.BaseMap("hooks", -1);

let inits = 0;
let nested = 0;
const extra = [];
asyncHooks
  .createHook({
    init() {
      inits++;
      // A call from within the making of a promise: a native side that holds a borrow here would crash.
      if (inits % 50 === 0 && nested < 200) {
        nested++;
        extra.push(map.get("k"));
      }
    },
    before() {},
    after() {},
    destroy() {},
    promiseResolve() {
      if (nested % 20 === 1 && nested < 200) {
        nested++;
        extra.push(map.set("other", "v"));
      }
    },
  })
  .enable();

(async () => {
  await map.set("k", "v");
  for (let round = 0; round < 20; round++) {
    const values = await Promise.all(Array.from({ length: 200 }, () => map.get("k")));
    if (values.some((value) => value !== "v")) throw new Error("wrong answer");
  }
  for await (const [key] of map.iterate()) if (!key) throw new Error("no key");
  await Promise.all(extra.splice(0));
  await lib.close();
  if ((await map.get("k")) !== "v") throw new Error("wrong answer after close");
  console.log(JSON.stringify({ inits: inits > 1000, nested: nested > 10 }));
})();

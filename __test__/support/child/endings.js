"use strict";

// One way of ending, or of going on, in the middle of calls; the argument names it. Where the process goes on, it says what
// its calls answer.

const fs = require("node:fs");

const lib = require(process.env.BKN_ROOT);
const map = new lib.BaseMap("endings", -1);

const print = (value) => fs.writeSync(1, `${JSON.stringify(value)}\n`);
const flood = () => Array.from({ length: 500 }, (_, i) => map.set(`k${i}`, `v${i}`).then(() => map.get(`k${i}`)));
const fail = () => {
  throw new Error("mine");
};
const turns = async (count) => {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
};

/** The answers of calls that were under way when something else failed. */
async function answers(calls) {
  const texts = await Promise.all(calls);
  return { right: texts.every((text, i) => text === `v${i}`), after: await map.get("k7") };
}

const ways = {
  async "a signal that the program handles"() {
    const calls = flood();
    process.once("SIGINT", async () => print({ handled: true, ...(await answers(calls)) }));
    process.kill(process.pid, "SIGINT");
    await turns(3);
  },
  async "a signal whose handler closes"() {
    const calls = flood();
    process.once("SIGINT", async () => {
      await lib.close();
      print({ handled: true, ...(await answers(calls)) });
      process.exit(0);
    });
    process.kill(process.pid, "SIGINT");
    await Promise.all(calls);
    for (;;) await new Promise((resolve) => setTimeout(resolve, 1000));
  },
  async "an uncaught exception that the program handles"() {
    const calls = flood();
    let caught = 0;
    process.on("uncaughtException", () => caught++);
    for (const schedule of [setImmediate, process.nextTick, queueMicrotask]) schedule(fail);
    await turns(5);
    print({ caught, ...(await answers(calls)) });
  },
  async "an error in callbacks of replies that the program handles"() {
    let caught = 0;
    process.on("unhandledRejection", () => caught++);
    const calls = flood();
    for (const call of calls.slice(0, 50)) call.then(fail);
    const seen = await answers(calls);
    await turns(3);
    print({ caught, ...seen });
  },
  async "an uncaught exception"() {
    flood().forEach((call) => call.catch(() => {}));
    setImmediate(fail);
  },
  async "an error in a callback of a reply"() {
    flood()[100].then(fail);
  },
  async "a call in beforeExit"() {
    await map.set("k7", "v7");
    let left = 3;
    process.on("beforeExit", async () => {
      if (left-- > 0) print({ left, value: await map.get("k7") });
    });
  },
  async "a call in exit"() {
    await map.set("k7", "v7");
    process.on("exit", () => {
      flood();
      lib.close();
      print({ late: true });
    });
  },
  async "collections between calls"() {
    for (let round = 0; round < 30; round++) {
      const calls = flood();
      global.gc();
      const own = new lib.BaseMap(`endings-${round}`, -1);
      const scan = own.keys();
      scan.next();
      await turns(1);
      global.gc();
      const { right } = await answers(calls);
      if (!right) print({ round, right });
      global.gc();
    }
    print(await answers(flood()));
    await lib.close();
    global.gc();
  },
  async "a collection after the package was forgotten in mid-call"() {
    for (let round = 0; round < 20; round++) {
      for (const file of Object.keys(require.cache)) if (!file.endsWith(".node") && file !== __filename) delete require.cache[file];
      module.children.length = 0;
      (() => {
        const copy = require(process.env.BKN_ROOT);
        new copy.BaseMap("forgotten", -1).set(`k${round}`, "v");
        new copy.BaseMap("forgotten", -1).keys().next();
      })();
      global.gc();
      await turns(2);
      global.gc();
    }
    const forgotten = new lib.BaseMap("forgotten", -1);
    for (let i = 0; i < 20; i++) while ((await forgotten.get(`k${i}`)) !== "v") await turns(1);
    print(await answers(flood()));
  },
  async "everything once"() {
    const calls = flood();
    for await (const [key] of map.iterate()) if (!key) fail();
    await map.get(Symbol("s")).catch(() => {});
    await lib.ioc.signalCacheService.setSignalId({ symbol: "S", strategyName: "s", exchangeName: "x", id: 1 });
    lib.setLogger({ log() {}, info() {}, debug() {}, warn() {} });
    await lib.ioc.redisService.waitForInit();
    print(await answers(calls));
    await lib.close();
    await map.get("k7");
  },
};

ways[process.argv[2]]();

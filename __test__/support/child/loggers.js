"use strict";

// Puts something else (its first argument) in place of methods of the logger (the others), and works as if nothing were. What the package logs of its own
// accord, in the background, has nobody to catch it: a rejection would end the process.

const lib = require(process.env.BKN_ROOT);

const { loggerService } = lib.ioc;
const broken = () => new Error("the replacement is broken");
const replacements = {
  throws() {
    throw broken();
  },
  async rejects() {
    throw broken();
  },
  "returns a thenable that rejects": () => Promise.reject(broken()),
  "is no function": null,
  "throws only when it is told of readiness"(topic) {
    if (/ready/.test(topic)) throw broken();
  },
};
const [way, ...levels] = process.argv.slice(2);
for (const level of levels) loggerService[level] = replacements[way];
// Somebody listens, so that everything is logged.
loggerService.active = true;

const map = new lib.BaseMap("loggers", -1);
const row = { symbol: "B", strategyName: "s", exchangeName: "x", id: "1" };
const work = [
  () => lib.ioc.redisService.waitForInit(),
  () => map.set("k", "v"),
  () => lib.ioc.signalCacheService.setSignalId(row),
  () => lib.ioc.signalCacheService.getSignalId("B", "s", "x"),
  () => lib.ioc.redisService.waitForInit(),
  () => map.clear(),
];

(async () => {
  const answers = [];
  for (const one of work) {
    try {
      answers.push((await one()) ?? "ok");
    } catch (error) {
      answers.push(error.message);
    }
  }
  console.log(JSON.stringify({ answers, nearCache: lib.health().nearCache.state }));
})();

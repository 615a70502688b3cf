"use strict";

const { native } = require("./engine.js");
const { STORE_FAILURES, final, makeError } = require("./errors.js");
const { callLogger, loggerService } = require("./logger-service.js");

const { engine, enqueue, ready } = native;

// Captured now: fake timers replace the global ones later.
const { setTimeout: sleep } = require("node:timers/promises");
const { now } = performance;

/** How long a server that is coming up is waited for, in milliseconds; as long as the original waits. */
const PATIENCE_MS = 15_000;
const PAUSE_MS = 50;

const FINAL = ["INVALID_CONFIG", "REDIS_AUTH", "CLOSED", ...STORE_FAILURES];
/** Replies of a server that cannot serve yet; any other reply, a forbidden PING too, is proof of life. */
const NOT_YET = /^(LOADING|MASTERDOWN|BUSY|TRYAGAIN)/;

/** Whether waiting does not mend it: a refusal for good (no such database, a certificate that is not trusted) is marked. */
const isFinal = (error) => FINAL.includes(error.code) || final.has(error);

const LATE = Symbol("late");

/** Settles as the promise does, with whether it did within so many milliseconds. */
async function within(promise, ms) {
  const timer = new AbortController();
  try {
    return (await Promise.race([promise, sleep(Math.max(ms, 0), LATE, { signal: timer.signal })])) !== LATE;
  } finally {
    timer.abort();
  }
}

/** Its patience is over. */
const timedOut = (cause) => makeError("REDIS_UNAVAILABLE", "Error", "Redis connection timeout", cause);

/** Why a call was not answered so far. */
function whySilent() {
  const { lastError } = JSON.parse(engine.health()).redis;
  return makeError("REDIS_UNAVAILABLE", "Error", lastError ?? "Redis does not answer");
}

async function untilReady() {
  const { closes } = native;
  const end = now.call(performance) + PATIENCE_MS;
  for (;;) {
    try {
      ready();
      engine.ping();
      if (await within(enqueue(), end - now.call(performance))) {
        return;
      }
    } catch (error) {
      if (error.code === "REDIS_REPLY" && !NOT_YET.test(error.message)) {
        return;
      }
      if (isFinal(error)) {
        throw error;
      }
      if (now.call(performance) >= end) {
        throw timedOut(error);
      }
      await sleep(PAUSE_MS);
      if (native.closes !== closes) {
        throw makeError("CLOSED", "Error", "The connection was closed before the server answered", error);
      }
      continue;
    }
    throw timedOut(whySilent());
  }
}

/** The state of the connection. Its `waitForInit` works when detached. */
class RedisService {
  constructor() {
    this.loggerService = loggerService;
    let waiting = null;
    this.waitForInit = () => {
      if (waiting === null) {
        callLogger(loggerService, "log", ["redisService waitForInit"]);
        waiting = untilReady();
        waiting.then(
          () => callLogger(loggerService, "log", ["redisService ready"]),
          // A later call tries again.
          () => this.waitForInit.clear(),
        );
      }
      return waiting;
    };
    /** Forgets the result, so that the next call asks the server again. */
    this.waitForInit.clear = () => {
      waiting = null;
    };
  }
}

module.exports = { RedisService, redisService: new RedisService() };

"use strict";

const { native } = require("./engine.js");
const { makeError } = require("./errors.js");
const { callLogger, loggerService } = require("./logger-service.js");

const { engine, enqueue, ready } = native;

// Captured now: fake timers replace the global ones later.
const { setTimeout: sleep } = require("node:timers/promises");
const { now } = performance;

/** How long a server that is coming up is waited for, in milliseconds; as long as the original waits. */
const PATIENCE_MS = 15_000;
const PAUSE_MS = 50;

const FINAL = ["INVALID_CONFIG", "REDIS_AUTH", "CLOSED"];
/** Replies of a server that cannot serve yet; any other reply, a forbidden PING too, is proof of life. */
const NOT_YET = /^(LOADING|MASTERDOWN|BUSY|TRYAGAIN)/;

/**
 * Whether waiting does not mend it. A call that was given up at its deadline names its last failure as the cause; a
 * refusal for good (no such database, a certificate that is not trusted) ends all calls at once, and has none.
 */
const isFinal = ({ code, cause }) => FINAL.includes(code) || (code === "REDIS_UNAVAILABLE" && cause === undefined);

const LATE = Symbol("late");

/** Settles as the promise does, or rejects when that takes longer than so many milliseconds. */
async function within(promise, ms) {
  const timer = new AbortController();
  try {
    if ((await Promise.race([promise, sleep(Math.max(ms, 0), LATE, { signal: timer.signal })])) !== LATE) return;
  } finally {
    timer.abort();
  }
  const cause = JSON.parse(engine.health()).redis.lastError ?? "Redis does not answer";
  throw makeError("REDIS_UNAVAILABLE", "Error", cause);
}

async function untilReady() {
  const { closes } = native;
  const end = now.call(performance) + PATIENCE_MS;
  for (;;) {
    try {
      ready();
      engine.ping();
      await within(enqueue(), end - now.call(performance));
      return;
    } catch (error) {
      if (error.code === "REDIS_REPLY" && !NOT_YET.test(error.message)) {
        return;
      }
      if (now.call(performance) >= end && !FINAL.includes(error.code)) {
        throw makeError("REDIS_UNAVAILABLE", "Error", "Redis connection timeout", error);
      }
      if (isFinal(error)) {
        throw error;
      }
      await sleep(PAUSE_MS);
      if (native.closes !== closes) {
        throw makeError("CLOSED", "Error", "The connection was closed before the server answered", error);
      }
    }
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

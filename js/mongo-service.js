"use strict";

const { native } = require("./engine.js");
const { STORE_FAILURES, makeError } = require("./errors.js");
const { loggerService } = require("./logger-service.js");
const { OPS, ask } = require("./mongo.js");

// Captured now: fake timers replace the global ones later.
const { setTimeout: sleep } = require("node:timers/promises");
const { now } = performance;

/** How long a server that is coming up is waited for, in milliseconds; as for Redis. */
const PATIENCE_MS = 15_000;
const PAUSE_MS = 50;

/** Reasons that waiting does not mend. */
const FINAL = ["INVALID_CONFIG", "CLOSED", ...STORE_FAILURES];
/** Errors for which it waits. Any other answer, a refused PING too, proves that the server is there. */
const NOT_YET = ["MONGO_UNAVAILABLE", "MONGO_TIMEOUT"];

async function untilReady() {
  const { closes } = native;
  const end = now.call(performance) + PATIENCE_MS;
  for (;;) {
    const failure = await attempt(end - now.call(performance));
    if (failure === null) {
      return;
    }
    if (FINAL.includes(failure.code)) {
      throw failure;
    }
    if (now.call(performance) >= end) {
      throw makeError("MONGO_UNAVAILABLE", "Error", "Mongoose connection timeout", failure);
    }
    await sleep(PAUSE_MS);
    if (native.closes !== closes) {
      throw makeError("CLOSED", "Error", "The connection was closed before the server answered", failure);
    }
  }
}

/** Why the server is not there, or null. An attempt waits as long as a round trip may; no longer than `rest`. */
async function attempt(rest) {
  const over = new AbortController();
  try {
    await Promise.race([
      ask(OPS.ping, 0, {}),
      sleep(Math.max(rest, 1), undefined, { signal: over.signal }).then(() => {
        throw makeError("MONGO_TIMEOUT", "Error", "no answer yet");
      }),
    ]);
    return null;
  } catch (error) {
    return [...FINAL, ...NOT_YET].includes(error.code) ? error : null;
  } finally {
    over.abort();
  }
}

/** The state of the connection. Its `waitForInit` works when detached. */
class MongoService {
  constructor() {
    this.loggerService = loggerService;
    let waiting = null;
    this.waitForInit = () => {
      if (waiting === null) {
        loggerService.log("mongooseService waitForInit");
        waiting = untilReady();
        // A later call tries again.
        waiting.catch(() => this.waitForInit.clear());
      }
      return waiting;
    };
    /** Forgets the result, so that the next call asks the server again. */
    this.waitForInit.clear = () => {
      waiting = null;
    };
  }
}

module.exports = { MongoService, mongoService: new MongoService() };

"use strict";
// What the first call of a context waits for: MongoDB must be there, Redis may.

const { native } = require("../engine.js");
const { MongoService } = require("../mongo-service.js");
const { guarded } = require("../redis-guard.js");

// Captured now: fake timers replace the global one later.
const { now } = performance;

/** How long a failure is everybody's who asks, in milliseconds; then it is tried anew. */
const FAILURE_MS = 1_000;

/** The attempt of all contexts: its promise, when it failed, and the connection that it was made with. */
let attempt = null;

/** Begins to connect to Redis, so that the first write need not wait for it. Where it is away, nothing waits for it. */
function connectRedis() {
  guarded(() => {
    native.ready();
    native.engine.ping();
    return native.enqueue();
  }, null).catch(() => {
    // Configuration that cannot be used: MongoDB's side says so.
  });
}

function begin() {
  const one = { closes: native.closes, failed: null, promise: null };
  one.promise = new MongoService().waitForInit().then(
    () => {},
    (error) => {
      one.failed = now.call(performance);
      throw error;
    },
  );
  connectRedis();
  return one;
}

/** Resolves when MongoDB is there, or rejects within 15 s. */
function waitForMongo() {
  const over = attempt !== null && attempt.failed !== null && now.call(performance) - attempt.failed > FAILURE_MS;
  if (attempt === null || over || attempt.closes !== native.closes) {
    attempt = begin();
  }
  return attempt.promise;
}

module.exports = { waitForMongo };

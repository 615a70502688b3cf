"use strict";
// The db services' use of the cache: it may help, and must never hold anything up.
//
// An answer of Redis is waited for 50 ms. After that Redis counts as away, and is not waited for at all, until it answers
// something: the call that was too slow, or a PING that the next use sends. Without servers nothing is away.

const { native } = require("./engine.js");

// Of Node itself, and captured now: fake timers replace the global ones, perhaps before this is loaded.
const { setTimeout, clearTimeout, setImmediate, clearImmediate } = require("node:timers");

const PATIENCE_MS = 50;
/** Errors that do not tell whether Redis is there. */
const OURS = ["INVALID_CONTEXT", "INVALID_ROW", "INVALID_VALUE", "INVALID_CONFIG", "KEY_EMPTY"];
/** Errors after which Redis counts as away. */
const AWAY = ["REDIS_UNAVAILABLE", "REDIS_TIMEOUT", "REDIS_AUTH"];
/** Stands for the value of a call that was not made, or not answered in time. */
const MISSED = Symbol("missed");

/** The most calls that are kept until Redis is back. Without them nothing is wrong for long: reads find wrong ids out, too. */
const OWED = 100_000;

let away = false;
let probing = false;
/** Calls that Redis has missed, by names that tell equal ones: `{ call, closes }`. */
const missed = new Map();

/** Makes the calls that Redis has missed, now that it answers again; not those from before a close(). */
function back() {
  away = false;
  const calls = [...missed];
  missed.clear();
  for (const [name, { call, closes }] of calls) {
    if (closes === native.closes) {
      owed(name, call).catch(() => {});
    }
  }
}

/** Watches a call whose outcome tells whether Redis is back. */
function watch(call) {
  away = true;
  probing = true;
  call.then(
    () => {
      probing = false;
      back();
    },
    (error) => {
      away = AWAY.includes(error.code);
      probing = false;
    },
  );
}

function probe() {
  if (probing) {
    return;
  }
  try {
    native.ready();
    native.engine.ping();
  } catch (error) {
    if (error.code === "INVALID_CONFIG") {
      throw error;
    }
    // The queue is full of calls that wait for Redis. The next use tries again.
    return;
  }
  watch(native.enqueue());
}

/**
 * What `call` resolves with, or `fallback` where Redis does not answer in time, or with an error. Errors of ours, like
 * arguments that fit no form, are the caller's.
 */
function guarded(call, fallback, patience = PATIENCE_MS) {
  if (native.embedded) {
    // Ids and rows lie in one file, so one is there when the other is.
    return call().catch((error) => {
      if (OURS.includes(error.code)) {
        throw error;
      }
      return fallback;
    });
  }
  if (away) {
    probe();
    return Promise.resolve(fallback);
  }
  const answer = call();
  return new Promise((resolve, reject) => {
    let late;
    const timer = setTimeout(() => {
      // The answer may have come while JavaScript was busy, because timers fire before the socket is read.
      late = setImmediate(() => {
        watch(answer);
        resolve(fallback);
      });
    }, patience);
    const inTime = () => {
      clearTimeout(timer);
      clearImmediate(late);
    };
    answer.then(
      (value) => {
        inTime();
        resolve(value);
      },
      (error) => {
        inTime();
        if (OURS.includes(error.code)) {
          reject(error);
          return;
        }
        away = AWAY.includes(error.code);
        resolve(fallback);
      },
    );
  });
}

/** The same for a call that is made later if Redis is away now. It resolves with nothing. */
async function owed(name, call) {
  const { closes } = native;
  if ((await guarded(call, MISSED)) === MISSED && closes === native.closes && missed.size < OWED) {
    missed.set(name, { call, closes });
  }
}

module.exports = { guarded, owed };

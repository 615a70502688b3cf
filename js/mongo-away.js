"use strict";
// What to do while MongoDB is known to be away, for calls that have a way on without it.
//
// A backtest that finds no candles fetches them from the exchange. It asks each simulated minute, so to wait for each call's
// deadline would stop it. Who asks here is told at once, while one PING in the background tells when the server is back.

const { native } = require("./engine.js");
const { makeError } = require("./errors.js");
const { OPS, askQuietly, whyAway } = require("./mongo.js");

// Of Node itself, and captured now: fake timers replace the global ones, perhaps before this is loaded.
const { setTimeout, clearTimeout } = require("node:timers");
const now = performance.now.bind(performance);

/** How long a PING may take until its server counts as away, in milliseconds: the call before may only have been slow. */
const PATIENCE_MS = 40;

/** The PING that is under way: when it was sent, its connection, and how it ends. */
let probe = null;

/** Whether the last call to MongoDB failed because no server answers. */
const isAway = () => whyAway() !== null;

function begin() {
  const one = { since: now(), closes: native.closes, over: false, end: null };
  const { answer } = askQuietly(OPS.ping, 0, {});
  const end = () => {
    one.over = true;
  };
  one.end = answer.then(end, end);
  return one;
}

/** Resolves when MongoDB has answered; rejects where it is still away after a moment. */
async function whenBack() {
  if (probe === null || probe.over || probe.closes !== native.closes) {
    probe = begin();
  }
  const patience = PATIENCE_MS - (now() - probe.since);
  if (patience > 0) {
    let timer;
    await Promise.race([probe.end, new Promise((resolve) => (timer = setTimeout(resolve, patience)))]);
    clearTimeout(timer);
  }
  const why = whyAway();
  if (why !== null) {
    throw makeError("MONGO_UNAVAILABLE", "Error", `MongoDB is known to be away: ${why.message}`, why);
  }
}

module.exports = { isAway, whenBack };

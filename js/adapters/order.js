"use strict";
// Writes of one key go out one after the other.

const codec = require("../codec.js");
const { afterwards } = require("../mongo.js");

/** The last write of each key that has one under way; it resolves with whether that succeeded. */
const tails = new Map();

/** A value as it is now, for a write that has to wait: its owner may change it meanwhile. */
function copyOf(value) {
  const { deserialize, serialize } = codec();
  try {
    // 64 bits must come back as such, or they would be stored as another type.
    return deserialize(serialize({ value }, { ignoreUndefined: false }), { useBigInt64: true }).value;
  } catch {
    // What has no bytes is refused, with its reason, when it is sent.
    return value;
  }
}

const sendLater = (before, kept, send) => afterwards(before, () => send(kept));

/**
 * Writes the row of a key with `send(value)`, when all earlier writes of it have been answered; at once where there are
 * none.
 */
function writeRow(service, key, value, send) {
  const name = JSON.stringify([service, ...key]);
  const before = tails.get(name);
  // It is there before it is sent: who is called meanwhile, a logger or a getter, may write the same row.
  let end;
  const tail = new Promise((resolve) => {
    end = (succeeded) => {
      if (tails.get(name) === tail) {
        tails.delete(name);
      }
      resolve(succeeded);
    };
  });
  tails.set(name, tail);
  try {
    const outcome = before === undefined ? send(value) : sendLater(before, copyOf(value), send);
    outcome.then(() => end(true), () => end(false));
    return outcome;
  } catch (error) {
    // No stack was left. What it was to wait for is still under way.
    if (before === undefined) {
      end(false);
    } else {
      before.then(end);
    }
    throw error;
  }
}

module.exports = { copyOf, writeRow };

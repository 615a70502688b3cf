"use strict";
// Writes of one key go out one after the other.

const codec = require("../codec.js");
const { afterwards } = require("../mongo.js");

/** The last write of each key that has one under way; it resolves with whether that succeeded. */
const tails = new Map();

const [done, failed] = [() => true, () => false];

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

/**
 * Writes the row of a key with `send(value)`, when all earlier writes of it have been answered; at once where there are
 * none.
 */
function writeRow(service, key, value, send) {
  const name = JSON.stringify([service, ...key]);
  const before = tails.get(name);
  const kept = before === undefined ? value : copyOf(value);
  const outcome = before === undefined ? send(value) : afterwards(before, () => send(kept));
  const tail = outcome.then(done, failed);
  tails.set(name, tail);
  tail.then(() => {
    if (tails.get(name) === tail) {
      tails.delete(name);
    }
  });
  return outcome;
}

module.exports = { copyOf, writeRow };

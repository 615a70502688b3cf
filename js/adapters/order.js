"use strict";
// Writes of one key go out one after the other.

const codec = require("../codec.js");
const { afterwards } = require("../mongo.js");

/** Who comes after whom. */
class Turns {
  /** `over` is called when nobody is left. */
  constructor(over = () => {}) {
    this.over = over;
    /** When the last one is through: with whether it succeeded; null where there is none. */
    this.last = null;
  }

  /**
   * Carries out `send`, which returns a promise, as the last one; `before` is what it waits for, or null. It has its place before it
   * is called: what is written from within it, by a logger or a getter, comes behind.
   */
  take(before, send) {
    let end;
    const place = new Promise((resolve) => {
      end = (succeeded) => {
        if (this.last === place) {
          this.last = null;
          this.over();
        }
        resolve(succeeded);
      };
    });
    this.last = place;
    try {
      const outcome = send();
      outcome.then(() => end(true), () => end(false));
      return outcome;
    } catch (error) {
      // No stack was left. What it was to wait for is still under way.
      if (before === null) {
        end(false);
      } else {
        before.then(end);
      }
      throw error;
    }
  }
}

/** The turns of each key that is being written. */
const rows = new Map();

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
  let turns = rows.get(name);
  if (turns === undefined) {
    turns = new Turns(() => rows.delete(name));
    rows.set(name, turns);
  }
  const { last } = turns;
  return turns.take(last, () => (last === null ? send(value) : sendLater(last, copyOf(value), send)));
}

module.exports = { Turns, copyOf, writeRow };

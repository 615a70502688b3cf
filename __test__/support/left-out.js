"use strict";

// Spec files that run in another setting than their own leave some tests out by name, each for a reason that a list gives.

/** Chains of ava's that make tests, too. */
const TESTS_OF = ["serial", "failing", "only"];

/**
 * ava's `test`, with each chain of it that makes tests, for one spec file. `skipped`: what is left out, by title, where a `*` stands for
 * anything; `around(body)`: what becomes of a test's body; `atEnd(t)`: called when all is over.
 */
function leavingOut(test, skipped, { around = (body) => body, atEnd = () => {} } = {}) {
  const seen = new Set();
  const patterns = Object.keys(skipped).map((name) => [name, new RegExp(`^${name.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*")}$`, "s")]);
  const isSkipped = (title) => patterns.find(([, pattern]) => pattern.test(title))?.[0];
  const wrapping = (original) => {
    const own = (title, body, ...args) => {
      if (typeof title !== "string") return original(title, body, ...args);
      const name = isSkipped(title);
      if (name !== undefined) {
        seen.add(name);
        return test.serial.skip(title, typeof body === "function" ? body : () => {});
      }
      return original(title, typeof body === "function" ? around(body) : body, ...args);
    };
    for (const name of Object.keys(original)) own[name] = TESTS_OF.includes(name) ? wrapping(original[name]) : original[name];
    return own;
  };
  const own = wrapping(test);
  own.default = own;
  // A name that no test has is a list that nobody keeps.
  test.after.always("every test that is left out by name is there", (t) => {
    t.deepEqual(Object.keys(skipped).filter((name) => !seen.has(name)), []);
    atEnd(t);
  });
  return own;
}

module.exports = { leavingOut };

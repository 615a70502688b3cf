"use strict";

/** What a command could not do, in words for whoever called it: it is printed without a stack. */
class Failure extends Error {
  name = "Failure";
}

module.exports = { Failure };

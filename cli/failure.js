"use strict";

/** What a command could not do, in words for whoever called it: it is printed without a stack. */
class Failure extends Error {
  name = "Failure";
}

/** The same for what a command was given and cannot use: it is no fault of the machine. */
class Misuse extends Failure {
  name = "Misuse";
  exitCode = 2;
}

module.exports = { Failure, Misuse };

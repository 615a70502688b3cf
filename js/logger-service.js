"use strict";

const { makeError } = require("./errors.js");

const LEVELS = ["log", "debug", "info", "warn"];

/** A log call of which nothing reaches the operation that logs. */
function callLogger(logger, level, args) {
  try {
    const result = logger[level](...args);
    // A logger that rejects must not become an unhandled rejection.
    if (typeof result?.then === "function") {
      result.then(undefined, () => {});
    }
  } catch {
    // A logger that throws must not break what it logs.
  }
}

/**
 * Passes log calls on to a logger that the user sets; silent until then. Whatever the logger does (throws, rejects, lacks
 * a method), the operation that logs goes on. Its methods work when detached.
 */
class LoggerService {
  constructor() {
    let logger = null;
    /** Whether there is a logger. Callers ask this first, so that log entries cost nothing without one. */
    this.active = false;
    const pass = (level, args) => {
      if (logger !== null) {
        callLogger(logger, level, args);
      }
    };
    for (const level of LEVELS) {
      this[level] = async (...args) => pass(level, args);
    }
    this.setLogger = (next) => {
      if (next != null && typeof next !== "object" && typeof next !== "function") {
        throw makeError("INVALID_VALUE", "TypeError", `setLogger takes an object with ${LEVELS.join(", ")}, or null for none; it was given a ${typeof next}`);
      }
      logger = next ?? null;
      this.active = logger !== null;
    };
  }
}

const loggerService = new LoggerService();

/** Whether a log call of a service would reach a logger. */
function listens(service) {
  const logger = service?.loggerService ?? loggerService;
  return logger !== loggerService || logger.active;
}

/** A log call of a service; nothing that the logger does reaches the operation. Detached methods log to the common logger. */
function log(service, level, topic, ...args) {
  if (listens(service)) {
    callLogger(service?.loggerService ?? loggerService, level, [topic, ...args]);
  }
}

module.exports = { LoggerService, callLogger, listens, log, loggerService };

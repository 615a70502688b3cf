"use strict";
// What all adapters have in common.

const { withCode } = require("../errors.js");
const { waitForMongo } = require("./ready.js");

/** Not the first call of a context: the kit awaits it before every operation, so it is made once. */
const NOTHING = Promise.resolve();

class Adapter {
  /** @param {boolean} initial whether it is the first call of a context; only then there is something to wait for */
  waitForInit(initial) {
    return initial ? waitForMongo() : NOTHING;
  }
}

/**
 * A class whose instances hold the arguments of their constructor by these names; of fewer arguments than that, the first
 * `least`. The kit makes instances by Reflect.construct, one for each context.
 */
function contextClass(name, context, least = context.length) {
  const Class = class extends Adapter {
    constructor(...args) {
      super();
      const count = args.length > least ? context.length : least;
      for (let i = 0; i < count; i++) {
        this[context[i]] = args[i];
      }
    }
  };
  Object.defineProperty(Class, "name", { value: `Persist${name}Instance` });
  return Class;
}

/** Gives a class its methods. What is thrown in the middle of one, as by somebody's getter or proxy, gets a code. */
function defineCalls(Class, methods) {
  const guarded = ([name, method]) => {
    const call = async function (...args) {
      try {
        return await method.apply(this, args);
      } catch (error) {
        throw withCode(error, "INVALID_VALUE", `${Class.name}.${name} failed on these arguments`);
      }
    };
    return [name, call];
  };
  define(Class, Object.fromEntries(Object.entries(methods).map(guarded)));
}

/** Gives a class its methods, as they are. */
function define(Class, methods) {
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(value, "name", { value: name });
    Object.defineProperty(Class.prototype, name, { value, writable: true, configurable: true });
  }
}

module.exports = { contextClass, define, defineCalls };

"use strict";
// setup() and install(): our adapters become those of backtest-kit.

const { classes } = require("./adapters/index.js");
const { adopt, checked, read, takesZero, variables } = require("./engine.js");
const kits = require("./kits.js");
const { callLogger, loggerService } = require("./logger-service.js");

const warn = (text) => callLogger(loggerService, "warn", [`backtest-kit-native: ${text}`]);

/** The class for the adapter `Persist<noun>Adapter`. */
const classOf = (noun) => (Object.hasOwn(classes, `Persist${noun}Instance`) ? classes[`Persist${noun}Instance`] : undefined);

/** Variables of a call of setup(): text for each, "" where it is not set. */
function changesOf(config) {
  const given = read(config, "setup");
  const known = given.filter(([name]) => variables.includes(name));
  const unknown = given.filter(([name]) => !variables.includes(name)).map(([name]) => name);
  const isSet = ([name, value]) => value !== null && value !== "" && (value !== 0 || takesZero(name));
  const changes = { ...Object.fromEntries(known.map(([name]) => [name, ""])), ...checked(known.filter(isSet)) };
  return { changes, unknown };
}

function apply(kit, changes) {
  // In this order, so that what fails has changed nothing.
  const copies = kit === undefined ? kits.visible() : [kits.given(kit)];
  adopt(changes);
  const others = kits.register(copies, classOf);
  if (others.length > 0) {
    warn(`this kit has adapters that are not known here, and stay as they are: ${others.join(", ")}`);
  }
}

/** See index.d.ts. */
function install(kit) {
  apply(kit, {});
}

/** See index.d.ts. */
function setup(config) {
  const { changes, unknown } = changesOf(config ?? {});
  apply(undefined, changes);
  if (unknown.length > 0) {
    warn(`setup() ignores what is no variable: ${unknown.join(", ")}`);
  }
}

module.exports = { install, setup };

"use strict";
// The project's own ioredis and mongoose, with our configuration, for code that used them beside the services.

const { readFileSync } = require("node:fs");

const { native, values } = require("./engine.js");
const { makeError } = require("./errors.js");
const { callLogger, loggerService } = require("./logger-service.js");
const { openDefault } = require("./mongoose.js");
const { required } = require("./project.js");
const { needServers } = require("./servers.js");

// Of Node itself, and captured now: fake timers replace the global ones, perhaps before this is loaded.
const { setTimeout, clearTimeout } = require("node:timers");

/** How long a client that is closed may take to finish what it has in flight, in milliseconds. */
const CLOSING_MS = 2_000;

/** States of mongoose's connection. */
const [CONNECTED, CONNECTING] = [1, 2];

/** How to close what was opened here. */
const opened = new Set();

/** A package of the project, as the code has it that is nearest to where the process was started. */
function peer(name, caller) {
  const { value } = required(name).next();
  if (value === undefined) {
    throw makeError("PEER_NOT_FOUND", "Error", `${caller}() needs the package ${name}: npm install ${name}`);
  }
  return value.exports.default ?? value.exports;
}

const options = () => JSON.parse(native.engine.clientOptions(values()));

/** What Node's TLS takes. */
function tlsOf(files) {
  try {
    return Object.fromEntries(Object.entries(files).map(([name, { file, text }]) => [name, text ?? readFileSync(file)]));
  } catch (error) {
    throw makeError("INVALID_CONFIG", "Error", `getRedis: a file of TLS cannot be read: ${error.message}`, error);
  }
}

/** Settles when the promise does, or after a while. */
function within(promise, ms) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    promise.then(resolve, resolve).finally(() => clearTimeout(timer));
  });
}

/** Makes the result of `make` once, until clear(). A promise that is rejected is forgotten. */
function once(make) {
  let made = null;
  const call = () => {
    if (made === null) {
      const one = { value: make() };
      made = one;
      one.value.catch?.(() => {
        made = made === one ? null : made;
      });
    }
    return made.value;
  };
  call.clear = () => {
    made = null;
  };
  call.hasValue = () => made !== null;
  return call;
}

const getRedis = once(() => {
  needServers("getRedis", "keys of your own are kept by BaseMap, ids by the cache services of ioc");
  const Redis = peer("ioredis", "getRedis");
  const { tls, ...rest } = options().redis;
  // ioredis speaks plain to sentinels unless it is told.
  const secure = tls && { tls: tlsOf(tls), ...(rest.sentinels && { sentinelTLS: tlsOf(tls), enableTLSForSentinelMode: true }) };
  const { nodes, ...each } = rest;
  const client = nodes ? new Redis.Cluster(nodes, { redisOptions: { ...each, ...secure } }) : new Redis({ ...rest, ...secure });
  // Without a listener ioredis prints each failed attempt.
  client.on("error", (error) => callLogger(loggerService, "warn", ["backtest-kit-native: getRedis()", error]));
  opened.add(async () => {
    if (client.status === "ready") {
      await within(client.quit(), CLOSING_MS);
    }
    client.disconnect();
  });
  return client;
});

const getMongo = once(async () => {
  const mongoose = peer("mongoose", "getMongo");
  const { connection } = mongoose;
  if ([CONNECTED, CONNECTING].includes(connection.readyState)) {
    // It was open before, so we do not close it.
    await connection.asPromise();
    return mongoose;
  }
  const end = () => connection.close();
  opened.add(end);
  // A connection that is opened after that is not ours.
  connection.once("close", () => opened.delete(end));
  try {
    await openDefault(mongoose, "getMongo", (words) => `getMongo: ${words}`);
  } catch (error) {
    opened.delete(end);
    throw error;
  }
  return mongoose;
});

/** Closes what was opened here, and nothing else. */
async function close() {
  const closing = [...opened];
  opened.clear();
  if (closing.length > 0) {
    getRedis.clear();
    getMongo.clear();
  }
  await Promise.allSettled(closing.map((one) => one()));
}

module.exports = { close, getMongo, getRedis };

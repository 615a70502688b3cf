"use strict";
// The project's own ioredis and mongoose, with our configuration, for code that used them beside the services.

const { readFileSync } = require("node:fs");

const { native, values } = require("./engine.js");
const { makeError } = require("./errors.js");
const { callLogger, loggerService } = require("./logger-service.js");
const { required } = require("./project.js");

// Captured now: fake timers replace the global ones later.
const { setTimeout, clearTimeout } = globalThis;

/** How long a client that is closed may take to finish what it has in flight, in milliseconds. */
const CLOSING_MS = 2_000;

/** How to close what was opened here. */
const opened = new Set();

/** A package of the project; the copy that is loaded already, where there are several. */
function peer(name, caller) {
  const found = required(name);
  if (found.length === 0) {
    throw makeError("PEER_NOT_FOUND", "Error", `${caller}() needs the package ${name}: npm install ${name}`);
  }
  const { exports: exported } = found[0];
  return exported.default ?? exported;
}

const options = () => JSON.parse(native.engine.clientOptions(values()));

/** What Node's TLS takes. */
function tlsOf(files) {
  const read = ([name, { file, text }]) => [name, text ?? readFileSync(file)];
  return Object.fromEntries(Object.entries(files).map(read));
}

/** Settles when the promise does, or after a while. */
function within(promise, ms) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    promise.then(resolve, resolve).finally(() => clearTimeout(timer));
  });
}

/** Makes the result of `make` once, until clear(). */
function once(make) {
  let made = null;
  const call = () => {
    made ??= { value: make(() => (made = null)) };
    return made.value;
  };
  call.clear = () => {
    made = null;
  };
  call.hasValue = () => made !== null;
  return call;
}

const getRedis = once(() => {
  const Redis = peer("ioredis", "getRedis");
  const { tls, ...rest } = options().redis;
  const client = new Redis({ ...rest, ...(tls && { tls: tlsOf(tls) }) });
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

const getMongo = once((forget) => {
  const connecting = connectMongoose();
  // A later call tries again.
  connecting.catch(forget);
  return connecting;
});

async function connectMongoose() {
  const mongoose = peer("mongoose", "getMongo");
  const { connection } = mongoose;
  if (connection.readyState !== 0) {
    // Somebody else has opened it, and closes it.
    await connection.asPromise();
    return mongoose;
  }
  const { uri, timeout } = options().mongo;
  opened.add(() => connection.close());
  await mongoose.connect(uri, /[?&]serverSelectionTimeoutMS=/i.test(uri) ? {} : { serverSelectionTimeoutMS: timeout });
  return mongoose;
}

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

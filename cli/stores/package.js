"use strict";
// The package's JavaScript, evaluated anew: each evaluation has connections and a configuration of its own, so that one process
// may have two stores open.

const fs = require("node:fs");
const path = require("node:path");

const js = path.join(__dirname, "..", "..", "js") + path.sep;

/** A copy of the package, which leaves one that is loaded alone. */
function loadPackage() {
  const before = Object.entries(require.cache).filter(([file]) => file.startsWith(js));
  for (const [file] of before) delete require.cache[file];
  try {
    return {
      engine: require("../../js/engine.js"),
      mongo: require("../../js/mongo.js"),
      cache: require("../../js/cache-services.js"),
      addon: require("../../js/binding.js"),
      codec: require("../../js/codec.js"),
    };
  } finally {
    for (const file of Object.keys(require.cache)) if (file.startsWith(js)) delete require.cache[file];
    for (const [file, loaded] of before) require.cache[file] = loaded;
  }
}

/** Takes the variables of `.env` in the working directory into the environment, where there is one; set ones win. */
function readDotEnv() {
  if (!fs.existsSync(".env")) return;
  if (typeof process.loadEnvFile === "function") process.loadEnvFile(".env");
  else process.stderr.write(".env is not read: that takes Node 20.12 or newer\n");
}

/**
 * How long the lock of an embedded store is waited for, as the variables say, in milliseconds. Throws INVALID_CONFIG where one of the
 * variables of stores cannot be used.
 */
function patienceOf(variables) {
  const { native, variables: names } = loadPackage().engine;
  const set = names.filter((name) => name.startsWith("CC_STORE_") && variables[name]);
  for (const name of set) native.engine.checkVariable(name, variables[name]);
  return variables.CC_STORE_TIMEOUT_MS || String(JSON.parse(native.engine.showConfig("{}")).CC_STORE_TIMEOUT_MS);
}

module.exports = { loadPackage, patienceOf, readDotEnv };

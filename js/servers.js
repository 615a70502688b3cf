"use strict";
// What only servers have: with the embedded store there are none.

const { native, values } = require("./engine.js");
const { makeError } = require("./errors.js");

/** Throws INVALID_CONFIG where the embedded store takes the servers' place; `instead` says what to use there. */
function needServers(caller, instead) {
  const { CC_STORE_PATH: folder } = JSON.parse(native.engine.showConfig(values()));
  if (folder !== null) {
    const why = `CC_STORE_PATH is set (${folder}), so no server is used`;
    throw makeError("INVALID_CONFIG", "Error", `${caller}: ${why}; ${instead}, or unset CC_STORE_PATH to use servers`);
  }
}

module.exports = { needServers };

"use strict";
// Opens the default connection of the project's own mongoose with our configuration.

const { native, values } = require("./engine.js");
const { makeError } = require("./errors.js");
const { needServers } = require("./servers.js");

/** Opens it, for `caller`. `say` makes the message of a failure from mongoose's words; no message holds the connection string. */
async function openDefault(mongoose, caller, say) {
  needServers(caller, "rows are read and written by the services of ioc and by BaseCRUD with a collection's name");
  const { uri, timeout } = JSON.parse(native.engine.clientOptions(values())).mongo;
  try {
    // As long as our own calls look for a server, unless the connection string says how long.
    await mongoose.connect(uri, /[?&]serverSelectionTimeoutMS=/i.test(uri) ? {} : { serverSelectionTimeoutMS: timeout });
  } catch (error) {
    const words = String(error?.message);
    if (/Parse|Argument|API/.test(error?.name)) {
      const what = words.includes(uri) ? "mongoose cannot use it" : words;
      throw makeError("INVALID_CONFIG", "Error", `CC_MONGO_CONNECTION_STRING: ${what}`);
    }
    throw makeError("MONGO_UNAVAILABLE", "Error", say(words), error);
  }
}

module.exports = { openDefault };

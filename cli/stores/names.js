"use strict";
// What commands that take stores say of them, and their options. Nothing here loads the package.

/** What is said of stores in the help of each command that takes one. */
const STORES = `A store is one of
  servers    the configured Redis and MongoDB: the variables CC_… of the environment, or of .env in this folder
  a folder   an embedded store, as CC_STORE_PATH names it: ./dump/native
  a folder   of backtest-kit's own JSON files: ./dump/data, with memory, session and state beside it; it is only read`;

const OPTIONS = {
  defaults: {
    type: "string",
    value: "ioc|setup",
    help: "whose defaults servers have where no variable is set: ioc (database backtest-pro; the default) or setup() (backtest-kit)",
  },
  exchange: { type: "string", multiple: true, value: "<name>", help: "of JSON files: an exchange that a folder's name has; may be given several times" },
};

module.exports = { OPTIONS, STORES };

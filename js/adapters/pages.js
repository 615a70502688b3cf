"use strict";
// Rows of a context that are not removed, all of them, page by page.

const { log } = require("../logger-service.js");
const { table } = require("../mongo.js");
const { RowCursor } = require("../row-cursor.js");

/** `fields` of the rows that `key` names. `method` is the list of the service that the log knows it by. */
async function* rowsOf(service, method, key, fields) {
  const number = table.findIndex((row) => row.collection === service.TargetModel.modelName);
  log(service, "log", `${table[number].service} ${method}`, key);
  const cursor = new RowCursor(number, { k: key, by: Object.keys(key), filter: { removed: false }, fields });
  try {
    for (let page = await cursor.page(); page !== null; page = await cursor.page()) {
      yield* page;
    }
  } finally {
    cursor.close();
  }
}

module.exports = { rowsOf };

"use strict";
// Rows of a context that are not removed, all of them, page by page.

const { log } = require("../base-crud.js");
const { native } = require("../engine.js");
const { OPS, PAGE, ask, rowsOf, table } = require("../mongo.js");

/** `fields` of the rows that `key` names. `method` is the list of the service that the log knows it by. */
async function* pages(service, method, key, fields) {
  const number = table.findIndex((row) => row.collection === service.TargetModel.modelName);
  log(service, "log", `${table[number].service} ${method}`, key);
  let page = await ask(OPS.open, number, { k: key, by: Object.keys(key), filter: { removed: false }, fields });
  const cursor = page.call;
  try {
    for (;;) {
      yield* rowsOf(page);
      if (page.kind !== PAGE) {
        return;
      }
      page = await ask(OPS.next, number, { cursor });
    }
  } finally {
    // close() has ended all cursors; asking would open a new connection. Nobody waits for the answer.
    if (page.kind === PAGE && native.engine.mongoIsOpen()) {
      ask(OPS.close, number, { cursor }).catch(() => {});
    }
  }
}

module.exports = { pages };

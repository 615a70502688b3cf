"use strict";

const { OPTIONS } = require("../stores/names.js");

module.exports = {
  summary: "write the ids of all rows in MongoDB to Redis",
  usage: "warm [options]",
  help: `Redis has the ids of rows, so that they are found by their context; it fills itself as rows are asked for. Where it was emptied or
replaced, this fills it at once. Ids of candles are written with --candles only: there are many, and candles are answered from memory.
With CC_STORE_PATH set, or --store, it does the same within an embedded store.

Exit code: 0 done, 1 failed, 2 wrong usage or a variable that cannot be used.`,
  options: {
    store: { type: "string", value: "<store>", help: "servers (the default), or the folder of an embedded store" },
    candles: { type: "boolean", help: "also the ids of candles" },
    defaults: OPTIONS.defaults,
    json: { type: "boolean", help: "print one JSON object at the end, on stdout; progress goes to stderr either way" },
  },
  variables: true,
  async run({ store: name, candles = false, json, ...options }) {
    const { storeOf } = require("../stores/index.js");
    const { Progress, duration, plural } = require("../progress.js");
    const { documentsOf } = require("../stores/opened.js");
    const { Misuse } = require("../failure.js");
    const store = storeOf(name ?? (process.env.CC_STORE_PATH || "servers"), options);
    if (store.unread) throw new Misuse(`${name} holds backtest-kit's own JSON files, which have no ids`);
    const started = performance.now();
    const collections = {};
    try {
      await store.open();
      const wanted = [...store.table.entries()].filter(([, row]) => candles || row.collection !== "candle-items");
      const totals = await Promise.all(wanted.map(([number]) => store.count(number)));
      const progress = new Progress(totals.reduce((sum, rows) => sum + rows, 0));
      for (const [number, { collection }] of wanted) {
        let [written, after] = [0, null];
        do {
          const page = await store.page(number, after);
          const ids = [];
          for (const bytes of documentsOf(page.rows)) {
            const { _id: id } = store.codec.deserialize(bytes);
            ids.push(id?._bsontype === "ObjectId" ? Buffer.from(id.id) : Buffer.alloc(12));
          }
          written += await store.remember(number, page.rows, Buffer.concat(ids));
          progress.add(collection, ids.length);
          after = page.after;
        } while (after !== null);
        collections[collection] = written;
        if (written > 0) progress.part(`${collection}: ${plural(written, "id")}`);
      }
      progress.end();
    } finally {
      await store.close();
    }
    // When they are where they belong: closing may say that they are not.
    const ids = Object.values(collections).reduce((sum, one) => sum + one, 0);
    const seconds = (performance.now() - started) / 1_000;
    if (json) console.log(JSON.stringify({ command: "warm", state: "done", store: store.title, ids, collections, seconds: Math.round(seconds * 10) / 10 }));
    else console.log(`${plural(ids, "id")} written in ${duration(seconds)}`);
    return 0;
  },
};

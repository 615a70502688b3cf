"use strict";

const { OPTIONS, STORES } = require("../stores/names.js");

const KINDS = { missing: "only in --from", extra: "only in --to", different: "not the same" };

module.exports = {
  summary: "compare two stores, row by row",
  usage: "verify --from <store> --to <store> [options]",
  help: `Everything that copy takes over, by the keys of the rows: each row must be in both, and be the same. Their _id and createDate
are left out, because copy leaves those of a row that was there; of candles also updatedDate. Of keys of maps the values are compared,
not the time that they have left. It only reads.

${STORES}

Exit code: 0 the same, 1 there are differences, or it failed, 2 wrong usage or a variable that cannot be used.`,
  options: {
    from: { type: "string", value: "<store>", help: "one store" },
    to: { type: "string", value: "<store>", help: "the other" },
    ids: { type: "boolean", help: "compare _id and the dates too: after a copy into an empty store they are the same" },
    ...OPTIONS,
    json: { type: "boolean", help: "print one JSON object at the end, on stdout; progress goes to stderr either way" },
  },
  variables: true,
  needs: ["from", "to"],
  async run({ from, to, ids = false, json, ...options }) {
    const { twoStores } = require("../stores/index.js");
    const { compareCollection, compareKeys } = require("../copy/compare.js");
    const { Progress, count, plural } = require("../progress.js");
    const [one, other] = twoStores(from, to, options, false);
    try {
      await Promise.all([one.open(), other.open()]);
      const totals = await Promise.all([one, other].flatMap((store) => store.table.map((row, number) => store.count(number))));
      const progress = new Progress(totals.reduce((sum, rows) => sum + rows, 0));
      const collections = {};
      for (const [number, { collection }] of one.table.entries()) {
        const found = await compareCollection(one, other, number, ids, progress);
        collections[collection] = found;
        if (found.rows[0] + found.rows[1] > 0) {
          progress.part(`${collection}: ${found.same ? `${plural(found.rows[0], "row")}, the same` : `${count(found.rows[0])} and ${count(found.rows[1])} rows, which differ`}`);
        }
      }
      // The kit's files have no maps, so there is nothing to compare them with.
      const keys = one.unread || other.unread ? null : await compareKeys(one, other, progress);
      progress.end();
      const unread = [one, other].reduce((sum, store) => sum + (store.unread?.count ?? 0), 0);
      const same = Object.values(collections).every((found) => found.same) && (keys === null || keys.same) && unread === 0;
      if (json) console.log(JSON.stringify({ command: "verify", state: same ? "same" : "different", from: one.title, to: other.title, collections, keys, unread }));
      else {
        const differing = [...Object.entries(collections), ...(keys === null ? [] : [["keys of maps", keys]])].filter(([, found]) => !found.same);
        for (const [name, found] of differing) {
          for (const [kind, words] of Object.entries(KINDS)) {
            const { count: number, rows, keys: names } = found[kind];
            if (number > 0) console.log(`${name}: ${count(number)} ${words}, such as ${(rows ?? names).map((key) => JSON.stringify(key)).join(", ")}`);
          }
        }
        const rows = Object.values(collections).reduce((sum, found) => sum + found.rows[0], 0);
        if (unread > 0) console.log(`${plural(unread, "file")} left out; copy says why`);
        console.log(same ? `the same: ${plural(rows, "row")}${keys === null ? "" : `, ${plural(keys.keys[0], "key")} of maps`}` : "they differ");
      }
      return same ? 0 : 1;
    } finally {
      await Promise.all([one.close(), other.close()]);
    }
  },
};

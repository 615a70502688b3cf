"use strict";

const { OPTIONS, STORES } = require("../stores/names.js");

/** Ends a copy at the next batch when the user asks for it; a second time ends the process. */
function stopper(say) {
  const stop = new AbortController();
  const asked = () => {
    say();
    stop.abort();
  };
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, asked);
  return { signal: stop.signal, end: () => ["SIGINT", "SIGTERM"].forEach((signal) => process.removeListener(signal, asked)) };
}

/** A word of the command line as a shell takes it. */
const quoted = (word) => (/^[\w./:@=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

/** Collections of which fewer rows were read than there were, because a key of a strange type has no place in their order. */
function missedOf({ collections }, totals) {
  const missed = Object.entries(collections).map(([name, { read, before }], number) => [name, totals[number] - read - before]);
  return missed.filter(([, rows]) => rows > 0);
}

/** The exit code of each state. */
const CODES = { done: 0, interrupted: 1, incomplete: 3 };

function stateOf({ whole }, unread, missed) {
  if (!whole) return "interrupted";
  return unread.count > 0 || missed.length > 0 ? "incomplete" : "done";
}

/** What a copy came to, for people. */
function say({ state, told, unread, missed, seconds, words }) {
  const { count, duration, plural } = require("../progress.js");
  const sum = (fate) => count(Object.values(told.collections).reduce((all, one) => all + one[fate], 0));
  const read = Object.values(told.collections).reduce((all, one) => all + one.read, 0);
  const keys = `${count(told.keys.added)} of ${count(told.keys.read)} keys of maps written`;
  console.log(`${state} in ${duration(seconds)}: ${plural(read, "row")} read, ${sum("new")} new, ${sum("newer")} newer, ${sum("kept")} that were there; ${keys}`);
  if (unread.count > 0) console.log(`${plural(unread.count, "file")} left out, because what is in it is no row, or its row cannot be told:\n${unread.files.map((line) => `  ${line}`).join("\n")}`);
  for (const [name, rows] of missed) console.log(`${name}: ${count(rows)} rows of it were not read. They went meanwhile, or their keys are of types that no call makes`);
  if (state === "interrupted") console.log(`to go on: npx backtest-kit-native copy ${words}`);
  if (state === "incomplete") console.log("incomplete: all else is in the target, and what is named above is not. To copy again, once that is mended, changes nothing of what is there");
  if (state === "done") console.log(`to compare: npx backtest-kit-native verify ${words}`);
}

module.exports = {
  summary: "copy everything from one store into another",
  usage: "copy --from <store> --to <store> [options]",
  help: `Rows, candles, ids and the keys of maps. What is in the target already stays or becomes newer: rows meet by their key, the one
with the newer updatedDate wins and takes over the _id and createDate of the one that was there; of candles the first one
stays; keys of maps are written only where they are absent, with the time that they have left. The source is not changed.

It may be interrupted (Ctrl-C) and started again: it goes on where it was, by a file beside the target
(backtest-kit-native-copy-….json), which goes when the copy is through. To run it twice changes nothing. What is written to the source
meanwhile may be copied or not; run it once more when nothing writes.

${STORES}

Exit code: 0 done: everything is in the target; 1 interrupted or failed; 2 wrong usage or a variable that cannot be used; 3 incomplete: what could be read is in the
target, and something was left out, which is named (files that are no rows, or whose row cannot be told; rows that were not read).

  npx backtest-kit-native copy --from ./dump/data --to ./dump/native     the kit's files into an embedded store
  npx backtest-kit-native copy --from ./dump/native --to servers         into Redis and MongoDB`,
  options: {
    from: { type: "string", value: "<store>", help: "the store to read" },
    to: { type: "string", value: "<store>", help: "the store to write; a folder is made where it is not there" },
    anew: { type: "boolean", help: "do not go on where an interrupted run was, but look at everything again" },
    ...OPTIONS,
    json: { type: "boolean", help: "print one JSON object at the end, on stdout; progress goes to stderr either way" },
  },
  variables: true,
  needs: ["from", "to"],
  advice: "started again, it goes on where it was",
  async run({ from, to, anew, json, ...options }) {
    const { twoStores } = require("../stores/index.js");
    const { Copy } = require("../copy/run.js");
    const { Progress } = require("../progress.js");
    const [source, target] = twoStores(from, to, options, true);
    const started = performance.now();
    const stop = stopper(() => process.stderr.write("\nstopping after this batch (once more ends it at once) …\n"));
    try {
      // In this order: no folder is made for a source that is not there.
      await source.open();
      await target.open();
      process.stderr.write(`from ${source.title}\n  to ${target.title}\n`);
      const totals = await Promise.all(source.table.map((row, number) => source.count(number)));
      const progress = new Progress(totals.reduce((sum, rows) => sum + rows, 0));
      const copy = new Copy({ from: source, to: target, progress, stop: stop.signal, fresh: anew });
      if (copy.journal.resumes) process.stderr.write("an earlier run was interrupted: it goes on there (--anew looks at everything again)\n");
      const told = await copy.run();
      progress.end();
      const seconds = (performance.now() - started) / 1_000;
      const unread = source.unread ?? { count: 0, files: [] };
      const missed = told.whole && source.unread === undefined ? missedOf(told, totals) : [];
      const state = stateOf(told, unread, missed);
      const summary = { command: "copy", state, from: source.title, to: target.title, seconds: Math.round(seconds * 10) / 10, ...told, unread };
      delete summary.whole;
      if (json) console.log(JSON.stringify(summary));
      else say({ state, told, unread, missed, seconds, words: `--from ${quoted(from)} --to ${quoted(to)}` });
      return CODES[state];
    } finally {
      stop.end();
      await Promise.all([source.close(), target.close()]);
    }
  },
};

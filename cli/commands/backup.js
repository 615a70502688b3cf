"use strict";

const path = require("node:path");

const { Failure, Misuse } = require("../failure.js");

module.exports = {
  summary: "copy an embedded store into one file, while it is in use",
  usage: "backup <file> [options]",
  help: `The file is the store as it was at one moment, whole and on the disk. It must not be there yet; its folder is made. Never copy store.sqlite itself while
something runs: what was written last stands in the file beside it. To use a backup, put it into a folder of its own under the name
store.sqlite, and set CC_STORE_PATH to that folder.

Exit code: 0 done, 1 failed, 2 wrong usage or a variable that cannot be used.

  npx backtest-kit-native backup backups/monday.sqlite --store ./dump/native`,
  options: {
    store: { type: "string", value: "<folder>", help: "the embedded store; else the one that CC_STORE_PATH names" },
    json: { type: "boolean", help: "print one JSON object at the end, on stdout" },
  },
  variables: true,
  positionals: true,
  places: 1,
  async run({ store, json }, [file]) {
    const folder = store ?? process.env.CC_STORE_PATH;
    if (!folder) throw new Misuse("which store? --store names its folder, or CC_STORE_PATH");
    const { patienceOf } = require("../stores/package.js");
    const { storeBackup } = require("../../js/binding.js");
    const patience = patienceOf(process.env);
    const started = performance.now();
    const { bytes, problem } = JSON.parse(storeBackup(path.resolve(folder), path.resolve(file), patience));
    if (problem) throw new Failure(`${problem.message} (${problem.code})`, { cause: problem });
    const seconds = Math.round((performance.now() - started) / 100) / 10;
    if (json) console.log(JSON.stringify({ command: "backup", state: "done", store: path.resolve(folder), file: path.resolve(file), bytes, seconds }));
    else console.log(`${file}: ${(bytes / 1024 / 1024).toFixed(1)} MiB in ${seconds} s`);
    return 0;
  },
};

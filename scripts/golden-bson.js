"use strict";

// node scripts/golden-bson.js: holds the embedded store's filters, sorts and updates against a mongod of its own.
//
//   node scripts/golden-bson.js                writes spec/bson.json anew: random cases, and what mongod answers
//   node scripts/golden-bson.js --cases 20000  asks that many fresh ones and writes nothing; --seed repeats a run
//
// The cases are made in Rust (src/store/bson/judge), where the recorded ones are run too. Ends with code 1 where ours and the
// server's answers differ, and shows where.

const path = require("node:path");
const { spawnSync } = require("node:child_process");
const { parseArgs } = require("node:util");
const { startMongo } = require("../__test__/support/mongo.js");
const { anySeed } = require("../__test__/support/random.js");

const file = path.join(__dirname, "..", "spec", "bson.json");
/** What the recorded cases are made of. */
const RECORDED = { seed: "1", cases: "2400" };
const TEST = "store::bson::judge::server::a_server_that_is_named_answers_as_we_do";

async function main() {
  const { values } = parseArgs({ options: { cases: { type: "string" }, seed: { type: "string" } } });
  const { seed, cases } = values.cases ? { seed: String(anySeed()), ...values } : RECORDED;
  const mongo = await startMongo();
  try {
    const env = { ...process.env, BKN_BSON_MONGO: mongo.url, BKN_BSON_SEED: seed, BKN_BSON_CASES: cases };
    if (!values.cases) env.BKN_BSON_WRITE = file;
    const args = ["test", "--locked", "--lib", TEST, "--", "--exact", "--nocapture"];
    const { status } = spawnSync("cargo", args, { stdio: "inherit", env });
    process.exitCode = status === 0 ? 0 : 1;
  } finally {
    await mongo.stop();
  }
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});

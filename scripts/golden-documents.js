"use strict";

// node scripts/golden-documents.js: writes into spec/documents.json what mongoose stores for each of its cases.
// With --check it only compares and ends with code 1 where something differs.

const fs = require("node:fs");
const path = require("node:path");
const { startMongo } = require("../__test__/support/mongo.js");
const { startRedis } = require("../__test__/support/redis.js");
const { openOriginal } = require("../__test__/support/original-mongo/index.js");
const { collectionOf, runCalls, storedDocuments, wipe } = require("../__test__/support/golden-documents.js");

const file = path.join(__dirname, "..", "spec", "documents.json");

async function main() {
  const check = process.argv.includes("--check");
  const before = fs.readFileSync(file, "utf8");
  const spec = JSON.parse(before);
  const [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
  const wrong = [];
  let original;
  try {
    original = await openOriginal({ mongo, redis });
    for (const one of spec.cases) {
      await fill(one, { original, mongo, redis }).catch((error) => wrong.push(`${one.name}: ${error.message}`));
    }
  } finally {
    if (original) await original.close();
    await Promise.all([mongo.stop(), redis.stop()]);
  }
  if (wrong.length > 0) throw new Error(wrong.join("\n"));
  const after = toText(spec);
  if (!check) return fs.writeFileSync(file, after);
  if (after === before) return console.log(`${spec.cases.length} cases are as mongoose stores them`);
  console.error("spec/documents.json differs from what mongoose stores; node scripts/golden-documents.js writes it anew");
  process.exitCode = 1;
}

/** Runs one case and keeps what became of it. */
async function fill(one, { original, mongo, redis }) {
  const collection = collectionOf(one.service);
  delete one.documents;
  delete one.message;
  const service = one.crud ? original.crud(collection) : original.ioc[one.service];
  const error = await runCalls(service, one.calls).then(() => null, (reason) => reason);
  one.documents = await storedDocuments(mongo, collection, one);
  await wipe(mongo, redis, collection);
  if (error) one.message = error.message;
  if (error && !one.field) throw error;
  if (one.field && !error) throw new Error("it should be refused");
}

/** One case a line. */
function toText({ description, cases }) {
  const lines = cases.map((one) => `    ${JSON.stringify(one)}`);
  return `{\n  "description": ${JSON.stringify(description)},\n  "cases": [\n${lines.join(",\n")}\n  ]\n}\n`;
}

main().catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});

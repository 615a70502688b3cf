"use strict";

// Runs the cases of spec/documents.json against anything that has db services: ours, or the original.

const { EJSON, ObjectId } = require("bson");
const { loadSpec } = require("./spec.js");

const collectionOf = (service) => loadSpec("collections").collections.find((row) => row.service === service).collection;

function evaluate(expression, ID) {
  return new Function("ObjectId", "ID", `"use strict"; return (${expression});`)(ObjectId, ID);
}

/** Makes the calls one after the other; rejects as the first of them that does. */
async function runCalls(service, calls) {
  let id;
  for (const [method, ...args] of calls) {
    const result = await service[method](...args.map((expression) => evaluate(expression, id)));
    id = id ?? result?.id;
  }
}

/** The documents of a collection in canonical extended JSON; ids and dates of writes are placeholders. */
async function storedDocuments(mongo, collection, { database, keepId = false } = {}) {
  const documents = await mongo.documents(collection, { database, sort: { _id: 1 }, raw: true });
  return documents.map((document) => {
    const plain = JSON.parse(EJSON.stringify(document, { relaxed: false }));
    if (!keepId && plain._id?.$oid) plain._id = "<id>";
    for (const name of ["createDate", "updatedDate"]) if (plain[name]?.$date) plain[name] = "<date>";
    return plain;
  });
}

/** Empties a collection and the cache, so that the next case finds nothing. Indexes stay. */
async function wipe(mongo, redis, collection, database) {
  await mongo.command({ delete: collection, deletes: [{ q: {}, limit: 0 }] }, { database });
  await redis.command("FLUSHALL");
}

module.exports = { collectionOf, evaluate, runCalls, storedDocuments, wipe };

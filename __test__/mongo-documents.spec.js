"use strict";

// What is stored, byte for byte: the golden documents that mongoose wrote (spec/documents.json).

const { serial: test } = require("ava");
const { outcome } = require("./support/addon.js");
const { collectionOf, runCalls, storedDocuments, wipe } = require("./support/golden-documents.js");
const { withMongo, isOriginal } = require("./support/mongo-peer.js");
const { loadSpec } = require("./support/spec.js");

// Candles are asked for and sent like other rows; candle-cache*.spec.js has those from memory.
const own = withMongo(test, { config: { CC_CANDLE_CACHE_MAX_BYTES: 0 } });

for (const one of loadSpec("documents").cases) {
  test(`documents: ${one.name}`, async (t) => {
    const collection = collectionOf(one.service);
    await wipe(own.mongo, own.redis, collection);
    const service = one.crud ? own.crud(collection) : own.ioc[one.service];
    const { error } = await outcome(runCalls(service, one.calls));
    if (one.field) {
      t.true(error instanceof Error);
      t.regex(error.message, new RegExp(`\\b${one.field}\\b`));
      if (!isOriginal) t.is(error.code, "INVALID_VALUE");
    } else {
      t.is(error, undefined);
    }
    // As text: the order of fields counts.
    const stored = await storedDocuments(own.mongo, collection, one);
    t.is(lines(stored), lines(one.documents));
  });
}

function lines(documents) {
  return documents.map((document) => JSON.stringify(document)).join("\n");
}

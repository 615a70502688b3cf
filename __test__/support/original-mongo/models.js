"use strict";

// The mongoose models of spec/collections.json: the schemas that backtest-kit's TypeScript services declare.

const { Schema } = require("mongoose");
const { loadSpec } = require("../spec.js");

const TYPES = { string: String, number: Number, boolean: Boolean, mixed: Schema.Types.Mixed };

/** The rows of one release: "newer" or "older". */
function tableOf(release) {
  const { collections } = loadSpec("collections");
  if (release === "newer") return collections;
  const rows = collections.filter(({ collection }) => collection !== "dictionary-items");
  return rows.map(({ older, indexes, ...row }) => ({ ...row, ...older, indexes: [] }));
}

function schemaOf({ key, fields, defaults = {}, enums = {}, indexes = [], minimize = false }) {
  const paths = {};
  for (const [name, type] of Object.entries(fields)) {
    const indexed = key.includes(name) || name === "removed" || name === "when" || name === "exchangeName";
    paths[name] = { type: TYPES[type], required: true };
    if (name in defaults) paths[name].default = defaults[name];
    if (name in enums) paths[name].enum = enums[name];
    if (indexed) paths[name].index = true;
  }
  const only = key.length === 1 ? key[0] : null;
  if (only) paths[only].unique = true;
  const schema = new Schema(paths, { timestamps: { createdAt: "createDate", updatedAt: "updatedDate" }, minimize });
  if (!only) schema.index(Object.fromEntries(key.map((name) => [name, 1])), { unique: true });
  for (const index of indexes) schema.index(index);
  return schema;
}

/** `{ [collection]: model }` on a mongoose connection. */
function modelsOn(connection, table) {
  return Object.fromEntries(table.map((row) => [row.collection, connection.model(row.collection, schemaOf(row))]));
}

module.exports = { tableOf, modelsOn };

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

/** The newer release tells mongoose that only null and undefined are missing texts, for all schemas; so `""` passes. */
const isGiven = (value) => value !== null && value !== undefined;

function schemaOf({ key, fields, defaults = {}, enums = {}, indexes = [], minimize = false }, release) {
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
  const texts = release === "newer" ? Object.keys(fields).filter((name) => fields[name] === "string") : [];
  for (const name of texts) schema.path(name).checkRequired = isGiven;
  return schema;
}

/** `{ [collection]: model }` of a release on a mongoose connection. */
function modelsOn(connection, table, release) {
  return Object.fromEntries(table.map((row) => [row.collection, connection.model(row.collection, schemaOf(row, release))]));
}

module.exports = { tableOf, modelsOn };

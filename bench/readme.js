"use strict";

// node bench/readme.js: writes the figures of the last full runs (bench/results/*.json) into the documents: README's picture,
// docs/figures.svg, and the tables of docs/benchmarks.md, each between its marks. A result that there is not leaves its part
// as it is.

const fs = require("node:fs");
const path = require("node:path");
const { clusterSection, redisSection, mongoSection, candlesSection, kitSection, storeSection } = require("./report/documents.js");
const { summaryRows, summaryText, summaryChart } = require("./report/summary.js");

const ROOT = path.join(__dirname, "..");
const RESULTS = path.join(__dirname, "results");

/** The tables of docs/benchmarks.md: the name in the marks, the result, and what makes text of it. */
const TABLES = [
  ["bench", "latest", redisSection],
  ["bench-mongo", "mongo", mongoSection],
  ["bench-candles", "candles", candlesSection],
  ["bench-kit", "kit", kitSection],
  ["bench-store", "store", storeSection],
  ["bench-cluster", "cluster", clusterSection],
];

/** A full run's result, or null where there is none. */
function resultOf(name) {
  const file = path.join(RESULTS, `${name}.json`);
  if (!fs.existsSync(file)) return null;
  const result = JSON.parse(fs.readFileSync(file, "utf8"));
  if (result.kind !== "full") throw new Error(`the documents show full runs only: ${name}.json`);
  return result;
}

/** The text with these words between the marks of that name. */
function between(document, text, name, words) {
  const [start, end] = [`<!-- ${name}:start -->`, `<!-- ${name}:end -->`];
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`${document} lacks ${start} or ${end}`);
  return `${text.slice(0, from)}${start}\n${words}\n${text.slice(to)}`;
}

/** The documents with the figures of the results that there are: text by file. */
function withFigures(read) {
  const results = Object.fromEntries(["latest", "mongo", "candles", "kit", "store", "cluster"].map((name) => [name, resultOf(name)]));
  const documents = {};
  const put = (document, name, words) => {
    documents[document] = between(document, documents[document] ?? read(document), name, words);
  };
  for (const [name, result, show] of TABLES) {
    if (results[result] !== null) put("docs/benchmarks.md", name, show(results[result]));
  }
  const summary = summaryRows(results);
  if (summary.length > 0) {
    put("README.md", "figures", summaryText(summary, results));
    documents["docs/figures.svg"] = summaryChart(summary, results);
  }
  return documents;
}

/** Writes them. */
function updateDocuments() {
  const documents = withFigures((document) => fs.readFileSync(path.join(ROOT, document), "utf8"));
  for (const [document, text] of Object.entries(documents)) fs.writeFileSync(path.join(ROOT, document), text);
  console.log(`written: ${Object.keys(documents).join(", ")}`);
}

if (require.main === module) {
  try {
    updateDocuments();
  } catch (error) {
    console.error(`readme: ${error.message}`);
    process.exitCode = 1;
  }
}

module.exports = { updateDocuments, withFigures };

"use strict";
// The declarations of the db services, from the table of collections.

const { comment, parameters, throwing } = require("./doc-comments.js");

const WHEN = "Date";

/** Null is a payload of these: the kit says so that there is no signal. */
const NULLABLE = ["signal", "schedule", "strategy"];

/** How a project names what it stores in a collection, in the interface Payloads: `signal` of `signal-items`. */
const payloadName = (row) => row.collection.replace(/-items$/, "");

/** The type of what a project stores in a field. */
function typeOf(row, field) {
  if (field.type !== "any") return field.type;
  const name = payloadName(row);
  return `PayloadOf<"${name}">${NULLABLE.includes(name) ? " | null" : ""}`;
}

/** `name: type` of a field that a call takes. */
function argument(row, field) {
  return `${field.name}: ${field.name === "when" ? WHEN : field.name === "interval" ? "CandleIntervalInput" : typeOf(row, field)}`;
}

/** Rows of sessions that older releases name by three parts. */
const OLDER_SESSION = `/** A document of \`session-items\` that is named by three parts, as older releases write it. */
export type ThreePartSessionDbRow = Omit<SessionDbRow, "symbol" | "backtest">;`;

/** The arguments that name a row, in the order of the cache service's own form. */
function keyOf(row, services) {
  const service = services.find(({ service }) => service === row.cache);
  return service.nouns.find(({ noun }) => noun === row.noun).forms[0].args;
}

const pascal = (row) => row.class.replace(/DbService$/, "");

const NO_KEY = "`INVALID_CONTEXT` for a part of the key that is null or undefined.";
const NO_VALUE = "`INVALID_VALUE` for what cannot be stored: functions, symbols, an object where a key belongs, no Date as `when`.";
const NO_LIMIT = "`INVALID_VALUE` for a limit that is no whole number, or negative.";

/** A method with its comment: what it does, its arguments, its errors. */
function method(row, { about, name, args, result, errors, example = [] }) {
  const shown = example.length === 0 ? [] : ["@example", "```ts", ...example, "```"];
  const lines = [...about, "", ...parameters(args), ...errors, ...shown];
  return `${comment(lines, "  ")}\n  ${name}(${args.map((field) => argument(row, field)).join(", ")}): ${result};`;
}

/** What a field of a document holds, where its name does not say it. */
const FIELDS = {
  timestamp: "When the candle opens, in milliseconds since 1970.",
  when: "The logical time of the last write, in milliseconds since 1970.",
  removed: "Whether the row counts as removed: lists leave it out.",
  backtest: "True for backtests, false for live trading.",
};

function rowType(row) {
  const type = (field) => (field.name === "interval" ? "CandleInterval" : typeOf(row, field));
  const fields = [...row.key, ...row.rest].map(
    (field) => `${FIELDS[field.name] ? `${comment([FIELDS[field.name]], "  ")}\n` : ""}  ${field.name}: ${type(field)};`,
  );
  const about = `/** A document of \`${row.collection}\`. */`;
  const declared = `${about}\nexport interface ${pascal(row)}DbRow extends DbRow {\n${fields.join("\n")}\n}`;
  return row.service === "sessionDbService" ? `${declared}\n\n${OLDER_SESSION}` : declared;
}

const EXAMPLES = {
  signalDbService: [
    'await ioc.signalDbService.upsert("TRXUSDT", "jan_2026_strategy", "ccxt-exchange", { priceOpen: 0.2871 });',
    'const row = await ioc.signalDbService.findByContext("TRXUSDT", "jan_2026_strategy", "ccxt-exchange");',
    "console.log(row?.payload?.priceOpen); // 0.2871",
  ],
  measureDbService: ['const keys = await ioc.measureDbService.listKeys("indicators", { limit: 50 });'],
};

function upserts(row, key) {
  const values = row.rest.filter((field) => field.name !== "removed");
  const about = [
    "Writes a row: replaces what is there, or adds it. Once it has resolved, the next read anywhere sees it.",
    "Where `payload` has a field `removed`, that says whether the row counts as removed.",
  ].slice(0, row.removes ? 2 : 1);
  const errors = throwing("write", [NO_KEY, NO_VALUE]);
  const common = { name: "upsert", result: "Promise<void>", errors };
  const forms = [method(row, { ...common, about, args: [...key, ...values], example: EXAMPLES[row.service] && !row.removes ? EXAMPLES[row.service] : [] })];
  if (row.service === "sessionDbService") {
    const older = "The same of a session that older releases name by three parts; rows with a symbol are others.";
    forms.push(method(row, { ...common, about: [older], args: [...key.slice(0, 3), ...values] }));
  }
  return forms;
}

function finds(row, key) {
  const result = `Promise<${pascal(row)}DbRow | null>`;
  const common = { name: row.find, result, errors: throwing("read", [NO_KEY]) };
  const first = row.removes ? "The row of a key, removed or not, or null." : "The row of a key, or null.";
  const forms = [method(row, { ...common, about: [first], args: key })];
  if (row.service === "sessionDbService") {
    const older = "Promise<ThreePartSessionDbRow | null>";
    forms.push(method(row, { ...common, about: ["The session without symbol and backtest, or null."], args: key.slice(0, 3), result: older }));
  }
  if (row.service === "candleDbService") {
    const without = key.filter((field) => field.name !== "exchangeName");
    forms.push(method(row, { ...common, about: ["The candle of `ccxt_binance`, or null."], args: without }));
  }
  return forms;
}

function hases(row, key) {
  if (row.has === null) return [];
  const about = row.removes ? "Whether there is such a row, removed or not." : "Whether there is such a row.";
  const common = { name: row.has, result: "Promise<boolean>", errors: throwing("read", [NO_KEY]) };
  const forms = [method(row, { ...common, about: [about], args: key })];
  if (row.service === "candleDbService") {
    const without = key.filter((field) => field.name !== "exchangeName");
    forms.push(method(row, { ...common, about: ["Whether there is such a candle of `ccxt_binance`."], args: without }));
  }
  return forms;
}

function removals(row, key) {
  if (!row.removes) return [];
  const about = ["Marks a row as removed: it is still read by its key, and no longer listed. Nothing happens where there is none."];
  return [method(row, { about, name: "softRemove", args: key, result: "Promise<void>", errors: throwing("write", [NO_KEY]) })];
}

function lists(row) {
  const field = (name) => [...row.key, ...row.rest].find((one) => one.name === name);
  return row.lists.flatMap((it) => {
    const what = it.only === null ? "The rows" : `\`${it.only}\` of the rows`;
    const which = `${it.present ? " that are not removed" : ""}, ${it.newest ? "the newest first; 200" : "the last changed first; 1000"}`;
    const about = [`${what}${which} where no limit is given.`];
    const result = `Promise<${it.only === null ? `${pascal(row)}DbRow` : "string"}[]>`;
    const by = it.by.map(field);
    const errors = (limit) => throwing("read", [...(by.length > 0 ? [NO_KEY] : []), ...(limit ? [NO_LIMIT] : [])]);
    const bare = method(row, { about, name: it.method, args: by, result, errors: errors(false) });
    // Two forms, so that the method is a callback for \`map\`, which gives it a number there.
    const options = { name: "options", type: "ListOptions" };
    const example = row.removes ? (EXAMPLES[row.service] ?? []) : [];
    return [method(row, { about, name: it.method, args: [...by, options], result, errors: errors(true), example }), bare];
  });
}

/** Arguments of a range of candles. */
const RANGE = "symbol: string, interval: CandleInterval, exchangeName: string, sinceTimestamp: number, limit: number";
const RANGE_ARGUMENTS = ["symbol", "interval", "exchangeName", "sinceTimestamp", "limit"].map((name) => ({ name }));
const NO_RANGE = "`INVALID_CONTEXT` for an interval that is none, null, undefined, or a limit out of its bounds.";
const NO_CANDLE = "`INVALID_VALUE` for what is no candle, or holds what cannot be stored; the message names the field.";

function range(about, name, result, { wrong = [], example = [] } = {}) {
  const shown = example.length === 0 ? [] : ["@example", "```ts", ...example, "```"];
  return `${comment([...about, "", ...parameters(RANGE_ARGUMENTS), ...throwing("read", [NO_RANGE, ...wrong]), ...shown], "  ")}\n  ${name}(${RANGE}): ${result};`;
}

function candles() {
  const writes = throwing("write", [NO_CANDLE]);
  return [
    `${comment(
      [
        "Stores a candle, and resolves with the one that is there afterwards: the first write of it wins. Where this process knows that it is there, nothing is sent, and the row is the stored one with the dates that are known of it.",
        "",
        "@param dto The candle; `exchangeName` is `ccxt_binance` where absent.",
        ...writes,
      ],
      "  ",
    )}\n  create(dto: CandleDto): Promise<CandleDbRow>;`,
    `${comment(
      [
        "Stores many candles, thousands at a time. Those that are there already stay as they are. Where one cannot be stored, none is written. What is known to be there is not sent; what another call is writing is waited for, and fails with it.",
        "",
        "@param dtos The candles.",
        "@returns How many are new, and how many were there.",
        ...writes,
      ],
      "  ",
    )}\n  createMany(dtos: readonly CandleDto[]): Promise<{ inserted: number; existing: number }>;`,
    `${comment(
      ["The same for candles of one context.", "", ...parameters(RANGE_ARGUMENTS.slice(0, 3)), "@param candles The candles.", ...writes],
      "  ",
    )}\n  createMany(symbol: string, interval: CandleIntervalInput, exchangeName: string, candles: readonly Candle[]): Promise<{ inserted: number; existing: number }>;`,
    range(["A range of candles as rows, one for each step of the interval, in order; null as a whole where any is missing."], "findRange", "Promise<CandleDbRow[] | null>"),
    range(
      ["The same as columns of numbers, which are the caller's own. A number that a candle lacks is NaN."],
      "findColumns",
      "Promise<CandleColumns | null>",
      {
        wrong: ["`INVALID_VALUE` for a candle that has text or a decimal in place of a number."],
        example: [
          'const hour = await ioc.candleDbService.findColumns("TRXUSDT", "1m", "ccxt-exchange", Date.UTC(2026, 0, 1), 60);',
          "console.log(hour?.close[59]);",
        ],
      },
    ),
    range(["The columns of those candles of the range that are there, ascending; none is empty columns."], "findPresent", "Promise<CandleColumns>", {
      wrong: ["`INVALID_VALUE` as in findColumns."],
    }),
    `${comment(
      [
        "Forgets the candles that this engine holds in memory: those that fit all that is named; nothing named is all. For after corrections by others: changes by `update` are heard of. Each worker thread has an engine of its own. Sends nothing.",
        "",
        ...parameters(RANGE_ARGUMENTS.slice(0, 3)),
      ],
      "  ",
    )}\n  forget(symbol?: string, interval?: CandleIntervalInput, exchangeName?: string): void;`,
  ];
}

function clearing(row) {
  const about = ["Deletes all rows of a bucket that are there when it is called, and their ids."];
  return method(row, { about, name: "clearBucket", args: [{ name: "bucket", type: "string" }], result: "Promise<void>", errors: throwing("write", [NO_KEY]) });
}

function serviceClass(row, services) {
  const key = keyOf(row, services);
  const members = [
    `  /** The service that keeps the ids of these rows. */\n  readonly ${row.cache}: ${row.cache[0].toUpperCase()}${row.cache.slice(1)};`,
    ...(row.service === "candleDbService" ? candles() : upserts(row, key)),
    ...finds(row, key),
    ...hases(row, key),
    ...removals(row, key),
    ...lists(row),
    ...(row.service === "intervalDbService" ? [clearing(row)] : []),
  ];
  const crud = `${pascal(row)}Crud`;
  return [
    rowType(row),
    `declare const ${crud}: new () => BaseCRUD<${pascal(row)}DbRow>;`,
    `/** Rows of \`${row.collection}\`. */\nexport declare class ${row.class} extends ${crud} {\n${members.join("\n")}\n}`,
  ].join("\n\n");
}

/** The parts of the template about the db services. */
function dbParts(table, services) {
  return {
    dbServices: table.map((row) => serviceClass(row, services)).join("\n\n"),
    collections: table.map((row) => `  "${row.collection}": ${pascal(row)}DbRow;`).join("\n"),
    dbIoc: table.map((row) => `  readonly ${row.service}: ${row.class};`).join("\n"),
  };
}

module.exports = { dbParts };

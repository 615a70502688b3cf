"use strict";
// The declarations of the db services, from the table of collections.

const WHEN = "Date";

/** `{ name: type }` of a field that a call takes. */
function argument(field) {
  return `${field.name}: ${field.name === "when" ? WHEN : field.type}`;
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
const list = (fields) => fields.map(argument).join(", ");

function comment(lines) {
  const body = lines.map((line) => `   * ${line}`.trimEnd()).join("\n");
  return lines.length === 1 ? `  /** ${lines[0]} */` : `  /**\n${body}\n   */`;
}

function method(about, signature) {
  return `${comment(about)}\n  ${signature};`;
}

function rowType(row) {
  // What adapters hand back to the kit is of its type.
  const type = (field) => (field.name === "interval" ? "CandleInterval" : field.type);
  const fields = [...row.key, ...row.rest].map((field) => `  ${field.name}: ${type(field)};`);
  const about = `/** A document of \`${row.collection}\`. */`;
  const declared = `${about}\nexport interface ${pascal(row)}DbRow extends DbRow {\n${fields.join("\n")}\n}`;
  return row.service === "sessionDbService" ? `${declared}\n\n${OLDER_SESSION}` : declared;
}

function upserts(row, key) {
  const values = row.rest.filter((field) => field.name !== "removed");
  const about = [
    "Writes a row: replaces what is there, or adds it. What is undefined keeps its old value.",
    "Once it has resolved, the next read anywhere sees it.",
  ];
  const forms = [method(about, `upsert(${list([...key, ...values])}): Promise<void>`)];
  if (row.service === "sessionDbService") {
    const older = "The session that older releases name by three parts; rows with a symbol are others.";
    forms.push(method([older], `upsert(${list([...key.slice(0, 3), ...values])}): Promise<void>`));
  }
  return forms;
}

function finds(row, key) {
  const result = `Promise<${pascal(row)}DbRow | null>`;
  const forms = [method(["The row, or null."], `${row.find}(${list(key)}): ${result}`)];
  if (row.service === "sessionDbService") {
    const older = "Promise<ThreePartSessionDbRow | null>";
    forms.push(method(["The session without symbol and backtest."], `${row.find}(${list(key.slice(0, 3))}): ${older}`));
  }
  if (row.service === "candleDbService") {
    const without = key.filter((field) => field.name !== "exchangeName");
    forms.push(method(["The candle of `ccxt_binance`, or null."], `${row.find}(${list(without)}): ${result}`));
  }
  return forms;
}

function hases(row, key) {
  if (row.has === null) return [];
  const about = row.removes ? "Whether there is such a row, removed or not." : "Whether there is such a row.";
  const forms = [method([about], `${row.has}(${list(key)}): Promise<boolean>`)];
  if (row.service === "candleDbService") {
    const without = key.filter((field) => field.name !== "exchangeName");
    forms.push(method(["Whether there is such a candle of `ccxt_binance`."], `${row.has}(${list(without)}): Promise<boolean>`));
  }
  return forms;
}

function lists(row) {
  const type = (name) => [...row.key, ...row.rest].find((field) => field.name === name);
  return row.lists.flatMap((it) => {
    const what = it.only === null ? "The rows" : `\`${it.only}\` of the rows`;
    const which = `${it.present ? " that are not removed" : ""}, ${it.newest ? "the newest first; 200" : "the last changed first; 1000"}`;
    const result = `Promise<${it.only === null ? `${pascal(row)}DbRow` : "string"}[]>`;
    const by = it.by.map((name) => argument(type(name)));
    const about = [`${what}${which} where no limit is given.`];
    // Two forms, so that the method is a callback for \`map\`, which gives it a number there.
    return [[...by, "options: ListOptions"], by].map((args) => method(about, `${it.method}(${args.join(", ")}): ${result}`));
  });
}

const CANDLES = `  /**
   * The candle, which is there afterwards; the first write of it wins. \`exchangeName\` is \`ccxt_binance\` where absent. Where this
   * process knows that it is there, nothing is sent, and the row is the stored one with the dates that are known of it.
   */
  create(dto: CandleDto): Promise<CandleDbRow>;
  /**
   * Writes many candles, thousands at a time. Those that are there already stay as they are. Where one cannot be stored,
   * none is written. What is known to be there is not sent; what another call is writing is waited for, and fails with it.
   */
  createMany(dtos: readonly CandleDto[]): Promise<{ inserted: number; existing: number }>;
  /** The same for candles of one context. */
  createMany(symbol: string, interval: string, exchangeName: string, candles: readonly Candle[]): Promise<{ inserted: number; existing: number }>;
  /**
   * \`limit\` candles (0 to 1000000) at the interval's step from \`sinceTimestamp\` on, in order; null as a whole where any is
   * missing.
   */
  findRange(symbol: string, interval: string, exchangeName: string, sinceTimestamp: number, limit: number): Promise<CandleDbRow[] | null>;
  /**
   * The same as columns of numbers, which are the caller's own. A number that a candle lacks is NaN; a candle with text or a
   * decimal in place of one is \`INVALID_VALUE\`.
   */
  findColumns(symbol: string, interval: string, exchangeName: string, sinceTimestamp: number, limit: number): Promise<CandleColumns | null>;
  /** The columns of those of the \`limit\` candles that are there, ascending; none is empty columns. */
  findPresent(symbol: string, interval: string, exchangeName: string, sinceTimestamp: number, limit: number): Promise<CandleColumns>;
  /**
   * Forgets the candles that this engine holds in memory: those that fit all that is named; nothing named is all. For after
   * corrections by others: changes by \`update\` are heard of. Each worker thread has an engine of its own.
   */
  forget(symbol?: string, interval?: string, exchangeName?: string): void;`;

function serviceClass(row, services) {
  const key = keyOf(row, services);
  const candles = row.service === "candleDbService";
  const members = [
    `  /** The service that keeps the ids of these rows. */\n  readonly ${row.cache}: ${row.cache[0].toUpperCase()}${row.cache.slice(1)};`,
    ...(candles ? [CANDLES] : upserts(row, key)),
    ...finds(row, key),
    ...hases(row, key),
    ...(row.removes ? [method(["Marks a row as removed; nothing happens where there is none."], `softRemove(${list(key)}): Promise<void>`)] : []),
    ...lists(row),
    ...(row.service === "intervalDbService" ? [method(["Deletes all rows of a bucket, and their ids."], "clearBucket(bucket: string): Promise<void>")] : []),
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

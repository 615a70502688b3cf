"use strict";
// Windows with candles that do not fit into columns of numbers as they are: each row is looked at.

const { Columns, NUMBERS } = require("./columns.js");
const { makeError } = require("../errors.js");
const { CANDLES, OPS, ask, rowsOf } = require("../mongo.js");

/** A number of a row: NaN where it has none. What no number is equal to is refused, not rounded. */
function numberOf(value, refuse) {
  if (typeof value === "number") {
    return value;
  }
  if (value === null || value === undefined) {
    return NaN;
  }
  const number = typeof value?.toBigInt === "function" ? Number(value.toBigInt()) : NaN;
  return Number.isSafeInteger(number) ? number : refuse();
}

/** What a shape makes of the window's rows. Of two at one moment, the first counts. */
async function oddColumns(method, shape, { symbol, interval, exchangeName, step }, since, limit) {
  const timestamp = { $gte: since, $lt: since + step * limit };
  const filter = { exchangeName, symbol, interval, timestamp };
  const columns = new Columns(limit);
  for (const row of rowsOf(await ask(OPS.rows, CANDLES, { filter, sort: { timestamp: 1 } }))) {
    const slot = (Number(row.timestamp) - since) / step;
    if (!Number.isInteger(slot) || columns.has(slot, false)) {
      continue;
    }
    const numbers = NUMBERS.map((name) =>
      numberOf(row[name], () => {
        const what = `${name} of the candle at ${row.timestamp} is no number that a column can hold`;
        throw makeError("INVALID_VALUE", "TypeError", `candleDbService.${method}: ${what}`);
      }),
    );
    columns.put(slot, ...numbers);
  }
  if (!columns.holds(0, limit, false)) {
    return shape.partial(columns, since, { step });
  }
  const made = shape.begin(limit, since, step);
  shape.add(made, 0, columns, 0, limit, since, { step });
  return made;
}

module.exports = { oddColumns };

"use strict";
// How a window that memory does not hold comes together: what is held, what others have asked for, what must be asked for.

const { Columns } = require("./columns.js");
const { BLOCK } = require("./grid.js");

/**
 * The candles of a window in columns of its own, without those that are not there. What is held is taken first, because it may be
 * forgotten while the server is asked. `put(cache, question)` sends a question.
 */
async function fetch(cache, { symbol, interval, exchangeName }, first, limit, options, { put, clock }) {
  const { rows, remember } = options;
  const columns = new Columns(limit);
  const complete = () => columns.isOdd(0, limit, rows) || columns.holds(0, limit, rows);
  // Questions of others are waited for once. What they do not bring may have come since they asked.
  for (const join of [true, false]) {
    const series = cache.open(symbol, interval, exchangeName);
    cache.some(series, first, limit, (block, from, to, index) => {
      if (block !== undefined) {
        columns.copy(index * BLOCK + from - first, block, from, to, rows);
      }
    });
    if (complete() || (!join && remember && cache.absent(series, first, limit, clock.elapsed()))) {
      break;
    }
    const { asks, joins } = cache.questions(series, first, limit, { ...options, join }, clock);
    asks.forEach((question) => put(cache, question));
    joins.forEach((question) => question.hold());
    const take = (question) => (found) => columns.take(found, question.index * BLOCK + question.from - first, question.rows);
    // An answer is shared, a failure is not: who asked later may have better luck.
    const shared = joins.map((question) => question.done.then(take(question), () => {}));
    await Promise.all([...shared, ...asks.map((question) => question.done.then(take(question)))]);
    if (joins.length === 0 || complete()) {
      break;
    }
  }
  return columns;
}

module.exports = { fetch };

"use strict";

// What a run is compared by. Random ids become the number of their trade, and what the wall clock says is left out.

/** A trade as it must be on every store, to the last digit. */
function tradeOf({ signal, currentPrice, closeReason, closeTimestamp, pnl }) {
  const { position, symbol, pendingAt, scheduledAt, priceOpen, priceTakeProfit, priceStopLoss, minuteEstimatedTime, cost, multiplier } = signal;
  const times = { scheduledAt, pendingAt, closeTimestamp };
  const prices = { priceOpen, priceTakeProfit, priceStopLoss, priceClose: currentPrice };
  return { symbol, position, closeReason, ...times, ...prices, minuteEstimatedTime, cost, multiplier, pnl, peak: signal.peakProfit, fall: signal.maxDrawdown };
}

/** Replaces ids in a text by the numbers of their trades. */
function withoutIds(text, ids) {
  return ids.reduce((rest, id, i) => rest.replaceAll(id, `#${i + 1}`), text);
}

/** The kit's statistics without the trades themselves. */
function statisticsOf({ signalList, ...numbers }) {
  return numbers;
}

/** The trades of a run, of all its symbols. */
const tradesOf = ({ symbols }) => Object.values(symbols).flatMap(({ trades }) => trades);

module.exports = { tradeOf, tradesOf, withoutIds, statisticsOf };

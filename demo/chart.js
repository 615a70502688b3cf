"use strict";

// A line of values drawn with braille characters, two by four dots each, with the values of the axis on the left. Pure: text
// in lines, without colours.

const BLANK = 0x2800;
/** The bit of a dot, by its row and column within a character. */
const DOTS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
];

/** `count` of the values, evenly spread, the last one included. */
function sampled(values, count) {
  return Array.from({ length: count }, (_, i) => values[Math.round((i * (values.length - 1)) / Math.max(1, count - 1))]);
}

/**
 * Lines of `width` characters and `height` lines, and what stands left of them. `values` is one number or more; `format`
 * makes the text of a value. A dotted line stands where the value is zero, if that is within.
 */
function chart(values, { width, height, format = String }) {
  if (values.length === 0) return [];
  const low = Math.min(...values, 0);
  const high = Math.max(...values, 0);
  const spread = high - low || 1;
  const rows = height * 4;
  const rowOf = (value) => Math.round(((high - value) / spread) * (rows - 1));
  const cells = Array.from({ length: height }, () => new Array(width).fill(0));
  const dot = (column, row) => (cells[row >> 2][column >> 1] |= DOTS[row & 3][column & 1]);

  const columns = sampled(values, width * 2).map(rowOf);
  columns.forEach((row, column) => {
    // From where the line was to where it is now, so that it has no gaps.
    const before = column === 0 ? row : columns[column - 1];
    for (let at = row; at !== before; at += Math.sign(before - row)) dot(column, at);
    dot(column, row);
  });
  const zero = rowOf(0);
  for (let column = 0; column < width * 2; column += 4) dot(column, zero);

  const labels = new Map([
    [zero >> 2, format(0)],
    [0, format(high)],
    [height - 1, format(low)],
  ]);
  const margin = Math.max(...[...labels.values()].map((text) => text.length));
  return cells.map((line, i) => `${(labels.get(i) ?? "").padStart(margin)} ┤${line.map((bits) => String.fromCodePoint(BLANK + bits)).join("")}`);
}

/** The sum of gains over time, a value for each of `count` steps from `since` to `until`. */
function equity(trades, { since, until, count }) {
  const ordered = [...trades].sort((a, b) => a.closeTimestamp - b.closeTimestamp);
  let sum = 0;
  let next = 0;
  return Array.from({ length: count }, (_, i) => {
    const time = since + ((until - since) * i) / Math.max(1, count - 1);
    while (next < ordered.length && ordered[next].closeTimestamp <= time) sum += ordered[next++].pnl.pnlCost;
    return sum;
  });
}

module.exports = { chart, equity };

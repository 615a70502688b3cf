"use strict";

function median(numbers) {
  if (numbers.length === 0) return null;
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * How many times as fast `mine` is as `theirs`, both lists by round (with holes). Each round is compared with itself,
 * because a machine's speed drifts over minutes; then the median is taken.
 */
function pairedRatio(theirs, mine) {
  const ratios = [];
  for (let round = 0; round < mine.length; round++) {
    if (mine[round] > 0 && theirs[round] > 0) ratios.push(theirs[round] / mine[round]);
  }
  if (ratios.length === 0) return null;
  return { median: median(ratios), low: Math.min(...ratios), high: Math.max(...ratios) };
}

module.exports = { median, pairedRatio };

"use strict";

// The equity chart of the demo.

const test = require("ava");
const { chart, equity } = require("../demo/chart.js");

/** Whether each dot is set, line by line of dots, without the axis. */
function dotsOf(lines) {
  const order = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80];
  return lines.flatMap((line) => {
    const cells = [...line.slice(line.indexOf("┤") + 1)].map((cell) => cell.codePointAt(0) - 0x2800);
    return [0, 1, 2, 3].map((row) => cells.map((bits) => [0, 1].map((column) => (bits & order[row * 2 + column] ? "o" : ".")).join("")).join(""));
  });
}

test("a rising line goes from the lower left to the upper right without a gap", (t) => {
  const dots = dotsOf(chart([0, 1, 2, 3, 4, 5, 6, 7], { width: 4, height: 2 }));
  t.deepEqual(dots, [".......o", "......o.", ".....o..", "....o...", "...o....", "..o.....", ".o......", "o...o..."]);
});

test("a jump is drawn as a vertical line", (t) => {
  const dots = dotsOf(chart([0, 0, 7, 7], { width: 2, height: 2 }));
  t.deepEqual(dots, ["..oo", "..o.", "..o.", "..o.", "..o.", "..o.", "..o.", "oo.."]);
});

test("the axis says the highest and the lowest value and zero, as wide as the longest of them", (t) => {
  const lines = chart([-20, 5, 100], { width: 3, height: 6, format: (value) => value.toFixed(1) });
  t.deepEqual(lines.map((line) => line.slice(0, line.indexOf(" ┤"))), ["100.0", "     ", "     ", "     ", "  0.0", "-20.0"]);
  t.deepEqual(new Set(lines.map((line) => [...line].length)), new Set([10]));
});

test("one value, equal values and many values are drawn, no value is nothing", (t) => {
  t.deepEqual(chart([], { width: 5, height: 3 }), []);
  t.is(chart([7], { width: 5, height: 3 }).length, 3);
  t.regex(chart([0, 0, 0], { width: 2, height: 1 })[0], /^0 ┤\u{2809}\u{2809}$/u);
  const wave = Array.from({ length: 44_640 }, (_, i) => Math.sin(i / 5_000));
  t.is(chart(wave, { width: 60, height: 10, format: (value) => value.toFixed(2) }).length, 10);
});

test("equity is what the trades that are closed by then have made", (t) => {
  const trade = (closeTimestamp, pnlCost) => ({ closeTimestamp, pnl: { pnlCost } });
  const trades = [trade(30, -1), trade(10, 2), trade(40, 5), trade(99, 1000)];
  t.deepEqual(equity(trades, { since: 0, until: 40, count: 5 }), [0, 2, 2, 1, 6]);
  t.deepEqual(equity([], { since: 0, until: 40, count: 3 }), [0, 0, 0]);
});

"use strict";
// A bar of blocks, and a line that is written over: for the command line, and for the demo.

/** A horizontal bar in eighths of a column; the share of 1 fills `width`. */
function bar(share, width) {
  const eighths = Math.max(1, Math.round(share * width * 8));
  return "█".repeat(Math.floor(eighths / 8)) + ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
}

/** A line that is written over until it has come to its end; elsewhere than on a terminal only that is printed. */
function gauge(text, end = false, stream = process.stdout) {
  if (stream.isTTY) stream.write(`\r\x1b[K${text}${end ? "\n" : ""}`);
  else if (end) stream.write(`${text.trimEnd()}\n`);
}

module.exports = { bar, gauge };

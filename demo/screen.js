"use strict";

// What the demo prints: at most 80 columns, colours only where somebody looks at a terminal.

const { bar, gauge: line } = require("../cli/bar.js");

const WIDTH = 80;
const INDENT = "   ";
const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

const colours = Boolean(process.stdout.isTTY) && !process.env.NO_COLOR && process.env.TERM !== "dumb";

const paint = {};
for (const [name, code] of Object.entries(CODES)) {
  paint[name] = (text) => (colours ? `\x1b[${code}m${text}\x1b[0m` : String(text));
}

/** The text without colours, as long as it looks. */
const bare = (text) => String(text).replaceAll(/\x1b\[\d+m/g, ""); // eslint-disable-line no-control-regex
const left = (text, width) => String(text) + " ".repeat(Math.max(0, width - bare(text).length));
const right = (text, width) => " ".repeat(Math.max(0, width - bare(text).length)) + String(text);

const print = (line = "") => console.log(line === "" ? "" : (INDENT + line).trimEnd());

/** A paragraph, broken at spaces; `style` paints it, `indent` moves it to the right. */
function say(text, style = String, indent = 0) {
  const width = WIDTH - INDENT.length - indent;
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1);
    if (line === "") lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= width) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  for (const line of lines) print(" ".repeat(indent) + style(line));
}

let chapters = 0;
function chapter(title, text) {
  print();
  console.log(paint.bold(`${right(++chapters, 2)} ${title}`));
  if (text) say(text);
  print();
}

/** Rows in columns; `columns` are widths, negative for numbers, which stand to the right. */
function row(columns, cells) {
  const parts = cells.map((cell, i) => (columns[i] < 0 ? right(cell, -columns[i]) : left(cell, columns[i])));
  print(parts.join("  "));
}

function rule() {
  console.log(paint.dim("─".repeat(WIDTH)));
}

const gauge = (text, end = false) => line(INDENT + text, end);

const count = (number) => number.toLocaleString("en-US");
const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

module.exports = { WIDTH, paint, bare, left, right, print, say, chapter, row, rule, bar, gauge, count, plural };

"use strict";
// How far a long command is, on stderr: one line for what is under way, and one for each part that is through.

const { bar, gauge } = require("./bar.js");

const WIDTH = 20;
/** How often the line is written anew, in milliseconds. */
const PAUSE_MS = 100;
/** Elsewhere than on a terminal: how often a line says how far it is. */
const QUIET_MS = 10_000;
/** How long the speed is looked at before it says how long the rest takes. */
const SURE_MS = 1_000;

const count = (number) => number.toLocaleString("en-US");

const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5_400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3_600).toFixed(1)} h`;
}

class Progress {
  /** @param {number} total how many rows there are in all, as far as one knows; @param {NodeJS.WriteStream} stream */
  constructor(total, stream = process.stderr) {
    this.total = total;
    this.stream = stream;
    this.done = 0;
    /** Rows that were there before it began: they say nothing of its speed. */
    this.before = 0;
    this.started = performance.now();
    this.drawn = -Infinity;
  }

  /** So many rows more of a part. */
  add(part, rows) {
    this.done += rows;
    const now = performance.now();
    if (now - this.drawn >= (this.stream.isTTY ? PAUSE_MS : QUIET_MS)) {
      if (this.stream.isTTY) gauge(this.line(part, now), false, this.stream);
      else if (this.drawn > 0) this.stream.write(`${this.line(part, now).trim()}\n`);
      this.drawn = now;
    }
  }

  /** Rows that an earlier run has done. */
  skip(rows) {
    this.done += rows;
    this.before += rows;
  }

  line(part, now) {
    const share = this.total === 0 ? 1 : Math.min(1, this.done / this.total);
    const seconds = (now - this.started) / 1_000;
    const speed = (this.done - this.before) / seconds;
    const rest = seconds * 1_000 > SURE_MS && speed > 0 ? `, ${duration(Math.max(0, this.total - this.done) / speed)} left` : "";
    const percent = `${Math.floor(share * 100)}`.padStart(3);
    const line = `${bar(share, WIDTH).padEnd(WIDTH)} ${percent} %  ${count(this.done)} of ${count(Math.max(this.total, this.done))}${rest}  ${part}`;
    // A line that wraps could not be written over.
    return line.slice(0, (this.stream.columns ?? Infinity) - 1);
  }

  /** A part is through. */
  part(text) {
    gauge(text, true, this.stream);
    this.drawn = this.stream.isTTY ? -Infinity : performance.now();
  }

  /** The line goes. */
  end() {
    if (this.stream.isTTY) this.stream.write("\r\x1b[K");
  }
}

module.exports = { Progress, count, duration, plural };

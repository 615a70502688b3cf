"use strict";

// How late a loop is, moment by moment, and what its thread did meanwhile: it was on a processor, it waited for one (the machine was
// busy), or it slept in the middle of JavaScript (something that it called waited for a lock, or for the disk).

const fs = require("node:fs");
const { PerformanceObserver } = require("node:perf_hooks");

/** Between two looks, in milliseconds; and how late one must be for that to be noted. */
const LOOK_MS = 1;
const LATE_MS = 2;

/** Milliseconds that the main thread was on a processor, and that it waited for one. Where Linux does not count them, all of a delay is asleep. */
function scheduled() {
  let file;
  try {
    file = fs.openSync(`/proc/self/task/${process.pid}/schedstat`, "r");
  } catch {
    return () => [0, 0];
  }
  const bytes = Buffer.alloc(128);
  return () => {
    const text = bytes.toString("latin1", 0, fs.readSync(file, bytes, 0, bytes.length, 0));
    return text.split(" ", 2).map((nanoseconds) => Number(nanoseconds) / 1e6);
  };
}

class Delays {
  constructor() {
    this.look = scheduled();
    /** What is late: see `end()`. */
    this.late = [];
    this.collections = [];
    /** The longest piece of work of each kind since the last look: `{ ms, name }`. */
    this.longest = {};
    this.timer = null;
    this.observer = new PerformanceObserver((list) => this.collected(list.getEntries()));
  }

  begin() {
    this.observer.observe({ entryTypes: ["gc"] });
    this.late = [];
    this.longest = {};
    [this.at, this.was] = [performance.now(), this.look()];
    this.timer = setInterval(() => this.tick(), LOOK_MS);
  }

  /** Notes a piece of work of a kind, of which the longest of a moment is told. */
  note(kind, name, ms) {
    if (!(this.longest[kind]?.ms >= ms)) this.longest[kind] = { ms, name };
  }

  tick() {
    const [now, is] = [performance.now(), this.look()];
    const ms = now - this.at - LOOK_MS;
    if (ms >= LATE_MS) {
      const [onMs, queuedMs] = is.map((ms, i) => ms - this.was[i]);
      const sleptMs = Math.max(0, now - this.at - LOOK_MS - onMs - queuedMs);
      // By the clock that processes share.
      this.late.push({ from: performance.timeOrigin + this.at, ms, onMs, queuedMs, sleptMs, ...this.longest });
    }
    [this.at, this.was, this.longest] = [now, is, {}];
  }

  collected(entries) {
    for (const { startTime, duration } of entries) this.collections.push({ at: performance.timeOrigin + startTime, ms: duration });
  }

  /**
   * The delays, the longest first: when each began, how long it was, of that on a processor, waiting for one and asleep, and in collections. `ownMs`
   * is what neither the machine nor V8's collections account for: JavaScript and the addon at work, or asleep in one of its calls.
   */
  end() {
    clearInterval(this.timer);
    if (this.timer !== null) this.tick();
    this.timer = null;
    this.collected(this.observer.takeRecords());
    this.observer.disconnect();
    const within = ({ from, ms }) => this.collections.filter(({ at }) => at >= from && at <= from + ms + LOOK_MS).reduce((sum, one) => sum + one.ms, 0);
    return this.late
      .sort((a, b) => b.ms - a.ms)
      .map((one) => ({ ...one, gcMs: within(one) }))
      .map((one) => ({ ...one, ownMs: Math.max(0, one.ms - one.queuedMs - one.gcMs) }));
  }
}

/** The longest of another process's delays that lay within one of ours, or 0. */
function beside({ from, ms }, others) {
  const overlap = others.filter((other) => other.from < from + ms + LOOK_MS && from < other.from + other.ms + LOOK_MS);
  return Math.max(0, ...overlap.map((other) => other.ms));
}

/** A delay in words. */
function described({ ms, onMs, queuedMs, sleptMs, gcMs, ownMs, native, told, besideMs }) {
  const part = ({ ms, name } = { ms: 0, name: "none" }) => `${ms.toFixed(1)} ms (${name})`;
  return (
    `${ms.toFixed(1)} ms: ${onMs.toFixed(1)} on a processor, ${gcMs.toFixed(1)} of them in collections, ${queuedMs.toFixed(1)} waiting for one, ${sleptMs.toFixed(1)} asleep; ${ownMs.toFixed(1)} are its own; ` +
    `the longest call of the addon ${part(native)}, of telling answers ${part(told)}; a process beside it was late by ${besideMs.toFixed(1)} ms`
  );
}

/**
 * Has the addon's functions timed, before the package is loaded: `native` is the longest time within one of them, without what
 * JavaScript did that it called; `told` that of telling JavaScript answers, with all that follows at once.
 */
function timeCalls(binding, delays) {
  const { createEngine } = binding;
  /** Milliseconds that JavaScript had within the call that is under way. */
  let inside = 0;
  const timed = (kind, name, run) =>
    function (...args) {
      const before = inside;
      inside = 0;
      const since = performance.now();
      try {
        return run.apply(this, args);
      } finally {
        const ms = performance.now() - since;
        delays.note(kind, name, ms - (kind === "native" ? inside : 0));
        inside = before + ms;
      }
    };
  binding.createEngine = (hooks, ...rest) => {
    hooks.forEach((hook, i) => (hooks[i] = timed("told", `hook ${i}`, hook)));
    const engine = createEngine(hooks, ...rest);
    for (const [name, run] of Object.entries(engine)) {
      if (typeof run === "function") engine[name] = timed("native", name, run);
    }
    return engine;
  };
}

module.exports = { Delays, beside, described, timeCalls };

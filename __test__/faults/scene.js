"use strict";

// What a case of the fault suite works with: servers, proxies, copies of the package, load; and what it found out.
//
// A case is `{ title, injected, quick, linux, run(scene) }`; `linux`: only there. ava runs the quick ones (`__test__/faults-*.spec.js`), and
// `npm run test:faults` all of them, each in a process of its own.

const assert = require("node:assert/strict");
const v8 = require("node:v8");
const vm = require("node:vm");
const { startRedis, freePort } = require("../support/redis.js");
const { startProxy } = require("../support/proxy.js");
const { startFake } = require("../support/fake-redis.js");
const { loadFresh, outcome, until } = require("../support/addon.js");
const { Load, sleep } = require("../support/load.js");

/** What a slow machine may add to a bound before it counts as broken. */
const SLACK_MS = 3000;
/** Within that time after the server's return calls succeed again. */
const RECOVERY_MS = 1000;
/** Within that time a connection that has fallen mute is noticed. */
const NOTICE_MS = 3000;
/** A bound that is close to the next larger one leaves less to slowness. */
const NOTICE_SLACK_MS = 1500;

const range = (count) => Array.from({ length: count }, (_, i) => i);

class Scene {
  constructor() {
    this.endings = [];
    this.report = { seen: [], worstMs: 0, recoveryMs: null };
    this.timeoutMs = 10_000;
  }

  async own(starting, end) {
    const thing = await starting;
    this.endings.push(() => end(thing));
    return thing;
  }

  server(options) {
    return this.own(startRedis(options), (server) => server.stop());
  }

  proxy(target, options) {
    return this.own(startProxy(target, options), (proxy) => proxy.stop());
  }

  fake(answer, greet) {
    return this.own(startFake(answer, greet), (fake) => fake.stop());
  }

  /** A copy of the package that talks to what has a `url` or `port`. */
  client(target, config = {}) {
    const lib = loadFresh({ CC_REDIS_URL: target.url ?? `redis://127.0.0.1:${target.port}`, ...config });
    this.timeoutMs = config.CC_REDIS_TIMEOUT_MS ?? this.timeoutMs;
    this.endings.push(() => lib.close());
    return lib;
  }

  load(lib, options) {
    const load = new Load(lib, options).start();
    this.endings.push(() => load.stop());
    return load;
  }

  /** Ends a load and judges it: nothing wrong, nothing past its deadline, only these rejections. */
  async judge(load, allowed = []) {
    await load.stop(this.timeoutMs + SLACK_MS + 3000);
    this.worst(load.worstMs);
    const errors = Object.entries(load.errors).map(([code, count]) => `${count} × ${code}`);
    this.see(`${load.calls} calls, ${errors.length > 0 ? errors.join(", ") : "none rejected"}, ${load.wrong.length} wrong`);
    assert.deepEqual(load.wrong.slice(0, 5), [], "wrong answers");
    const unexpected = Object.keys(load.errors).filter((code) => !allowed.includes(code));
    assert.deepEqual(unexpected.map((code) => `${code}: ${load.messages[code]}`), [], "unexpected rejections");
    this.inTime(load.worstMs);
  }

  /** A call must be settled by its deadline. */
  inTime(ms, slackMs = SLACK_MS) {
    this.worst(ms);
    assert.ok(ms <= this.timeoutMs + slackMs, `a call took ${Math.round(ms)} ms; its deadline is ${this.timeoutMs} ms`);
  }

  /** A mute connection must have been noticed and replaced by then. */
  noticed(ms) {
    this.worst(ms);
    const text = `calls were answered ${Math.round(ms)} ms after the connection had fallen mute; the promise is ${NOTICE_MS} ms`;
    assert.ok(ms <= NOTICE_MS + NOTICE_SLACK_MS, text);
  }

  /** Calls must have succeeded that soon after the fault's end. */
  healed(ms) {
    this.report.recoveryMs = Math.max(this.report.recoveryMs ?? 0, ms);
    const text = `calls succeeded ${Math.round(ms)} ms after the fault was over; the promise is ${RECOVERY_MS} ms`;
    assert.ok(ms <= RECOVERY_MS + SLACK_MS, text);
  }

  worst(ms) {
    this.report.worstMs = Math.max(this.report.worstMs, ms);
  }

  see(text) {
    this.report.seen.push(text);
  }

  /** What became of a call, and after how many milliseconds: `{ value }` or `{ error }`, and `ms`. */
  async timed(promise) {
    const start = performance.now();
    const result = await outcome(promise);
    const ms = performance.now() - start;
    this.worst(ms);
    return { ...result, ms };
  }

  /** A call that had to be answered. */
  answered({ value, error, ms }) {
    if (error) throw new Error(`a call was rejected after ${Math.round(ms)} ms: ${error.code}: ${error.message}`);
    this.inTime(ms);
    return value;
  }

  /** The process's memory in MiB when what is garbage is gone. */
  memory() {
    v8.setFlagsFromString("--expose-gc");
    const collect = vm.runInNewContext("gc");
    for (let i = 0; i < 4; i++) collect();
    return process.memoryUsage().rss / 2 ** 20;
  }

  async end() {
    const failures = [];
    for (const ending of this.endings.reverse()) await ending().catch((error) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }
}

/** Runs a case; its report, or the failure thrown with the report attached. */
async function play(one) {
  const scene = new Scene();
  try {
    await one.run(scene);
  } catch (error) {
    await scene.end().catch(() => {});
    throw Object.assign(error, { report: scene.report });
  }
  await scene.end();
  return scene.report;
}

/** One line about a report. */
function summary({ seen, worstMs, recoveryMs }) {
  const recovery = recoveryMs === null ? "" : `; recovered after ${Math.round(recoveryMs)} ms`;
  return `${seen.join("; ")}; worst ${Math.round(worstMs)} ms${recovery}`;
}

/** Makes ava tests of the quick cases. */
function declare(test, cases) {
  for (const one of cases.filter(({ quick }) => quick)) {
    test(one.title, async (t) => {
      t.timeout(60_000);
      t.log(summary(await play(one)));
      t.pass();
    });
  }
}

module.exports = { play, declare, summary, assert, range, sleep, until, outcome, freePort, NOTICE_MS };

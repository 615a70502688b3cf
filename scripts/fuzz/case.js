"use strict";

// One case: some dozens of calls that follow from a seed, hostile ones among honest ones. Nothing throws that should
// reject, each rejection has a code, each promise settles, and what honest calls stored comes back.

const { services } = require("../../js/binding.js");
const { chance } = require("../../__test__/support/random.js");
const { History } = require("./history.js");
const { hostile } = require("./hostile.js");

const CODES = new Set(["KEY_EMPTY", "INVALID_CONTEXT", "INVALID_ROW", "INVALID_VALUE", "INVALID_TTL", "REDIS_REPLY", "QUEUE_FULL"]);
const NOUNS = services().flatMap(({ service, nouns, prefix }) => nouns.map((noun) => ({ service, prefix, ...noun })));
const FIELDS = [...new Set(NOUNS.flatMap(({ forms }) => forms.flatMap(({ args }) => args.map(({ name }) => name)))), "id", "_id"];
const PATIENCE_MS = 30_000;
/** Reads and writes of a map, and its scans. */
const SHORT = ["set", "get", "has", "delete"];
const WHOLE = ["size", "toArray", "clear"];
const ITERATORS = ["keys", "values", "iterate"];

class Case {
  constructor(lib, seed) {
    this.lib = lib;
    this.seed = seed;
    Object.assign(this, chance(seed));
    this.history = new History();
    this.problems = [];
    this.pending = [];
    this.depth = 0;
    this.map = new lib.BaseMap(`fuzz-${seed}`, this.pick([-1, 60, 300]));
    this.victim = new lib.BaseMap(`victim-${seed}`, -1);
    this.evil = hostile(this, () => this.intrude(), FIELDS);
  }

  problem(what) {
    this.problems.push(what);
  }

  /** Calls something that must return a promise; judges what becomes of it. */
  call(what, action, settled = () => {}) {
    let promise;
    try {
      promise = action();
    } catch (error) {
      settled(false);
      this.problem(`${what} threw ${show(error)}`);
      return;
    }
    if (!(promise instanceof Promise)) {
      settled(false);
      this.problem(`${what} returned no promise`);
      return;
    }
    const judged = promise.then(
      (value) => settled(true, value),
      (error) => {
        settled(false);
        if (!isCoded(error) && codeOf(error) !== "CLOSED") this.problem(`${what} rejected with ${show(error)}`);
      },
    );
    this.pending.push({ what, judged });
  }

  /** An honest value and the text that it must come back as. */
  value() {
    const number = (this.next() - 0.5) * 10 ** this.below(30);
    const text = this.pick(["", "v", "\0\r\n", "юникод ☃ 😀", "x".repeat(this.below(3000)), `id-${this.below(1e9)}`]);
    const bytes = Buffer.from(Array.from({ length: this.below(20) }, () => this.below(256)));
    const object = { a: [number, null, text], b: { c: true } };
    return this.pick([
      () => [text, text],
      () => [`${text}\ud800!`, `${text}\ufffd!`],
      () => [number, String(number)],
      () => [object, JSON.stringify(object)],
      () => [[object], JSON.stringify([object])],
      () => [new Date(this.seed), new Date(this.seed).toISOString()],
      () => [bytes, new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)],
      () => [null, ""],
    ])();
  }

  honest() {
    // A logger's or getter's calls come before the one that they are in the middle of, so they have keys of their own.
    const key = `k${this.depth}${this.below(6)}`;
    const name = `${this.map.connectionKey}:${key}`;
    const [value, text] = this.value();
    switch (this.pick(["set", "set", "get", "has", "delete"])) {
      case "set":
        return this.call("an honest set", () => this.map.set(key, value), this.history.write(name, text));
      case "delete":
        return this.call("an honest delete", () => this.map.delete(key), this.history.write(name, null));
      case "has":
        return this.ask("an honest has", () => this.map.has(key), this.history.read(name, true));
      default:
        return this.ask("an honest get", () => this.map.get(key), this.history.read(name));
    }
  }

  ask(what, action, done) {
    this.call(what, action, (ok, value) => ok && done(value));
  }

  /** A service with a context that only honest calls of this case use. */
  honestId() {
    const { service, noun, forms, delete: deletes, prefix } = this.pick(NOUNS);
    const form = this.pick(forms);
    const who = this.below(3) + 10 * this.depth;
    const context = Object.fromEntries(form.args.map(({ name }) => [name, name === "backtest" ? who % 10 > 0 : `${this.seed}-${name}${who}`]));
    const args = form.args.map(({ name }) => context[name]);
    const target = this.lib.ioc[service];
    const mode = context.backtest ? "backtest" : "live";
    const key = `${prefix}:${form.key.replace(/\{(\w+)\}/g, (_, name) => (name === "mode" ? mode : context[name]))}`;
    const verb = this.pick(deletes ? ["set", "get", "has", "delete"] : ["set", "get", "has"]);
    const method = `${verb}${noun}Id`;
    // Three texts for a session fit two forms, so that a read may answer from either key.
    if (service === "sessionCacheService" && args.length === 3) return;
    if (verb === "get") return this.ask(method, () => target[method](...args), this.history.read(key));
    if (verb === "has") return this.ask(method, () => target[method](...args), this.history.read(key, true));
    if (verb === "delete") return this.call(method, () => target[method](...args), this.history.write(key, null));
    const id = `id-${this.below(4)}`;
    const row = { ...context, ...this.pick([{ id }, { _id: id }, { id: { toHexString: () => id } }]) };
    const done = this.history.write(key, id);
    this.call(method, () => target[method](row), (ok, value) => {
      done(ok);
      if (ok && value !== id) this.problem(`${method} returned ${show(value)} for ${id}`);
    });
  }

  /** Any method with any arguments. */
  attack() {
    const given = this.evil.arguments();
    if (this.maybe(0.5)) {
      const { service, noun, delete: deletes } = this.pick(NOUNS);
      const verb = this.pick(deletes ? SHORT : SHORT.slice(0, 3));
      const method = `${verb}${noun}Id`;
      const list = verb === "set" && this.maybe(0.7) ? [this.evil.row()] : given;
      this.call(`${service}.${method}`, () => this.lib.ioc[service][method](...list));
    } else {
      const method = this.pick([...SHORT, ...SHORT, ...WHOLE]);
      this.call(`BaseMap.${method}`, () => this.victim[method](...given));
    }
  }

  /** Any method on something that is no map, or a strange one. */
  misplace() {
    const { service, noun } = this.pick(NOUNS);
    const ofService = [
      () => new Proxy(this.lib.ioc[service], {}),
      () => Object.assign(Object.create(this.lib.ioc[service]), { [this.pick(["has", "get", "set"])]: this.evil.value() }),
    ];
    const make = this.pick([
      ...ofService,
      () => this.evil.value(),
      () => Object.create(this.victim),
      () => Object.freeze(new this.lib.BaseMap(`frozen-${this.seed}`, -1)),
      () => new Proxy(this.victim, { get: this.evil.trap() }),
      () => Object.assign(new this.lib.BaseMap("changed", 5), { [this.pick(["connectionKey", "ttlExpireSeconds", "loggerService"])]: this.evil.value() }),
    ]);
    const target = make();
    const given = this.evil.arguments();
    // A service that is cleared would lose what honest calls have stored.
    const whole = ofService.includes(make) ? ["size", "toArray"] : WHOLE;
    const method = this.pick([...SHORT, ...whole, ...ITERATORS, `has${noun}Id`, `get${noun}Id`, `set${noun}Id`]);
    if (ITERATORS.includes(method)) {
      return this.call(`${method} on something else`, () => this.lib.BaseMap.prototype[method].apply(target, given).next());
    }
    const body = this.lib.ioc[service][method];
    // An object's own `has` is its owner's code: what it returns or throws is nothing of ours.
    this.call(`${method} on something else`, () => Promise.resolve(Reflect.apply(body, target, given)).catch((error) => {
      if (!isCoded(error)) throw Object.assign(new Error("no code", { cause: error }), { code: method.startsWith("has") ? "CLOSED" : "none" });
    }));
  }

  construct() {
    const given = this.evil.arguments();
    const Base = this.pick([this.lib.BaseMap, this.lib.SignalCacheService, this.lib.SessionCacheService]);
    try {
      const made = this.pick([() => new Base(...given), () => Reflect.construct(Base, given, class {}), () => class extends this.lib.BaseMap(...given) {}])();
      if (typeof made === "object" && this.maybe(0.5)) this.call("get of a strange map", () => this.lib.BaseMap.prototype.get.call(made, "k"));
    } catch (error) {
      if (!isCoded(error)) this.problem(`new ${Base.name} threw ${show(error)}`);
    }
  }

  /** An iterator in every order that its protocol allows. */
  iterate() {
    const target = this.pick([this.map, this.map, this.victim]);
    const iterator = target[this.pick(ITERATORS)]();
    const acts = {
      next: () => iterator.next(this.evil.value()),
      return: () => iterator.return(1),
      throw: () => iterator.throw(Object.assign(new Error("mine"), { code: "CLOSED" })),
    };
    let over = false;
    for (let i = this.below(12); i > 0; i--) {
      const act = this.pick(["next", "next", "next", "next", "return", "throw"]);
      const after = over;
      over ||= act !== "next";
      this.call(`${act} of an iterator`, acts[act], (ok, result) => {
        if (ok && after && act === "next" && !result.done) this.problem("an iterator went on after its end");
      });
    }
  }

  /** The functions of the package. */
  manage() {
    const { lib } = this;
    const config = () => (this.maybe(0.5) ? this.evil.value() : { [this.pick(["CC_REDIS_TIMEOUT_MS", "CC_NOTHING"])]: this.evil.value() });
    const logger = () => Object.fromEntries(["log", "info", "warn", "debug"].map((level) => [level, this.evil.trap()]));
    const known = ["INVALID_CONFIG", "INVALID_CONTEXT", "INVALID_VALUE"];
    const attempt = (what, action) => {
      try {
        action();
      } catch (error) {
        if (!known.includes(codeOf(error))) this.problem(`${what} threw ${show(error)}`);
      }
    };
    this.pick([
      () => attempt("setConfig", () => lib.setConfig(config())),
      () => attempt("getConfig", () => lib.getConfig(this.evil.value())),
      () => attempt("stats", () => JSON.stringify(lib.stats())),
      () => attempt("health", () => JSON.stringify(lib.health())),
      () => attempt("setLogger", () => lib.setLogger(this.pick([logger, () => this.evil.value()])())),
      () => attempt("setLogger", () => lib.setLogger(null)),
      () => this.call("waitForInit", () => lib.ioc.redisService.waitForInit(this.evil.value())),
      () => this.maybe(0.3) && this.call("close", () => lib.close()),
      () => globalThis.gc?.(),
    ])();
  }

  /** Runs in the middle of a conversion: more calls from within a call. */
  intrude() {
    if (this.depth > 2) return;
    this.depth++;
    try {
      this.pick([
        () => this.honest(),
        () => this.honest(),
        () => this.honestId(),
        () => this.honestId(),
        () => this.attack(),
        () => this.iterate(),
        () => this.manage(),
      ])();
    } finally {
      this.depth--;
    }
  }

  async run(steps = 60) {
    for (let i = 0; i < steps; i++) {
      this.pick([
        () => this.honest(),
        () => this.honest(),
        () => this.honestId(),
        () => this.honestId(),
        () => this.attack(),
        () => this.attack(),
        () => this.misplace(),
        () => this.construct(),
        () => this.iterate(),
        () => this.manage(),
      ])();
      if (this.maybe(0.1)) await this.pick([() => new Promise(setImmediate), () => this.pending.at(-1)?.judged, () => null])();
    }
    await this.settle();
    this.lib.setLogger(null);
    await this.reread();
    this.problems.push(...this.history.wrong());
    return this.problems;
  }

  /** Waits for everything, also for what the waiting has started. */
  async settle() {
    while (this.pending.length > 0) {
      const { what, judged } = this.pending.shift();
      let timer;
      const late = new Promise((resolve) => (timer = setTimeout(resolve, PATIENCE_MS, "late")));
      if ((await Promise.race([judged, late])) === "late") this.problem(`${what} was not settled within ${PATIENCE_MS} ms`);
      clearTimeout(timer);
    }
  }

  /** The map, read in every way. */
  async reread() {
    const name = (key) => `${this.map.connectionKey}:${key}`;
    const pairs = new Map(await this.map.toArray());
    for (let i = 0; i < 36; i++) {
      const key = `k${Math.floor(i / 6)}${i % 6}`;
      this.history.read(name(key))(pairs.get(key) ?? null);
    }
    const keys = [];
    for await (const key of this.map.keys()) keys.push(key);
    const size = await this.map.size();
    if (size !== pairs.size || keys.length !== size) this.problem(`size ${size}, but ${pairs.size} pairs and ${keys.length} keys`);
    await Promise.all([this.map.clear(), this.victim.clear()]);
    if ((await this.map.size()) !== 0) this.problem("something is left after clear()");
  }
}

/** An error's code. What was thrown may be anything, also something that cannot be looked at. */
function codeOf(error) {
  try {
    return error instanceof Error ? error.code : undefined;
  } catch {
    return undefined;
  }
}

const isCoded = (error) => CODES.has(codeOf(error));

function show(error) {
  try {
    return `${error?.stack ?? String(error)} (code ${String(error?.code)}${error?.cause === undefined ? "" : `, cause ${String(error.cause?.stack ?? error.cause)}`})`;
  } catch {
    return "something that cannot be shown";
  }
}

module.exports = { Case };

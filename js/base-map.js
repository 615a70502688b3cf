"use strict";

const { native } = require("./engine.js");
const { makeError, withCode } = require("./errors.js");
const { callLogger, loggerService } = require("./logger-service.js");
const { encodeValue, keyText } = require("./value.js");

const { engine, enqueue, promise, ready } = native;

/** Keys that a page of a scan begins with, as in the original; CC_REDIS_SCAN_COUNT sets it. */
const ITERATOR_BATCH_SIZE = 100;
const TTL_EXPIRE_SECONDS = 300;
/** Kinds of scans, in the order of `KINDS` in src/napi/map_calls.rs. */
const [KEYS, PAIRS, VALUES, COUNT, CLEAR] = [0, 1, 2, 3, 4];

/** Where a map keeps its number in the engine: `{ id, key, ttl }`. */
const handle = Symbol("backtest-kit-native map");
/** The same for maps that take no further property. */
const handles = new WeakMap();
/** The engine forgets a map when its handle is collected. */
const collected = new FinalizationRegistry((id) => engine.dropMap(id));

/** Whether a logger would get log entries of this object. */
function listens(map) {
  const logger = map.loggerService;
  return logger !== loggerService ? logger != null : loggerService.active;
}

/** A log call; nothing that the logger does reaches the operation. */
function emit(map, level, ...args) {
  if (map.loggerService != null) {
    callLogger(map.loggerService, level, args);
  }
}

/** The log call of an operation without arguments. */
function heard(map, topic) {
  if (map === undefined || map === null) {
    throw makeError("INVALID_CONTEXT", "TypeError", `${topic}: the method was called without its map`);
  }
  if (listens(map)) {
    emit(map, "info", topic);
  }
}

/** The time to live as a number; text counts as the number that it spells. Throws INVALID_TTL. */
function ttlNumber(ttl) {
  let seconds = NaN;
  if (typeof ttl === "number") {
    seconds = ttl;
  } else if (typeof ttl === "string" && ttl.trim() !== "") {
    seconds = Number(ttl);
  }
  engine.checkTtl(seconds, typeof ttl === "string" ? JSON.stringify(ttl) : describe(ttl));
  return seconds;
}

function describe(value) {
  if (typeof value === "function" || (typeof value === "object" && value !== null)) {
    return typeof value === "function" ? "a function" : "an object";
  }
  return String(value);
}

function checkName(connectionKey) {
  if (!["string", "number", "boolean", "bigint"].includes(typeof connectionKey)) {
    throw makeError("INVALID_CONTEXT", "TypeError", `connectionKey is ${describe(connectionKey)}; it must be a string`);
  }
}

/** The number of a map in the engine, found again only when its fields have changed. */
function idOf(map) {
  const known = map[handle] ?? handles.get(map);
  if (known !== undefined && known.key === map.connectionKey && known.ttl === map.ttlExpireSeconds) {
    return known.id;
  }
  const { connectionKey: key, ttlExpireSeconds: ttl } = map;
  checkName(key);
  const id = engine.addMap(String(key), ttlNumber(ttl));
  const value = { id, key, ttl };
  collected.register(value, id);
  if (Object.isExtensible(map)) {
    // Not enumerable, so that a copy of the object's fields does not share our bookkeeping.
    Object.defineProperty(map, handle, { value, writable: true, configurable: true });
  } else {
    handles.set(map, value);
  }
  return id;
}

/** An error with a code. One without came from a detached method, or from an object that throws when it is read. */
function coded(error) {
  return withCode(error, "INVALID_CONTEXT", "the method was called on something that is not a map");
}

/** A promise that is rejected with it. */
function failed(error) {
  return Promise.reject(coded(error));
}

/** Scans whose iterator was dropped in the middle are forgotten when it is collected. */
const dropped = new FinalizationRegistry((id) => engine.closeScan(id));

class Scan {
  constructor(map, kind) {
    const id = idOf(map);
    ready();
    this.id = engine.openScan(id, kind);
    dropped.register(this, this.id, this);
  }

  /** The next page, `null` at the end; of COUNT and CLEAR, the result. */
  page() {
    ready();
    const answer = engine.page(this.id);
    return answer === undefined ? enqueue() : answer;
  }

  close() {
    dropped.unregister(this);
    engine.closeScan(this.id);
  }
}

/** The log call of an operation on all keys, and its scan. */
function begin(map, topic, kind) {
  try {
    heard(map, topic);
    return new Scan(map, kind);
  } catch (error) {
    throw coded(error);
  }
}

/** The pages of a scan, one round trip each. */
async function* pages(scan) {
  try {
    for (let page = await scan.page(); page !== null; page = await scan.page()) {
      yield page;
    }
  } finally {
    scan.close();
  }
}

/** The single result of a COUNT or CLEAR. */
async function result(scan) {
  try {
    return await scan.page();
  } finally {
    scan.close();
  }
}

/** The methods of every map; see index.d.ts. */
class Methods {
  constructor(connectionKey, ttlExpireSeconds = TTL_EXPIRE_SECONDS) {
    checkName(connectionKey);
    ttlNumber(ttlExpireSeconds);
    this.connectionKey = connectionKey;
    this.ttlExpireSeconds = ttlExpireSeconds;
    this.loggerService = loggerService;
  }

  _getItemKey(key) {
    return `${this.connectionKey}:${key}`;
  }

  set(key, value) {
    try {
      if (!key) {
        throw makeError("KEY_EMPTY", "Error", "Key cannot be empty");
      }
      const text = keyText(key);
      if (listens(this)) {
        emit(this, "info", `BaseMap set key=${text}`, { key, value });
      }
      const [id, bytes] = [idOf(this), encodeValue(value)];
      ready();
      return promise(engine.set(id, text, bytes));
    } catch (error) {
      return failed(error);
    }
  }

  get(key) {
    try {
      const text = keyText(key);
      if (listens(this)) {
        emit(this, "info", `BaseMap get key=${text}`);
      }
      if (key === null) {
        return Promise.resolve(null);
      }
      const id = idOf(this);
      ready();
      return promise(engine.get(id, text));
    } catch (error) {
      return failed(error);
    }
  }

  delete(key) {
    try {
      const text = keyText(key);
      if (listens(this)) {
        emit(this, "info", `BaseMap delete key=${text}`);
      }
      if (key === null) {
        return Promise.resolve();
      }
      const id = idOf(this);
      ready();
      return promise(engine.delete(id, text));
    } catch (error) {
      return failed(error);
    }
  }

  has(key) {
    try {
      const text = keyText(key);
      if (listens(this)) {
        emit(this, "info", `BaseMap has key=${text}`);
      }
      if (key === null) {
        return Promise.resolve(false);
      }
      const id = idOf(this);
      ready();
      return promise(engine.has(id, text));
    } catch (error) {
      return failed(error);
    }
  }

  async clear() {
    await result(begin(this, "BaseMap clear", CLEAR));
  }

  async toArray() {
    const pairs = [];
    const scan = begin(this, "BaseMap toArray", PAIRS);
    for (let page = await scan.page(); page !== null; page = await scan.page()) {
      for (let i = 0; i < page.length; i += 2) {
        pairs.push([page[i], page[i + 1]]);
      }
    }
    scan.close();
    return pairs;
  }

  async *iterate() {
    for await (const page of pages(begin(this, "BaseMap iterate", PAIRS))) {
      for (let i = 0; i < page.length; i += 2) {
        yield [page[i], page[i + 1]];
      }
    }
  }

  async *keys() {
    for await (const page of pages(begin(this, "BaseMap iterate keys", KEYS))) {
      for (let i = 0; i < page.length; i++) {
        yield page[i];
      }
    }
  }

  async *values() {
    for await (const page of pages(begin(this, "BaseMap iterate values", VALUES))) {
      for (let i = 0; i < page.length; i++) {
        yield page[i];
      }
    }
  }

  async size() {
    return await result(begin(this, "BaseMap size", COUNT));
  }
}

/**
 * `BaseMap(connectionKey, ttl)` returns a class to extend or construct, `new BaseMap(connectionKey, ttl)` an instance.
 * Both check their arguments at once.
 */
function BaseMap(connectionKey, ttlExpireSeconds = TTL_EXPIRE_SECONDS) {
  if (new.target !== undefined) {
    return Reflect.construct(Methods, [connectionKey, ttlExpireSeconds], new.target);
  }
  checkName(connectionKey);
  ttlNumber(ttlExpireSeconds);
  const Bound = class extends Methods {
    constructor() {
      super(connectionKey, ttlExpireSeconds);
    }
  };
  Object.defineProperty(Bound, "name", { value: "BaseMap" });
  return Bound;
}
// Every map is an instance of BaseMap, however it was made.
BaseMap.prototype = Methods.prototype;
Object.defineProperty(Methods.prototype, "constructor", { value: BaseMap, writable: true, configurable: true });
BaseMap.ITERATOR_BATCH_SIZE = ITERATOR_BATCH_SIZE;

module.exports = { BaseMap, emit, failed, listens };

"use strict";
// MongoDB's side of the engine: requests as BSON documents, and the promises that wait for their answers.
//
// The official codec makes the documents and reads them, so that values have exactly the types that the original stores.
// What the fields of a document mean is decided in Rust.

// Of Node itself, and captured now: fake timers replace the global ones, perhaps before this is loaded.
const { setImmediate } = require("node:timers");
const now = performance.now.bind(performance);

const { collections } = require("./binding.js");
const { memory } = require("./candles/memory.js");
const codec = require("./codec.js");
const { native, values } = require("./engine.js");
const { makeError, withCode } = require("./errors.js");
const { callLogger, loggerService } = require("./logger-service.js");

const { engine, atEndOfTick } = native;

/** Requests, in the order of `OPS` in src/mongo/wire.rs. */
const OPS = Object.fromEntries(
  [
    ...["find", "upsert", "softRemove", "candle", "candles", "range", "insert", "change", "rows", "count", "open", "next"],
    ...["close", "delete", "ping", "window", "export", "merge", "inspect"],
  ].map((name, number) => [name, number]),
);
/** Kinds of answers, as `Answer::push` there numbers them; the others are documents. */
const [NONE, BY_KEY, PAGE, COLUMNS, FAILED] = [0, 2, 3, 4, 6];
/** Bytes before each answer: call, kind, number, length. */
const HEAD = 16;

/** The table of collections. */
const table = collections();
const CANDLES = table.findIndex((row) => row.service === "candleDbService");
/** With so many requests, bytes or milliseconds, a tick's requests are sent before its end, which may be far. */
const [MANY, LARGE, LATE_MS] = [1_000, 1024 * 1024, 10];

/** Errors that say that no server answers. */
const AWAY = ["MONGO_UNAVAILABLE", "MONGO_TIMEOUT"];

/** Calls that wait, by number: `{ resolve, reject }`. */
const waiting = new Map();
/** Why MongoDB counts as away: the error of the last call, if it says that no server answers. Else null. */
let absence = null;
/** How many of them keep the process alive. */
let loud = 0;
let last = 0;
let arranged = false;
let configured = false;
/** Requests of this tick, their bytes, and when the first of them came. */
const tick = { requests: 0, bytes: 0, since: 0 };

function flush() {
  arranged = false;
  push();
}

/** Hands the tick's requests over. */
function push() {
  tick.requests = 0;
  tick.bytes = 0;
  engine.mongoFlush();
}

/** Hands the tick's requests over while the tick goes on for long: the thread that sends them may need this one's core. */
function pushAhead() {
  push();
  engine.mongoGiveWay();
}

/**
 * The bytes of a document. Undefined within values is null, as in the original's updates; its inserts drop it. Throws
 * INVALID_VALUE where a value has no bytes.
 */
function encode(document, op) {
  try {
    return codec().serialize(document, { ignoreUndefined: op === OPS.insert });
  } catch (error) {
    throw withCode(error, "INVALID_VALUE", "the value has no BSON form");
  }
}

/** Takes the configuration into use, before the first call and after each close(). */
function ready() {
  if (!configured) {
    if (!engine.mongoIsOpen()) {
      const set = values();
      engine.mongoConfigure(set);
      native.inUse.mongo = set;
      native.embedded = native.isEmbedded(set);
      memory.configure(JSON.parse(engine.showConfig(set)));
    }
    configured = true;
  }
}

/** Asks; the answer is `{ kind, number, bytes, call }`. */
function ask(op, collection, body) {
  const candles = collection === CANDLES ? disturbed(op) : undefined;
  candles?.();
  const { answer, caller } = send(op, collection, body);
  hold(caller);
  if (candles !== undefined) {
    answer.then(candles, candles);
  }
  return answer;
}

/**
 * Asks in the background: `{ answer, hold }`. It keeps no process alive, and close() drops it, until `hold()` is called because
 * somebody waits for the answer.
 */
function askQuietly(op, collection, body) {
  const { answer, caller } = send(op, collection, body);
  return { answer, hold: () => hold(caller) };
}

/** Tells the candle cache of a request that changes rows: when it is made, and when it is over, however it ended. */
function disturbed(op) {
  if (op === OPS.change || op === OPS.delete || op === OPS.merge) {
    return memory.empty;
  }
  // The new row may be a candle that the cache knows as absent.
  return op === OPS.insert ? () => memory.cache?.voidAbsence() : undefined;
}

function send(op, collection, body) {
  const bytes = encode(body, op);
  ready();
  last = last === 0x7fffffff ? 1 : last + 1;
  const call = last;
  engine.mongoPush(call, op, collection, bytes);
  if (!arranged) {
    // In this order: if scheduling throws because the stack has run out, the next call schedules it.
    atEndOfTick(flush);
    arranged = true;
    tick.since = now();
  }
  const caller = { resolve: null, reject: null, loud: false, over: false };
  const answer = new Promise((resolve, reject) => {
    caller.resolve = resolve;
    caller.reject = reject;
  });
  waiting.set(call, caller);
  tick.requests++;
  tick.bytes += bytes.byteLength;
  if (tick.requests >= MANY || tick.bytes >= LARGE || now() - tick.since > LATE_MS) {
    push();
    tick.since = now();
  }
  return { answer, caller };
}

/** Calls that are sent when others are over, and were not so far. close() waits for them. */
const queued = new Set();

/**
 * What `send()` comes to, called when `before` is over, which resolves with whether all of it succeeded. If it failed, and close()
 * was called meanwhile, nothing is sent: that would have close() wait for one deadline after the other.
 */
function afterwards(before, send) {
  const { closes } = native;
  const turn = before.then((succeeded) => {
    if (!succeeded && native.closes !== closes) {
      throw makeError("CLOSED", "Error", "close() was called before the write was sent, and the one before it failed");
    }
    return send();
  });
  queued.add(turn);
  const end = () => queued.delete(turn);
  turn.then(end, end);
  return turn;
}

/** Keeps the process alive for a call, unless that is over already. */
function hold(caller) {
  if (!caller.loud && !caller.over) {
    caller.loud = true;
    loud++;
    engine.mongoHold(true);
  }
}

/** A call is over. */
function release(caller) {
  caller.over = true;
  loud -= Number(caller.loud);
}

/** The error of a failed call; its cause has what the server said. */
function errorOf({ code, class: className, message, cause, server }) {
  const why = server === undefined ? cause : Object.assign(new Error(cause ?? message), server);
  return makeError(code, className, message, why);
}

/** Whether a failure says that no server answers: also that of a write which one may have received before it was gone. */
function isOfAbsence({ code, server }) {
  return AWAY.includes(code) || (code === "MONGO_UNKNOWN" && server === undefined);
}

/** Resolves or rejects the call that an answer belongs to. */
function tell(caller, { call, kind, number, bytes }) {
  if (call === 0) {
    callLogger(loggerService, "warn", [codec().deserialize(bytes).notice]);
  } else if (kind === FAILED) {
    const failure = codec().deserialize(bytes);
    const error = errorOf(failure);
    absence = isOfAbsence(failure) ? error : null;
    caller?.reject(error);
  } else {
    absence = null;
    caller?.resolve({ kind, number, bytes, call });
  }
}

/** The error of an answer that the codec cannot read, for example because a text is not UTF-8. */
const undecodable = (error) => makeError("MONGO_REPLY", "Error", `the server's answer cannot be decoded: ${error?.message}`, error);

/**
 * Takes what the background thread has answered since the last time; see `Answer::push` in src/mongo/wire.rs. An answer that
 * cannot be read fails its own call only.
 */
function settle(answers) {
  for (let at = 0; at < answers.length; ) {
    const call = answers.readUInt32LE(at);
    const kind = answers.readUInt32LE(at + 4);
    const number = answers.readUInt32LE(at + 8);
    const length = answers.readUInt32LE(at + 12);
    const bytes = answers.subarray(at + HEAD, at + HEAD + length);
    at += HEAD + length;
    const caller = waiting.get(call);
    waiting.delete(call);
    if (caller !== undefined) {
      release(caller);
    }
    try {
      tell(caller, { call, kind, number, bytes });
    } catch (error) {
      caller?.reject(undecodable(error));
    }
  }
  if (loud === 0) {
    engine.mongoHold(false);
  }
}

function decoded(bytes) {
  try {
    return codec().deserialize(bytes);
  } catch (error) {
    throw undecodable(error);
  }
}

/** A row as users see it: a document with `id`, the text of `_id`. */
function rowOf(bytes) {
  const { ObjectId } = codec();
  const row = decoded(bytes);
  row.id = row._id instanceof ObjectId ? row._id.toHexString() : String(row._id);
  return row;
}

/** The row of a context of texts, where the embedded store has it at hand, with its id noted; null where it must be asked. */
function rowNow(collection, noun, context) {
  ready();
  const bytes = engine.storeRow(collection, noun, ...context);
  return bytes === null ? null : rowOf(bytes);
}

/** All documents of an answer. */
function rowsOf({ bytes }) {
  const rows = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readInt32LE(at);
    rows.push(rowOf(bytes.subarray(at, at + length)));
    at += length;
  }
  return rows;
}

/** The document of an answer, or null. */
function onlyRow({ kind, bytes }) {
  return kind === NONE || bytes.length === 0 ? null : rowOf(bytes);
}

/** The promise of a close() that is under way, or null. */
let closing = null;

/**
 * Closes the connections when their calls are over, and those of an earlier close() too. Calls that are made meanwhile open new
 * ones. Null where there is nothing to wait for.
 */
function close() {
  if (engine.mongoIsOpen()) {
    const end = closeSession(closing);
    closing = end;
    end.then(() => {
      if (closing === end) {
        closing = null;
      }
    });
  }
  return closing;
}

async function closeSession(before) {
  if (queued.size > 0) {
    await Promise.allSettled(queued);
  }
  memory.empty();
  absence = null;
  flush();
  for (const [call, caller] of waiting) {
    if (!caller.loud) {
      waiting.delete(call);
    }
  }
  const calls = [...waiting.values()].map(settled);
  engine.mongoClose();
  configured = false;
  await Promise.all([before, ...calls]);
  // The db services write the ids of these calls' rows to Redis, which must come before Redis is closed.
  await new Promise((resolve) => setImmediate(resolve));
}

/** When a call is through, however it ends. */
function settled(caller) {
  return new Promise((done) => {
    const { resolve, reject } = caller;
    caller.resolve = (answer) => (resolve(answer), done());
    caller.reject = (error) => (reject(error), done());
  });
}

Object.assign(native.mongo, { settle, close });

/** The error for a row that is not there, in the original's words. */
const notFound = (name) => makeError("NOT_FOUND", "Error", `${name} not found`);

const whyAway = () => absence;

module.exports = { BY_KEY, CANDLES, COLUMNS, NONE, OPS, PAGE, afterwards, ask, askQuietly, whyAway, notFound, onlyRow, pushAhead, ready, rowNow, rowsOf, table };

"use strict";
// Comments of the declarations: how they are laid out, what each argument means, and which errors a call has.

const WIDTH = 120;

/** What an argument means, by its name: it means the same in every service. */
const ARGUMENTS = {
  symbol: "Trading pair, like `BTCUSDT`.",
  strategyName: "Name of the strategy.",
  exchangeName: "Name of the exchange.",
  frameName: "Name of the frame, the span of time that is traded.",
  signalId: "Id of the signal.",
  riskName: "Name of the risk profile.",
  backtest: "True for backtests, false for live trading.",
  notificationId: "Id of the notification.",
  entryId: "Id of the log entry.",
  bucket: "Name of the bucket.",
  entryKey: "Key of the entry within its bucket.",
  bucketName: "Name of the bucket.",
  memoryId: "Id of the memory within its bucket.",
  dictionaryName: "Name of the dictionary.",
  interval: "Length of the candle, like `1m`.",
  timestamp: "When the candle opens, in milliseconds since 1970.",
  sinceTimestamp: "When the first candle opens, in milliseconds since 1970.",
  limit: "Number of candles, 0 to 1000000.",
  payload: "What is stored, as a whole. Undefined keeps what is there.",
  positions: "The active positions, as a whole. Undefined keeps what is there.",
  when: "The logical time of the write. It is stored in milliseconds since 1970, and nothing is filtered by it.",
  options: "`limit`: the most rows, a whole number; 0 is no limit.",
};

/** The codes of whatever waits for a server. */
const CODES = {
  redis: "`REDIS_UNAVAILABLE`, `REDIS_TIMEOUT`, `REDIS_AUTH`, `REDIS_REPLY`",
  read: "`MONGO_UNAVAILABLE`, `MONGO_TIMEOUT`, `MONGO_REPLY`",
  write: "`MONGO_UNAVAILABLE`, `MONGO_TIMEOUT`, `MONGO_WRITE`, `MONGO_UNKNOWN`",
  every: "`QUEUE_FULL`, `CLOSED`, `INVALID_CONFIG`",
};

/** `@throws` for a call: what is wrong with its arguments, and what its server may answer. */
function throwing(kind, wrong) {
  return [...wrong.map((text) => `@throws TypeError ${text}`), `@throws Error ${CODES[kind]}, ${CODES.every}.`];
}

/** `@param` for each argument. */
function parameters(args) {
  return args.map(({ name }) => `@param ${name} ${ARGUMENTS[name]}`);
}

/** A line of words, as several where it is too long; what follows a tag is indented. */
function wrapped(line, room) {
  if (line.length <= room || line.startsWith(" ")) return [line];
  const indent = line.startsWith("@") || /^\d\. /.test(line) ? "  " : "";
  const lines = [""];
  for (const word of line.split(" ")) {
    const last = lines.at(-1);
    if (last.trim() !== "" && last.length + 1 + word.length > room) lines.push(`${indent}${word}`);
    else lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
  }
  return lines;
}

/** A comment of these lines; an empty one stands between paragraphs. Lines that begin with a space are kept as they are. */
function comment(lines, indent = "") {
  const body = lines.flatMap((line) => wrapped(line, WIDTH - indent.length - 3));
  if (body.length === 1) return `${indent}/** ${body[0]} */`;
  return [`${indent}/**`, ...body.map((line) => `${indent} * ${line}`.trimEnd()), `${indent} */`].join("\n");
}

module.exports = { comment, parameters, throwing };

"use strict";
// Where backtest-kit's file adapters keep what, and the row that a file is. A folder's name joins its parts with `_`, which parts
// may have as well; so the content is asked first, then the exchanges that are known from elsewhere. A symbol with a `/` makes
// folders of its own, where the kit can write it at all.

/** What JSON has no number for: the kit's file adapters read these back as Infinity. */
function restored(signal) {
  if (signal !== null && typeof signal === "object" && "minuteEstimatedTime" in signal && signal.minuteEstimatedTime === null) {
    return { ...signal, minuteEstimatedTime: Infinity };
  }
  return signal;
}

const whole = (strategy) =>
  strategy === null || typeof strategy !== "object" ? strategy : Object.fromEntries(Object.entries(strategy).map(([name, value]) => [name, restored(value)]));

const isText = (value) => typeof value === "string" && value !== "";

/** The ways to split `rest` into what comes before an exchange that is known, and that. */
const endings = (rest, exchanges) => exchanges.filter((name) => rest.endsWith(`_${name}`) && rest.length > name.length + 1).map((exchangeName) => [rest.slice(0, -exchangeName.length - 1), exchangeName]);

/** The only one of several, or null: a guess would be a row of somebody else. */
const only = (ways) => (ways.length === 1 ? ways[0] : null);

/** `strategyName` and `exchangeName` of `<strategy>_<exchange>`. */
function pair(rest, given, exchanges) {
  const { strategyName, exchangeName } = given ?? {};
  if (isText(strategyName) && isText(exchangeName) && rest === `${strategyName}_${exchangeName}`) return { strategyName, exchangeName };
  const parts = rest.split("_");
  if (parts.length === 2) return { strategyName: parts[0], exchangeName: parts[1] };
  const way = only(endings(rest, exchanges));
  return way && { strategyName: way[0], exchangeName: way[1] };
}

/** The same of `<symbol>_<strategy>_<exchange>`; without a symbol that is known it is what comes before the first `_`. */
function triple(folder, symbol, given, exchanges) {
  const known = symbol ?? given?.symbol;
  const first = isText(known) && folder.startsWith(`${known}_`) ? known : folder.slice(0, folder.indexOf("_"));
  const rest = pair(folder.slice(first.length + 1), given, exchanges);
  return first === "" || rest === null ? null : { symbol: first, ...rest };
}

const firstSignal = (content) => Object.values(content ?? {}).find((value) => isText(value?.strategyName));

const MODES = { backtest: true, live: false };

/** `<symbol>_<strategy>_<exchange>[_<frame>]_<mode>` */
function recent(folder, symbol, given, exchanges) {
  const mode = Object.keys(MODES).find((name) => folder.endsWith(`_${name}`));
  if (mode === undefined || !folder.startsWith(`${symbol}_`)) return null;
  const rest = folder.slice(symbol.length + 1, -mode.length - 1);
  const whole = (parts, frameName) => parts && { symbol, ...parts, frameName, backtest: MODES[mode] };
  const frame = given?.frameName;
  if (isText(frame) && rest.endsWith(`_${frame}`)) return whole(pair(rest.slice(0, -frame.length - 1), given, exchanges), frame);
  const plain = pair(rest, given, exchanges);
  if (plain !== null && (isText(given?.strategyName) || mode === "live")) return whole(plain, "");
  const ways = exchanges.flatMap((exchangeName) => {
    const at = rest.indexOf(`_${exchangeName}_`);
    return at > 0 ? [{ strategyName: rest.slice(0, at), exchangeName, frame: rest.slice(at + exchangeName.length + 2) }] : [];
  });
  const way = only(ways);
  return way && { symbol, strategyName: way.strategyName, exchangeName: way.exchangeName, frameName: way.frame, backtest: MODES[mode] };
}

/** The row of a signal's file. */
const signal = ([folder], name, content, known) => row(triple(folder, name, content, known), restored(content));

/** The candle of a file in <exchange>/<symbol>/<interval>. */
function candle([exchangeName, ...rest], name, content) {
  const [symbol, interval] = [rest.slice(0, -1).join("/"), rest.at(-1)];
  const { timestamp, open, high, low, close, volume } = content ?? {};
  const numbers = [timestamp, open, high, low, close, volume];
  if (symbol === "" || numbers.some((value) => typeof value !== "number") || String(timestamp) !== name) return null;
  return { key: { exchangeName, symbol, interval, timestamp }, values: { close, high, low, open, volume } };
}

/** Entries that may be marked as removed. */
const entry = (key, content, dated) => ({ key, values: { payload: content, removed: content?.removed === true }, dated });

/** A row of one context. */
const row = (key, payload, dated = false) => key && { key, values: { payload }, dated };

/**
 * By folder: the collection, and the row of a file by its folders, its name and its content; null where it cannot be told.
 * `beside`: the folder lies beside `data`, and not in it. `dated` rows have a logical time, which files do not keep: it is that of
 * the file.
 */
const LAYOUT = {
  candle: { collection: "candle-items", of: candle },
  signal: { collection: "signal-items", of: signal },
  schedule: { collection: "schedule-items", of: signal },
  strategy: {
    collection: "strategy-items",
    of: (folders, name, content, known) => (name === "strategy" ? row(triple(folders.join("/"), null, firstSignal(content), known), whole(content)) : null),
  },
  risk: {
    collection: "risk-items",
    of(folders, name, content, known) {
      const folder = folders.join("/");
      const position = Array.isArray(content) ? content.map((one) => one?.[1]).find((one) => isText(one?.exchangeName)) : undefined;
      const exchanges = position === undefined ? known : [position.exchangeName];
      const parts = folder.split("_");
      const way = parts.length === 2 ? parts : only(endings(folder, exchanges));
      if (name !== "positions" || way === null) return null;
      const positions = Array.isArray(content) ? content.map((one) => (Array.isArray(one) ? [one[0], restored(one[1]), ...one.slice(2)] : one)) : content;
      return { key: { riskName: way[0], exchangeName: way[1] }, values: { positions }, dated: true };
    },
  },
  partial: { collection: "partial-items", of: (folders, name, content, known) => signalRow(folders.join("/"), name, content, known) },
  breakeven: { collection: "breakeven-items", of: (folders, name, content, known) => signalRow(folders.join("/"), name, content, known) },
  storage: { collection: "storage-items", of: ([mode], name, content) => (mode in MODES ? row({ backtest: MODES[mode], signalId: name }, restored(content)) : null) },
  notification: {
    collection: "notification-items",
    of: ([mode], name, content) => (mode in MODES ? row({ backtest: MODES[mode], notificationId: name }, restored(content)) : null),
  },
  log: { collection: "log-items", of: (folders, name, content) => row({ entryId: name }, content) },
  measure: { collection: "measure-items", of: (folders, name, content) => entry({ bucket: folders.join("/"), entryKey: name }, content, false) },
  interval: { collection: "interval-items", of: (folders, name, content) => entry({ bucket: folders.join("/"), entryKey: name }, content, true) },
  recent: { collection: "recent-items", of: ([folder], name, content, known) => row(recent(folder, name, content, known), restored(content), true) },
  memory: {
    ...{ collection: "memory-items", beside: true },
    of: ([signalId, ...bucket], name, content) => (bucket.length === 0 ? null : entry({ signalId, bucketName: bucket.join("/"), memoryId: name }, content, true)),
  },
  state: {
    ...{ collection: "state-items", beside: true },
    of: ([signalId, ...bucket], name, content) => (bucket.join("/") === name ? row({ signalId, bucketName: name }, content, true) : null),
  },
  session: {
    ...{ collection: "session-items", beside: true },
    of([strategyName, exchangeName, ...frame], name, content) {
      const mode = Object.keys(MODES).find((one) => name.endsWith(`_${one}`));
      if (mode === undefined || frame.length === 0) return null;
      const symbol = name.slice(0, -mode.length - 1);
      return row({ strategyName, exchangeName, frameName: frame.join("/"), symbol, backtest: MODES[mode] }, content, true);
    },
  },
};

function signalRow(folder, signalId, content, known) {
  const names = triple(folder, null, null, known);
  return names && row({ ...names, signalId }, content, true);
}

module.exports = { LAYOUT };

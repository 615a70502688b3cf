"use strict";

const { CALLS, SCANS, REGIMES, FULL } = require("./cases.js");
const { PEERS, BASE } = require("./peers/index.js");

const KNOWN = [...CALLS, ...SCANS, "near", "mongo", "candles", "store", "kit", "cluster"];

const HELP = `npm run bench -- [options]

  --quick               a small run, about a minute and a half; its result goes to bench/results/quick.*
  --only get,set        only these operations: ${KNOWN.join(", ")} (near: the near cache's
                        cases, mongo: the db services, candles: the adapters' reads and writes of candles,
                        store: the embedded store, kit: the real backtest-kit,
                        cluster: a Redis Cluster of three masters)
  --regime quiet|hot|shared, or both (quiet and hot); otherwise all three
  --peers ours,ioredis  only these: ${PEERS.map((peer) => peer.id).join(", ")} (${BASE} always takes part)
  --rounds N            rounds of calls (full: ${FULL.rounds})
  --json file           also write the result there
  --readme              write the figures of full runs into README.md and docs/ (also: node bench/readme.js)
  --no-build            take the addon as it is
`;

function parse(argv) {
  const options = { quick: false, only: null, regimes: Object.keys(REGIMES), peers: null, rounds: 0, json: "", build: true, readme: false, help: false };
  const words = argv.flatMap((word) => (/^--\w+=/.test(word) ? [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)] : [word]));
  const value = (name) => {
    const word = words.shift();
    if (word === undefined || word.startsWith("--")) throw new Error(`${name} needs a value`);
    return word;
  };
  while (words.length > 0) {
    const word = words.shift();
    if (word === "--quick") options.quick = true;
    else if (word === "--readme") options.readme = true;
    else if (word === "--no-build") options.build = false;
    else if (word === "--help" || word === "-h") options.help = true;
    else if (word === "--only") options.only = list(value(word), KNOWN, word);
    else if (word === "--peers") options.peers = list(value(word), PEERS.map((peer) => peer.id), word);
    else if (word === "--json") options.json = value(word);
    else if (word === "--rounds") options.rounds = positive(value(word), word);
    else if (word === "--regime") {
      const [regime] = list(value(word), [...Object.keys(REGIMES), "both"], word);
      options.regimes = regime === "both" ? ["quiet", "hot"] : [regime];
    } else throw new Error(`unknown option ${word}\n\n${HELP}`);
  }
  if (options.peers && !options.peers.includes(BASE)) options.peers.push(BASE);
  return options;
}

function list(text, known, name) {
  const items = text.split(",").filter(Boolean);
  const stranger = items.find((item) => !known.includes(item));
  if (stranger !== undefined) throw new Error(`${name}: ${stranger} is none of ${known.join(", ")}`);
  return items;
}

function positive(text, name) {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Error(`${name}: ${text} is not a positive number`);
  return number;
}

/** A part's plan for these options. */
function planOf({ quick, rounds }, plans) {
  return { ...(quick ? plans.quick : plans.full), ...(rounds ? { rounds } : {}) };
}

module.exports = { planOf, parse, HELP, KNOWN };

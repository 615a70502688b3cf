"use strict";

// The data on the server. Scripts on the server write it: a million keys take a second or two, and no client is warmed
// or cooled by it.

const data = require("./peers/data.js");

const CHUNK = 50_000;

const WRITE = `
for i = tonumber(ARGV[2]), tonumber(ARGV[3]) - 1 do
  redis.call('SET', ARGV[1] .. i, ARGV[4])
end`;

// Redis grows its table step by step, one step per command, and scans a table in two halves until it is done.
const TOUCH = `
for i = tonumber(ARGV[2]), tonumber(ARGV[3]) - 1 do
  redis.call('EXISTS', ARGV[1] .. i)
end`;

async function run(server, ...args) {
  const reply = await server.command(...args.map(String));
  if (reply instanceof Error) throw reply;
  return reply;
}

async function inChunks(server, script, prefix, count) {
  for (let from = 0; from < count; from += CHUNK) {
    await run(server, "EVAL", script, 0, prefix, from, Math.min(count, from + CHUNK), data.VALUE);
  }
}

/** An empty server with what the calls read. */
async function fillCalls(server) {
  await run(server, "FLUSHALL");
  await inChunks(server, WRITE, `${data.PLAIN}:key:`, data.KEYS);
}

/** An empty server with `own` keys in the scanned namespace and `others` outside it. */
async function fillScans(server, own, others) {
  await run(server, "FLUSHALL");
  await inChunks(server, WRITE, "other_map:key:", others);
  await fillOwn(server, own);
  await inChunks(server, TOUCH, "other_map:key:", others);
  await inChunks(server, TOUCH, `${data.SCANNED}:key:`, own);
}

/** The scanned keys again, after a clear. */
async function fillOwn(server, own) {
  await inChunks(server, WRITE, `${data.SCANNED}:key:`, own);
  await inChunks(server, TOUCH, `${data.SCANNED}:key:`, own);
}

/** An empty server with keys that nobody has read. */
async function fillCold(server, keys) {
  await run(server, "FLUSHALL");
  for (let from = 0; from < keys.length; from += CHUNK / 10) {
    await run(server, "MSET", ...keys.slice(from, from + CHUNK / 10).flatMap((key) => [key, data.VALUE]));
  }
}

function keyCount(server) {
  return run(server, "DBSIZE");
}

/** Throws unless the peer writes what all of them write: equal work is what makes the times comparable. */
async function verify(server, peer) {
  await run(server, "FLUSHALL");
  const read = await peer.ask("once");
  const text = async (key) => String(await run(server, "GET", key));
  const ttl = await run(server, "TTL", data.expiringKeys[0]);
  const facts = [
    ["set", await text(data.plainKeys[0]), data.VALUE],
    ["set with TTL", await text(data.expiringKeys[0]), data.VALUE],
    ["setSignalId", await text(data.signalKeys[0]), data.VALUE],
    ["get", read.get, data.VALUE],
    ["has", read.has, true],
    ["the time to live", ttl > data.TTL_SECONDS - 5 && ttl <= data.TTL_SECONDS, true],
    ["the number of keys", await keyCount(server), 3],
  ];
  for (const [what, got, wanted] of facts) {
    if (got !== wanted) throw new Error(`${peer.title}: ${what} is ${got}, expected ${wanted}`);
  }
}

module.exports = { run, fillCalls, fillScans, fillOwn, fillCold, keyCount, verify };

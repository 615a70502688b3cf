"use strict";

// The least rights that an ACL user needs, as docs/deployment.md has them: everything that is sent is in it, and everything in
// it is sent.

const fs = require("node:fs");
const path = require("node:path");
const { serial: test } = require("ava");
const { loadFor, outcome, root, serverFor, until } = require("./support/addon.js");
const { LEASE_MS } = require("./support/near.js");

const document = fs.readFileSync(path.join(root, "docs", "deployment.md"), "utf8");
const rule = /^ACL SETUSER (\S+) (.*)$/m.exec(document);
const words = rule[2].split(" ");
const commands = words.filter((word) => word.startsWith("+"));

/** A user with the document's rule, but for one command. */
async function user(redis, name, without) {
  const reply = await redis.command("ACL", "SETUSER", name, ...words.filter((word) => word !== without));
  if (reply instanceof Error) throw reply;
}

/** What the server has refused to a user. */
async function refused(redis, name) {
  const entries = await redis.command("ACL", "LOG", "1000");
  const objects = entries.map((entry) => Object.fromEntries(entry.map((word, i) => [String(word), String(entry[i + 1])])));
  return objects.filter((entry) => entry.username === name).map((entry) => `+${entry.object}`);
}

/** Everything that the package sends, over two connections; the errors that came of it. */
async function story(t, redis, name) {
  const password = words.find((word) => word.startsWith(">")).slice(1);
  const url = `redis://${name}:${password}@127.0.0.1:${redis.port}/2`;
  const lib = loadFor(t, { CC_REDIS_URL: url, CC_REDIS_TIMEOUT_MS: 1000, CC_NEAR_CACHE: "on" });
  const [signals, map] = [lib.ioc.signalCacheService, new lib.BaseMap(`last_price:${name}`, 60)];
  const get = () => signals.getSignalId("foreign", "s", "x");
  const results = [await outcome(get())];
  if (results[0].error?.code === "REDIS_UNAVAILABLE") return { lib, errors: [results[0].error] };
  // What somebody else wrote is read again, with its expiry, when it has been asked for all through one lease.
  for (const end = Date.now() + LEASE_MS + 500; Date.now() < end; ) {
    results.push(await outcome(get()));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  // However late the last one came.
  results.push(await outcome(get()));
  const row = { symbol: name, strategyName: "s", exchangeName: "x", id: "1" };
  const calls = [() => signals.setSignalId(row), () => signals.hasSignalId("nobody", "s", name), () => lib.ioc.redisService.waitForInit()];
  calls.push(() => map.set("k", "v"), () => map.get("k"), () => map.has("k"), () => map.toArray(), () => map.size());
  calls.push(() => map.delete("k"), () => map.clear());
  for (const call of calls) results.push(await outcome(call()));
  await redis.command("CLIENT", "KILL", "USER", name);
  await until(() => lib.health().redis.state !== "ready" || lib.stats().redis.connects > 1, "the connection is lost");
  results.push(await outcome(map.get("k")));
  return { lib, errors: results.map(({ error }) => error).filter(Boolean) };
}

async function prepared(t) {
  const redis = await serverFor(t);
  await redis.command("SELECT", "2");
  await redis.command("SET", "signal_cache:x:s:foreign", "1");
  return redis;
}

test("the rights that deployment.md names are enough for everything, near cache and reconnection too", async (t) => {
  const redis = await prepared(t);
  await user(redis, "bot");
  const { lib, errors } = await story(t, redis, "bot");
  t.deepEqual(errors, []);
  t.deepEqual(await refused(redis, "bot"), []);
  t.is(lib.health().nearCache.state, "alive");
  await redis.command("SET", "signal_cache:x:s:foreign", "2");
  await until(async () => (await lib.ioc.signalCacheService.getSignalId("foreign", "s", "x")) === "2", "the change is seen");
});

test("each of the rights that deployment.md names is used", async (t) => {
  const redis = await prepared(t);
  t.true(commands.length > 5);
  const name = (command) => `without-${command.slice(1).replace("|", "-")}`;
  for (const command of commands) await user(redis, name(command), command);
  await Promise.all(commands.map((command) => story(t, redis, name(command))));
  for (const command of commands) t.deepEqual([...new Set(await refused(redis, name(command)))], [command]);
});

"use strict";

// Keys that expire. The server of these tests never deletes a key by itself, so nothing is announced at its end: what
// is known must end by what was asked about it. The tests wait for seconds, so they do it at the same time.

const test = require("ava");
const { withRedis } = require("./support/addon.js");

const own = withRedis(test.serial, {
  config: { CC_NEAR_CACHE: "on" },
  args: ["--enable-debug-command", "yes"],
});
const LIFE_MS = 5000;
/** What is known without its expiry is told for so long. */
const BRIEF_MS = 2000;
/** Redis counts an expiry in whole milliseconds. */
const SLACK_MS = 5;

test.serial.before(async () => {
  await own.lib.ioc.redisService.waitForInit();
  await own.server.command("DEBUG", "SET-ACTIVE-EXPIRE", "0");
});

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const signals = () => own.lib.ioc.signalCacheService;
const READS = {
  get: async (name) => (await signals().getSignalId(name, "s", "x")) !== null,
  has: (name) => signals().hasSignalId(name, "s", "x"),
};

/**
 * Asks for a key with 5 s to live (or what `words` say instead) all the time until that is long over; `which(ms)` names
 * the read for a moment of its life. Resolves with the commands of its life, and the moments after its end at which it
 * was still told.
 */
async function outlive(key, which, words = ["PX", String(LIFE_MS)]) {
  const full = `signal_cache:x:s:${key}`;
  await own.server.command("SET", full, "1", ...words);
  // The key ends at the latest so long after the answer.
  const start = performance.now();
  const late = [];
  let commands = [];
  let alive = true;
  let pause = 0;
  for (let last = start; last - start < LIFE_MS + 400; ) {
    const asked = performance.now();
    pause = Math.max(pause, asked - last);
    last = asked;
    const there = await READS[which(asked - start)](key);
    if (there && asked - start > LIFE_MS + SLACK_MS) late.push(asked - start);
    if (alive && performance.now() - start > LIFE_MS - 200) {
      alive = false;
      await own.monitor.settle();
      commands = own.monitor.commands.filter(([, asked]) => asked === full).map(([name]) => name.toUpperCase());
    }
    await sleep(10);
  }
  // Who sleeps for a second may find that the lease is over, and asks more often.
  return { late, commands, disturbed: pause > 500 };
}

/** The same, again where the machine stood still meanwhile. */
async function outliveUndisturbed(t, key, which, words) {
  let result;
  for (let attempt = 0; attempt < 3; attempt++) {
    result = await outlive(`${key}${attempt}`, which, words);
    if (words === undefined) t.deepEqual(result.late, [], "told after the end of the key");
    if (!result.disturbed) break;
  }
  return result.commands;
}

test("a key with an expiry is asked for once, once more with its expiry, and then not before its end", async (t) => {
  t.deepEqual(await outliveUndisturbed(t, "get", () => "get"), ["GET", "GET", "PTTL"]);
});

for (const [what, which] of [
  ["only ever asked whether it is there", () => "has"],
  ["first asked whether it is there, and later for its id", (ms) => (ms < BRIEF_MS - 100 ? "has" : "get")],
]) {
  test(`a key that is ${what} is asked for its expiry too, and then not before its end`, async (t) => {
    const [first, ...more] = await outliveUndisturbed(t, what.replaceAll(" ", "-"), which);
    t.is(first, "EXISTS");
    t.is(more.at(-1), "PTTL");
    t.is(more.filter((name) => name === "PTTL").length, 1, more.join(" "));
    // The id may be asked for once without the expiry, where only presence was known.
    t.true(more.length <= 3, more.join(" "));
  });
}

test("a key that has expired unannounced is not there at the first question", async (t) => {
  await own.server.command("SET", "signal_cache:x:s:gone", "1", "PX", "1");
  await sleep(20);
  t.is(await signals().getSignalId("gone", "s", "x"), null);
  t.false(await signals().hasSignalId("gone", "s", "x"));
});

test("a foreign key without an expiry is asked for once, once more with its expiry, and no more", async (t) => {
  t.deepEqual(await outliveUndisturbed(t, "kept", () => "get", []), ["GET", "GET", "PTTL"]);
});

test("an expiry that somebody gives to a key of ours is heeded within the lease", async (t) => {
  await signals().setSignalId({ symbol: "given", strategyName: "s", exchangeName: "x", id: "1" });
  t.is(await signals().getSignalId("given", "s", "x"), "1");
  await own.server.command("PEXPIRE", "signal_cache:x:s:given", "500");
  const end = performance.now() + 500;
  const late = [];
  while (performance.now() < end + BRIEF_MS + 500) {
    const asked = performance.now();
    const there = await READS.get("given");
    if (there && asked > end + BRIEF_MS + SLACK_MS) late.push(asked - end);
    await sleep(10);
  }
  t.deepEqual(late, []);
});

test("a time to live of our own is asked for, and ends what is known", async (t) => {
  await new own.lib.BaseMap("signal_cache", 3).set("x:s:ours", "1");
  const start = performance.now();
  const late = [];
  while (performance.now() - start < 3300) {
    const asked = performance.now() - start;
    if ((await READS.get("ours")) && asked > 3000 + SLACK_MS) late.push(asked);
    await sleep(10);
  }
  t.deepEqual(late, []);
});

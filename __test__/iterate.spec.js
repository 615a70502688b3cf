"use strict";

// The protocol of the async generators: lazy, ordered, and over when they are told so.

const { serial: test } = require("ava");
const { withRedis, loadFor, collect, recorder, outcome, until } = require("./support/addon.js");
const { fakeFor, page } = require("./support/fake-redis.js");

const own = withRedis(test);
const METHODS = ["iterate", "keys", "values"];
const TOPICS = { iterate: "BaseMap iterate", keys: "BaseMap iterate keys", values: "BaseMap iterate values" };

const map = () => new own.lib.BaseMap("it", -1);

test.beforeEach(async () => {
  await own.server.command("FLUSHALL");
  const words = [];
  for (let i = 0; i < 250; i++) words.push(`it:k${i}`, `v${i}`);
  await own.server.command("MSET", ...words);
});

for (const method of METHODS) {
  test(`${method} is an async generator`, async (t) => {
    const generator = map()[method]();
    t.is(Object.prototype.toString.call(generator), "[object AsyncGenerator]");
    t.is(generator[Symbol.asyncIterator](), generator);
    for (const name of ["next", "return", "throw"]) t.is(typeof generator[name], "function");
    t.true(generator.next() instanceof Promise);
    await generator.return();
  });

  test(`${method} sends and logs nothing before the first next()`, async (t) => {
    const logger = recorder();
    own.lib.setLogger(logger);
    let generator;
    const before = await own.calls(async () => {
      generator = map()[method]();
      await new Promise(setImmediate);
      await new Promise(setImmediate);
    });
    t.deepEqual(before, []);
    t.deepEqual(logger.calls, []);
    const pending = generator.next();
    t.deepEqual(logger.calls, [["info", TOPICS[method]]], "at the first next(), at once");
    t.false((await pending).done);
    await generator.next();
    own.lib.setLogger(null);
    t.is(logger.calls.length, 1, "once");
    await generator.return();
  });

  test(`${method} gives 300 overlapping next() calls 250 distinct items and 50 ends, in order`, async (t) => {
    const generator = map()[method]();
    const order = [];
    const steps = Array.from({ length: 300 }, (_, i) => generator.next().then((step) => (order.push(i), step)));
    const results = await Promise.all(steps);
    t.deepEqual(order, Array.from({ length: 300 }, (_, i) => i));
    t.deepEqual(results.map((step) => step.done), [...Array(250).fill(false), ...Array(50).fill(true)]);
    t.is(new Set(results.slice(0, 250).map((step) => String(step.value))).size, 250);
    t.true(results.slice(250).every((step) => step.value === undefined));
  });

  test(`${method} that was returned before its start never sends or logs anything`, async (t) => {
    const logger = recorder();
    own.lib.setLogger(logger);
    const commands = await own.calls(async () => {
      const generator = map()[method]();
      t.deepEqual(await generator.return("R"), { value: "R", done: true });
      t.deepEqual(await generator.next(), { value: undefined, done: true });
    });
    own.lib.setLogger(null);
    t.deepEqual(commands, []);
    t.deepEqual(logger.calls, []);
  });

  test(`${method} that was thrown into before its start rejects with just that and is over`, async (t) => {
    const mine = new Error("mine");
    const commands = await own.calls(async () => {
      const generator = map()[method]();
      t.is((await outcome(generator.throw(mine))).error, mine);
      t.deepEqual(await generator.next(), { value: undefined, done: true });
    });
    t.deepEqual(commands, []);
  });

  test(`${method} is over after return() in the middle, and asks for nothing more`, async (t) => {
    const generator = map()[method]();
    await generator.next();
    await own.monitor.settle();
    const commands = await own.calls(async () => {
      t.deepEqual(await generator.return("R"), { value: "R", done: true });
      t.deepEqual(await generator.next(), { value: undefined, done: true });
      t.deepEqual(await generator.return("again"), { value: "again", done: true });
    });
    t.deepEqual(commands, []);
  });

  test(`${method} is over after throw() in the middle`, async (t) => {
    const generator = map()[method]();
    await generator.next();
    const mine = new Error("mine");
    t.is((await outcome(generator.throw(mine))).error, mine);
    t.deepEqual(await generator.next(), { value: undefined, done: true });
  });

  test(`${method} stops asking when a loop breaks or its body throws`, async (t) => {
    for (const leave of ["break", "throw"]) {
      let count = 0;
      const loop = async () => {
        for await (const item of map()[method]()) {
          t.truthy(item);
          if (++count % 5 === 0) {
            if (leave === "break") break;
            throw new Error("body");
          }
        }
      };
      const commands = await own.calls(() => outcome(loop()));
      const scans = commands.filter(([name]) => name === "SCAN").length;
      t.true(scans <= 2, `${scans} scans for the first five items`);
    }
  });

  test(`${method} that was broken off answers null and undefined like any generator`, async (t) => {
    const generator = map()[method]();
    const queued = [generator.next(), generator.return("R"), generator.next()];
    const [first, second, third] = await Promise.all(queued);
    t.false(first.done);
    t.deepEqual(second, { value: "R", done: true });
    t.deepEqual(third, { value: undefined, done: true });
  });

  test(`two ${method} of one map run side by side without disturbing each other`, async (t) => {
    const [a, b] = [map()[method](), map()[method]()];
    const seen = [[], []];
    for (;;) {
      const [x, y] = [await a.next(), await b.next()];
      t.is(x.done, y.done);
      if (x.done) break;
      seen[0].push(String(x.value));
      seen[1].push(String(y.value));
    }
    t.is(new Set(seen[0]).size, 250);
    t.deepEqual(seen[0].sort(), seen[1].sort());
  });

  test(`${method} rejects once with the server's words when a scan is refused, and is over`, async (t) => {
    let scans = 0;
    const fake = await fakeFor(t, ([name]) => {
      if (name === "SCAN") return ++scans === 1 ? page("5", []) : "-NOPERM this user has no permissions\r\n";
      return "*0\r\n";
    });
    const lib = loadFor(t, fake.config);
    const generator = new lib.BaseMap("it", -1)[method]();
    const { error } = await outcome(generator.next());
    t.is(error.code, "REDIS_REPLY");
    t.regex(error.message, /^NOPERM this user has no permissions/);
    t.deepEqual(await generator.next(), { value: undefined, done: true });
  });
}

test("iterate yields pairs that are fresh arrays", async (t) => {
  const seen = new Set();
  for await (const pair of map().iterate()) {
    t.true(Array.isArray(pair));
    t.is(pair.length, 2);
    t.is(pair[1], pair[0].replace("k", "v"));
    t.false(seen.has(pair));
    seen.add(pair);
    pair[0] = "changed by the caller";
  }
  t.is(seen.size, 250);
});

test("deleting each key while iterating still shows every key", async (t) => {
  const made = map();
  const seen = [];
  for await (const [key, value] of made.iterate()) {
    seen.push(key);
    t.is(value, key.replace("k", "v"));
    await made.delete(key);
  }
  t.is(new Set(seen).size, 250);
  t.is(await made.size(), 0);
});

test("clear after the first item leaves at most the page in hand, with its old values", async (t) => {
  const words = [];
  for (let i = 250; i < 3000; i++) words.push(`it:k${i}`, `v${i}`);
  await own.server.command("MSET", ...words);
  const made = map();
  const generator = made.iterate();
  const first = await generator.next();
  t.false(first.done);
  await made.clear();
  const rest = await collect(generator);
  t.true(rest.length < 1500, `${rest.length} items after the clear`);
  for (const [key, value] of rest) t.is(value, key.replace("k", "v"));
});

test("a key that vanishes or changes its type between the scan and the read is left out", async (t) => {
  const fake = await fakeFor(t, ([name, ...args]) => {
    if (name === "SCAN") return page("0", ["it:a", "it:b", "it:c"]);
    return `*${args.length}\r\n$1\r\n1\r\n${"$-1\r\n".repeat(args.length - 1)}`;
  });
  const lib = loadFor(t, fake.config);
  const made = new lib.BaseMap("it", -1);
  t.deepEqual(await made.toArray(), [["a", "1"]]);
  t.deepEqual(await collect(made.iterate()), [["a", "1"]]);
  t.deepEqual(await collect(made.values()), ["1"]);
  t.is(await made.size(), 3);
});

test("values that are absent are null in RESP3 too", async (t) => {
  const fake = await fakeFor(t, ([name, ...args]) => {
    if (name === "SCAN") return page("0", ["it:a", "it:b"]);
    if (name === "MGET") return `*${args.length}\r\n${"_\r\n".repeat(args.length)}`;
    return "_\r\n";
  });
  const lib = loadFor(t, fake.config);
  const made = new lib.BaseMap("it", -1);
  t.deepEqual(await made.toArray(), []);
  t.is(await made.get("a"), null);
});

test("toArray rejects as a whole when a page in the middle is refused", async (t) => {
  let scans = 0;
  const fake = await fakeFor(t, ([name, ...args]) => {
    if (name === "SCAN") return ++scans < 3 ? page(String(scans), [`it:${scans}`]) : "-ERR broken\r\n";
    if (name === "DEL") return `:${args.length}\r\n`;
    return `*${args.length}\r\n${"$1\r\nv\r\n".repeat(args.length)}`;
  });
  const lib = loadFor(t, fake.config);
  const made = new lib.BaseMap("it", -1);
  for (const method of ["toArray", "size", "clear"]) {
    scans = 0;
    const { error } = await outcome(made[method]());
    t.is(error?.code, "REDIS_REPLY", method);
    t.regex(error.message, /^ERR broken/);
  }
});

test("a subclass may override the generators and use super's", async (t) => {
  class Upper extends own.lib.BaseMap("it", -1) {
    async *keys() {
      for await (const key of super.keys()) yield key.toUpperCase();
    }
  }
  const keys = await collect(new Upper().keys());
  t.is(keys.length, 250);
  t.true(keys.every((key) => key.startsWith("K")));
});

test("an iteration goes on with other calls and timers in between", async (t) => {
  const made = map();
  let count = 0;
  for await (const key of made.keys()) {
    if (count++ % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    t.is(await made.get(key), key.replace("k", "v"));
  }
  t.is(count, 250);
});

test("an iterator whose server dies rejects with a code and is over; a new one works when it is back", async (t) => {
  const lib = loadFor(t, { CC_REDIS_TIMEOUT_MS: 1000 });
  const made = new lib.BaseMap("it", -1);
  const words = [];
  for (let i = 250; i < 5000; i++) words.push(`it:k${i}`, `v${i}`);
  await own.server.command("MSET", ...words);
  const generator = made.iterate();
  t.false((await generator.next()).done);
  await own.monitor.stop();
  await own.server.kill("SIGKILL");
  const { error } = await outcome(collect(generator));
  t.is(error?.code, "REDIS_UNAVAILABLE");
  t.deepEqual(await generator.next(), { value: undefined, done: true });
  await own.server.restart();
  own.monitor = await own.server.monitor();
  // The next attempt may be late for a call, and of several servers another one may come later.
  await until(async () => (await outcome(made.size())).error === undefined, "every server is reached again");
  await made.set("back", "1");
  t.deepEqual(await collect(made.iterate()), [["back", "1"]]);
});

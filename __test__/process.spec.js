"use strict";

// The package as part of a process: it starts nothing by itself, keeps nothing alive, and survives every kind of end.

const net = require("node:net");
const { serial: test } = require("ava");
const { withRedis, connectionsOf, until } = require("./support/addon.js");
const { freePort } = require("./support/redis.js");
const { runChild } = require("./support/child.js");

const own = withRedis(test);
test.beforeEach(() => own.server.command("FLUSHALL"));

/** The child ended by itself, without a word on stderr. */
function endedWell(t, result) {
  t.is(result.stderr, "");
  t.is(result.signal, null);
  t.is(result.code, 0);
}

for (const action of [
  "only the import",
  "health, stats and configuration",
  "one call",
  "many calls",
  "a call in a callback",
  "waitForInit",
  "a whole iteration",
  "an iteration that is broken off",
  "an iteration that is forgotten",
  "a call and close",
  "close and a call again",
]) {
  test(`a process ends by itself within a second after ${action}`, async (t) => {
    const result = await runChild("idle", { env: own.server.env, args: [action] });
    endedWell(t, result);
    t.true(result.lines.at(-1).tookMs < 1000, `${result.lines.at(-1).tookMs} ms`);
  });
}

for (const use of [
  "close, again and again",
  "a call after close",
  "a call while it closes",
  "a close that gives up",
  "nothing but calls",
]) {
  test(`a copy of the package that is forgotten after ${use} is collected with its connection`, async (t) => {
    await own.lib.close();
    let connections = null;
    const result = await runChild("holds", {
      env: own.server.env,
      args: [use],
      nodeArgs: ["--expose-gc"],
      async onLine(line, child) {
        if (line.left === undefined) return;
        connections = (await connectionsOf(own.server)).length;
        child.stdin.end("go\n");
      },
    });
    endedWell(t, result);
    t.is(result.lines[0].left, 0, "copies that are held for ever");
    t.is(connections, 0, "their connections are left");
    t.true(result.lines.at(-1).tookMs < 1000, `${result.lines.at(-1).tookMs} ms`);
  });
}

for (const when of ["in the same tick", "a turn later"]) {
  test(`a call of a copy that is forgotten is answered, also where garbage is collected ${when}`, async (t) => {
    const result = await runChild("holds", {
      env: own.server.env,
      args: [when],
      nodeArgs: ["--expose-gc"],
      async onLine(line, child) {
        if (line.ready) {
          await own.server.kill("SIGSTOP");
          child.stdin.write("go\n");
        }
        if (line.collecting) await own.server.kill("SIGCONT");
      },
    });
    endedWell(t, result);
    t.is(result.lines.at(-2).value, "v");
  });
}

test("a call that nobody waits for is finished before the process ends", async (t) => {
  const result = await runChild("idle", { env: own.server.env, args: ["a call that nobody waits for"] });
  endedWell(t, result);
  t.is(result.lines[0].code, "ok");
  t.is(String(await own.server.command("GET", "idle:left")), "v");
});

test("a call that waits for an absent server keeps the process alive until its deadline, and no longer", async (t) => {
  const port = await freePort();
  const env = { CC_REDIS_URL: `redis://127.0.0.1:${port}`, CC_REDIS_TIMEOUT_MS: "300" };
  for (const action of ["a call that fails", "a call that nobody waits for"]) {
    const result = await runChild("idle", { env, args: [action] });
    endedWell(t, result);
    t.is(result.lines[0].code, "REDIS_UNAVAILABLE");
    t.true(result.lines.at(-1).tookMs < 1500, `${result.lines.at(-1).tookMs} ms`);
  }
});

for (const way of [
  "right after the calls",
  "in a microtask",
  "in nextTick",
  "in setImmediate",
  "in the callback of a reply",
  "in the callback of one reply of many",
  "in the middle of an iteration",
  "while converting a value",
  "in the logger",
  "during close",
  "with an uncaught error",
]) {
  test(`process.exit ${way} ends the process with its code`, async (t) => {
    const result = await runChild("exit", { env: own.server.env, args: [way] });
    t.is(result.signal, null, result.stderr);
    t.is(result.code, 7, result.stderr);
    t.is(result.stderr, "");
  });
}

for (const how of ["terminate", "stop"]) {
  test(`twenty worker threads have a connection each, and all goes well when they ${how}`, async (t) => {
    await own.lib.close();
    let seen = null;
    const result = await runChild("workers", {
      env: own.server.env,
      args: [how],
      async onLine(line, child) {
        if (!line.ready) return;
        seen = (await connectionsOf(own.server)).length;
        child.stdin.write("go\n");
      },
    });
    endedWell(t, result);
    t.is(seen, 21);
    t.is(result.lines.at(-1).value, "v");
    t.deepEqual(new Set(result.lines.at(-1).codes), new Set([how === "terminate" ? 1 : 0]));
    await until(async () => (await connectionsOf(own.server)).length === 0, "every connection has ended");
  });
}

test("worker threads terminated at any moment, wave after wave, harm nobody", async (t) => {
  const result = await runChild("waves", { env: own.server.env });
  endedWell(t, result);
  t.true(result.lines.at(-1).done);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  test(`${signal} ends a working process in Node's own way`, async (t) => {
    const result = await runChild("signal", { env: own.server.env, onLine: (line, child) => child.kill(signal) });
    t.is(result.signal, signal);
    t.is(result.stderr, "");
    t.deepEqual(result.lines[0].listeners, [0, 0, 0, 0, 0, 0]);
  });
}

test("async_hooks that call the maps themselves see every promise and disturb nothing", async (t) => {
  const result = await runChild("hooks", { env: own.server.env });
  endedWell(t, result);
  t.deepEqual(result.lines.at(-1), { inits: true, nested: true });
});

test("importing sets no globals, opens no connection and keeps nothing alive; /global sets ioc", async (t) => {
  let accepted = 0;
  const listener = net.createServer((socket) => {
    accepted++;
    socket.destroy();
  });
  await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const env = { CC_REDIS_HOST: "127.0.0.1", CC_REDIS_PORT: String(listener.address().port) };
  const result = await runChild("import", { env });
  listener.close();
  endedWell(t, result);
  const [seen] = result.lines;
  t.deepEqual(seen.added, []);
  t.is(seen.ioc, "undefined");
  t.deepEqual(seen.afterImport, []);
  t.true(seen.same);
  t.true(seen.sameImported);
  t.is(accepted, 0);
});

for (const [work, count] of [
  ["gets", 300_000],
  ["sets", 300_000],
  ["failures", 60_000],
  ["iterators", 60_000],
  ["connections", 300_000],
  ["copies", 300_000],
  ["maps", 300_000],
]) {
  test(`memory and descriptors stay flat over many ${work}`, async (t) => {
    await own.server.command("HSET", "memory:hash", "f", "v");
    const words = [];
    for (let i = 0; i < 400; i++) words.push(`memory:k${i}`, "v");
    await own.server.command("MSET", ...words);
    const args = [work, String(count)];
    const result = await runChild("memory", { env: own.server.env, args, nodeArgs: ["--expose-gc"] });
    endedWell(t, result);
    const { before, after } = result.lines.at(-1);
    const grown = Object.fromEntries(Object.keys(before).map((key) => [key, after[key] - before[key]]));
    const MB = 1024 * 1024;
    t.true(grown.heapUsed < 3 * MB, JSON.stringify(grown));
    t.true(grown.external < 3 * MB, JSON.stringify(grown));
    t.true(grown.rss < 40 * MB, JSON.stringify(grown));
    t.true(grown.descriptors <= 1, JSON.stringify(grown));
  });
}

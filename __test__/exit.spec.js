"use strict";

// Ends that a program brings about, or survives, while calls are under way; copies of the addon, families of processes, and
// flags of Node. What happens without any handler stands in process.spec.js.

const { serial: test } = require("ava");
const { withRedis, connectionsOf, until } = require("./support/addon.js");
const { runChild } = require("./support/child.js");
const { folderFor } = require("./support/folder.js");

const own = withRedis(test);
test.beforeEach(() => own.server.command("FLUSHALL"));

const run = (name, way, nodeArgs = [], more = []) => runChild(name, { env: own.server.env, args: [way, ...more], nodeArgs });

function endedWell(t, result) {
  t.is(result.stderr, "");
  t.is(result.signal, null);
  t.is(result.code, 0);
}

const onUnix = process.platform === "win32" ? test.skip : test;
// Windows has no signals that a process could send itself, and asks for rights to make links.
const NOT_ON_WINDOWS = ["a signal that the program handles", "a signal whose handler closes", "by a symbolic link"];
const testFor = (way) => (NOT_ON_WINDOWS.includes(way) ? onUnix : test);

const fine = { right: true, after: "v7" };
for (const [way, lines] of Object.entries({
  "a signal that the program handles": [{ handled: true, ...fine }],
  "a signal whose handler closes": [{ handled: true, ...fine }],
  "an uncaught exception that the program handles": [{ caught: 3, ...fine }],
  "an error in callbacks of replies that the program handles": [{ caught: 50, ...fine }],
  "a call in beforeExit": [2, 1, 0].map((left) => ({ left, value: "v7" })),
  "a call in exit": [{ late: true }],
  "collections between calls": [fine],
  "a collection after the package was forgotten in mid-call": [fine],
})) {
  testFor(way)(`${way} leaves calls their answers, and the process ends by itself`, async (t) => {
    const result = await run("endings", way, ["--expose-gc"]);
    endedWell(t, result);
    t.deepEqual(result.lines, lines);
  });
}

for (const way of ["an uncaught exception", "an error in a callback of a reply"]) {
  test(`${way} in the middle of calls ends the process as Node has it`, async (t) => {
    const result = await run("endings", way);
    t.is(result.signal, null);
    t.is(result.code, 1);
    t.regex(result.stderr, /Error: mine\r?\n {4}at .*fail/);
    t.notRegex(result.stderr, /panick|RUST_BACKTRACE|node::Abort/);
  });
}

for (const way of [
  "at two paths",
  "by a symbolic link",
  "by a hard link of the same file",
  "with require's cache cleared",
  "with only its JavaScript forgotten",
  "loaded a second time by process.dlopen",
]) {
  testFor(way)(`copies of the addon in one process, ${way}, work side by side and go one by one`, async (t) => {
    const result = await run("copies", way, ["--expose-gc"], [folderFor(t, "copies")]);
    endedWell(t, result);
    t.deepEqual(result.lines, [{ together: true, afterClose: true, afterCollection: true }]);
  });
}

test("forked children have connections of their own and end by disconnection, signal and message", async (t) => {
  const result = await run("family", "fork");
  endedWell(t, result);
  const seen = [0, 1, 2].map((name) => ({ parent: "here", own: `child ${name}` }));
  t.deepEqual(result.lines, [{ seen, ends: [0, "SIGKILL", 0], value: "here" }]);
  await until(async () => (await connectionsOf(own.server)).length === 0, "every connection has ended");
});

test("workers of a cluster serve requests through the addon, also after one of them was killed, and end when they are let go", async (t) => {
  const result = await run("family", "cluster");
  endedWell(t, result);
  t.deepEqual(result.lines, [{ seen: ["here", "here"], ends: ["SIGKILL", 0, 0], value: "here" }]);
});

// V8 had WebAssembly made by its compiler alone, so without that it had to be told that there is none; from Node 24 on it knows.
const jitless = Number(process.versions.node.split(".")[0]) < 24 ? ["--jitless", "--no-expose-wasm"] : ["--jitless"];

for (const flags of [
  ["--trace-warnings", "--pending-deprecation", "--throw-deprecation"],
  ["--force-node-api-uncaught-exceptions-policy=true", "--unhandled-rejections=strict"],
  ["--frozen-intrinsics", "--no-warnings"],
  ["--disallow-code-generation-from-strings", "--disable-proto=throw"],
  jitless,
  ["--zero-fill-buffers", "--stack-size=200"],
]) {
  test(`nothing is different under ${flags.join(" ")}`, async (t) => {
    const result = await run("endings", "everything once", flags);
    endedWell(t, result);
    t.deepEqual(result.lines, [fine]);
  });
}

"use strict";

// The mongod that the other tests stand on.

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const { once } = require("node:events");
const net = require("node:net");
const path = require("node:path");
const { serial: test } = require("ava");
const { MongoServer, startMongo } = require("./support/mongo.js");
const { RedisServer } = require("./support/redis.js");
const { until } = require("./support/addon.js");

test("a standalone server keeps its documents over a restart and the types of its numbers in raw replies", async (t) => {
  const server = await startMongo();
  t.teardown(() => server.stop());
  await server.insert("things", [{ whole: 1, part: 1.5 }]);
  await server.restart();
  const [row] = await server.documents("things", { raw: true });
  t.deepEqual([row.whole._bsontype, row.part._bsontype], ["Int32", "Double"]);
  await t.throwsAsync(server.insert("things", [{ _id: row._id }]), { message: /E11000/ });
});

test("a replica set accepts writes as soon as it is started, and after a restart", async (t) => {
  const server = await startMongo({ replSet: true });
  t.teardown(() => server.stop());
  await server.insert("things", [{ a: 1 }]);
  await server.restart();
  await server.insert("things", [{ a: 2 }]);
  t.is(await server.count("things"), 2);
  t.regex(server.url, /replicaSet=/);
});

test("the operations of a database are counted, those of another one are not", async (t) => {
  const server = await startMongo();
  t.teardown(() => server.stop());
  const watch = await server.watch();
  await server.insert("things", [{ a: 1 }]);
  await server.insert("things", [{ a: 1 }], "elsewhere");
  await server.command({ findAndModify: "things", query: { a: 1 }, update: { $set: { b: 1 } } });
  const seen = (await watch.operations()).map(({ kind, collection }) => `${kind} ${collection}`);
  t.deepEqual(seen, ["insert things", "findAndModify things"]);
  await watch.clear();
  t.deepEqual(await watch.operations(), []);
});

test("a paused server answers nothing until it is resumed", async (t) => {
  const server = await startMongo();
  t.teardown(() => server.stop());
  await server.command({ ping: 1 });
  await server.pause();
  let answered = false;
  const ping = server.command({ ping: 1 }).then(() => (answered = true));
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.false(answered);
  await server.resume();
  await ping;
  t.true(answered);
});

test("a server dies with the process that started it, even where that one is killed", async (t) => {
  const script = `require(${JSON.stringify(path.join(__dirname, "support", "mongo.js"))}).startMongo()
    .then((server) => { console.log(server.pid + " " + server.dir); setInterval(() => {}, 1000); });`;
  const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(child.stdout, "data");
  const [pid, dir] = line.toString().trim().split(" ");
  t.true(fs.existsSync(dir));
  child.kill("SIGKILL");
  await until(() => !isRunning(pid) && !fs.existsSync(dir), "mongod ended and its directory went");
  t.pass();
});

test("a port that somebody silent has taken is an error, not waited for", async (t) => {
  const silent = net.createServer(() => {}).listen(0, "127.0.0.1");
  await once(silent, "listening");
  t.teardown(() => silent.close());
  const { port } = silent.address();
  for (const server of [new MongoServer({ port }), new RedisServer({ port })]) {
    await t.throwsAsync(server.start(), { message: /did not start[^]*in use/i });
    await server.stop();
  }
});

/** A zombie counts as ended: where nobody reaps orphans, it stays in the table of processes. */
function isRunning(pid) {
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    return error.code === "EPERM";
  }
  const stat = `/proc/${pid}/stat`;
  return !fs.existsSync(stat) || !/\) Z /.test(fs.readFileSync(stat, "utf8"));
}

"use strict";

// The embedded store where the system refuses: no room, no rights, keys that it does not take. Disks that fail at a chosen moment and
// power cuts are simulated in src/store/faults_tests.rs and power_tests.rs.

const { execFileSync, spawn } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const { serial: test } = require("ava");
const { root, loadFor, outcome } = require("./support/addon.js");
const { folderFor } = require("./support/folder.js");

const NO_SERVERS = { CC_REDIS_URL: "redis://127.0.0.1:1", CC_MONGO_CONNECTION_STRING: "mongodb://127.0.0.1:1/none" };

/**
 * A process that carries out what it is told, a line each: `map N`, `row N` and `candles N` write, `read N` answers how many of those
 * three are there. Each is answered by `ok`, a number or the code of an error.
 */
function writerOf(t, folder, { command = process.execPath, args = [], ...options } = {}) {
  const program = `
    const lib = require(${JSON.stringify(root)});
    const map = new lib.BaseMap("ns", -1);
    const pad = "x".repeat(20_000);
    const candles = (n) => Array.from({ length: 300 }, (_, i) => ({ symbol: "S" + n, interval: "1m", exchangeName: "e", timestamp: i * 60_000, open: i, high: 2, low: 1, close: 1, volume: i / 3 }));
    const does = {
      map: (n) => map.set("k" + n, pad + n),
      row: (n) => lib.ioc.logDbService.upsert("e" + n, { pad, n }),
      candles: (n) => lib.ioc.candleDbService.createMany(candles(n)),
      read: async (n) => [await map.get("k" + n) === pad + n, (await lib.ioc.logDbService.findByEntryId("e" + n))?.payload.n === n, (await lib.ioc.candleDbService.findAll({ symbol: "S" + n })).length === 300].filter(Boolean).length,
    };
    require("node:readline").createInterface({ input: process.stdin }).on("line", async (line) => {
      const [what, n] = line.split(" ");
      if (what === "end") return lib.close().then(() => process.exit(0));
      const said = await does[what](Number(n)).then((value) => (typeof value === "number" ? value : "ok"), (error) => error.code);
      console.log(said);
    });`;
  const env = { ...process.env, ...NO_SERVERS, CC_STORE_PATH: folder, CC_CANDLE_CACHE_MAX_BYTES: "0" };
  const child = spawn(command, [...args, "-e", program], { env, stdio: ["pipe", "pipe", "pipe"], ...options });
  let words = "";
  child.stderr.on("data", (data) => (words += data));
  const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = new Promise((resolve) => child.on("close", resolve));
  t.teardown(() => child.kill("SIGKILL"));
  const ask = async (line) => {
    child.stdin.write(`${line}\n`);
    const { value, done } = await lines.next();
    if (done) throw new Error(`the process ended: ${words}`);
    return value;
  };
  return { child, ask, end: () => (child.stdin.write("end\n"), ended) };
}

/** Writes until there is no room; what was written before. */
async function fill(t, writer) {
  for (let n = 0; n < 10_000; n++) {
    for (const what of ["map", "row", "candles"]) {
      const said = await writer.ask(`${what} ${n}`);
      if (said === "ok") continue;
      t.is(said, "STORE_FULL");
      return n;
    }
  }
  throw new Error("there was room for everything");
}

/** There is no room: each kind of write says so, and everything from before is there; then there is, and each works. */
async function roomless(t, folder, writer, makeRoom) {
  const whole = await fill(t, writer);
  t.true(whole > 3);
  for (const what of ["map", "row", "candles"]) t.is(await writer.ask(`${what} ${whole + 1}`), "STORE_FULL");
  for (let n = 0; n < whole; n++) t.is(await writer.ask(`read ${n}`), "3");
  await makeRoom();
  for (const what of ["map", "row", "candles"]) t.is(await writer.ask(`${what} ${whole + 2}`), "ok");
  await writer.end();
  const other = writerOf(t, folder);
  for (const n of [...Array(whole).keys(), whole + 2]) t.is(await other.ask(`read ${n}`), "3");
  await other.end();
}

function has(command, args) {
  try {
    execFileSync(command, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

// Skipped, and named so in the results, only where there is no prlimit: it is a program of Linux, and nothing else raises the limit of
// a process that runs. A full disk of the simulated kind is tested everywhere (src/store/faults_tests.rs).
const limits = process.platform === "linux" && has("prlimit", ["--version"]) ? test : test.skip;

limits("a limit on the size of files is STORE_FULL until it is raised, and takes nothing of what was acknowledged", async (t) => {
  const folder = folderFor(t);
  const writer = writerOf(t, folder, { command: "prlimit", args: ["--fsize=3000000:unlimited", process.execPath] });
  await roomless(t, folder, writer, () => execFileSync("prlimit", ["--pid", String(writer.child.pid), "--fsize=unlimited:unlimited"]));
});

// Skipped, and named so in the results, only where a user may not make a small file system of his own: other systems have no
// unshare, and some Linuxes forbid it.
const mounts = process.platform === "linux" && has("unshare", ["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]) ? test : test.skip;

mounts("a full disk is STORE_FULL until there is room, and takes nothing of what was acknowledged", async (t) => {
  const place = folderFor(t);
  const ballast = path.join(place, "ballast");
  const script = `mount -t tmpfs -o size=5m none "${place}" && head -c 1000000 /dev/zero > "${ballast}" && exec "$0" "$@"`;
  const writer = writerOf(t, path.join(place, "store"), { command: "unshare", args: ["-rm", "sh", "-c", script, process.execPath] });
  const whole = await fill(t, writer);
  t.true(whole > 3);
  for (let n = 0; n < whole; n++) t.is(await writer.ask(`read ${n}`), "3");
  // The file system is only seen by that process.
  fs.rmSync(path.join("/proc", String(writer.child.pid), "root", ballast));
  for (const what of ["map", "row", "candles"]) t.is(await writer.ask(`${what} ${whole + 2}`), "ok");
  for (const n of [...Array(whole).keys(), whole + 2]) t.is(await writer.ask(`read ${n}`), "3");
  await writer.end();
});

/** Rights do not bind root, so its process becomes somebody else. */
const nobody = process.getuid() === 0 ? { uid: 65_534, gid: 65_534 } : {};

test("a folder that may not be written is STORE_UNAVAILABLE, and so is a file", async (t) => {
  const folder = folderFor(t);
  fs.chmodSync(folder, 0o555);
  const first = writerOf(t, path.join(folder, "store"), nobody);
  t.is(await first.ask("map 1"), "STORE_UNAVAILABLE");
  await first.end();
  fs.chmodSync(folder, 0o777);
  const second = writerOf(t, path.join(folder, "store"), nobody);
  t.is(await second.ask("map 1"), "ok");
  await second.end();
  fs.chmodSync(path.join(folder, "store", "store.sqlite"), 0o444);
  const third = writerOf(t, path.join(folder, "store"), nobody);
  t.is(await third.ask("map 2"), "STORE_UNAVAILABLE");
  await third.end();
});

test("what is no key of a unique index but several is refused as INVALID_VALUE, and changes nothing", async (t) => {
  const lib = loadFor(t, { ...NO_SERVERS, CC_STORE_PATH: folderFor(t) });
  const { id } = await lib.ioc.riskDbService.create({ riskName: "r", exchangeName: "e", positions: ["a"], when: 1 });
  const { error } = await outcome(lib.ioc.riskDbService.update(id, { $rename: { positions: "riskName" } }));
  t.is(error?.code, "INVALID_VALUE");
  t.regex(error.message, /riskName/);
  t.deepEqual((await lib.ioc.riskDbService.findByContext("r", "e")).positions, ["a"]);
});

test("a row that an update makes larger than MongoDB takes is refused as there", async (t) => {
  const lib = loadFor(t, { ...NO_SERVERS, CC_STORE_PATH: folderFor(t) });
  const half = "x".repeat(9 * 1024 * 1024);
  const { id } = await lib.ioc.riskDbService.create({ riskName: "r", exchangeName: "e", positions: [half], when: 1 });
  const { error } = await outcome(lib.ioc.riskDbService.update(id, { $push: { positions: half } }));
  t.is(error?.code, "MONGO_WRITE");
  t.is(error.cause.code, 10_334);
  t.is((await lib.ioc.riskDbService.findByContext("r", "e")).positions.length, 1);
});

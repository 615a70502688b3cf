"use strict";

// The tarball of `npm run pack`: what is in it, and that an empty TypeScript project can install, compile and run it, both as CommonJS
// and as ES module. Nothing of this checkout is within its reach but the TypeScript compiler.

const { execFile } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { promisify } = require("node:util");
const { serial: test } = require("ava");
const { binaryName } = require("../js/platform.js");
const { packLocal } = require("../scripts/release/pack.js");
const { startRedis } = require("./support/redis.js");

const run = promisify(execFile);
const root = path.resolve(__dirname, "..");
const own = { dir: null, server: null, files: null, tarball: null };

const STORY = `
const row = { symbol: "TRXUSDT", strategyName: "jan_2026_strategy", exchangeName: "ccxt-exchange", id: "65a1b2c3d4e5f60718293a4b" };

class PriceMap extends BaseMap("price", 60) {
  async price(symbol: string): Promise<number> {
    return Number(await super.get(symbol));
  }
}

async function main(): Promise<void> {
  await ioc.signalCacheService.setSignalId(row);
  const id: string | null = await ioc.signalCacheService.getSignalId("TRXUSDT", "jan_2026_strategy", "ccxt-exchange");
  const prices = new PriceMap();
  await prices.set("TRXUSDT", 0.29);
  const keys: string[] = [];
  for await (const key of prices.keys()) keys.push(key);
  console.log(JSON.stringify({ id, price: await prices.price("TRXUSDT"), keys, same: ioc === named, commands: stats().redis.commands > 0 }));
}

void main();
`;

// An empty project has no @types/node; TypeScript's own declarations of `console` are those of the DOM.
const NO_NODE_TYPES = { types: [], lib: ["es2022", "dom"] };

const PROJECT = {
  "main.ts": `import ioc, { BaseMap, ioc as named, stats } from "backtest-kit-native";\n${STORY}`,
  "main.mts": `import ioc, { BaseMap, ioc as named, stats } from "backtest-kit-native";\n${STORY}`,
  "global.ts": `import "backtest-kit-native/global";\n\nioc.signalCacheService.size().then((size: number) => console.log(size));\n`,
  "plain.js": `const { ioc } = require("backtest-kit-native");\nioc.signalCacheService.size().then((size) => console.log(size));\n`,
  "plain.mjs": `import ioc from "backtest-kit-native";\nconsole.log(await ioc.signalCacheService.size());\n`,
  "tsconfig.json": JSON.stringify({
    compilerOptions: { module: "node16", target: "es2022", strict: true, esModuleInterop: true, ...NO_NODE_TYPES },
    include: ["*.ts", "*.mts"],
  }),
};

test.before(async () => {
  own.dir = fs.mkdtempSync(path.join(os.tmpdir(), "bkn-pack-"));
  own.server = await startRedis();
  const packed = packLocal(own.dir);
  own.files = packed.files;
  own.tarball = packed.file;

  const project = path.join(own.dir, "project");
  fs.mkdirSync(project);
  fs.writeFileSync(path.join(project, "package.json"), JSON.stringify({ name: "project", version: "1.0.0", private: true }));
  // Offline: whatever it needs must be in the tarball.
  await run("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", own.tarball], { cwd: project });
  for (const [name, text] of Object.entries(PROJECT)) fs.writeFileSync(path.join(project, name), text);
  own.project = project;
  await run(process.execPath, [path.join(root, "node_modules", "typescript", "bin", "tsc"), "-p", "."], { cwd: project }).catch(
    (error) => {
      throw new Error(`tsc refused the project:\n${error.stdout}`);
    },
  );
});

test.after.always(async () => {
  if (own.server) await own.server.stop();
  if (own.dir) fs.rmSync(own.dir, { recursive: true, force: true });
});

test.beforeEach(() => own.server.command("FLUSHALL"));

/** Runs a file of the project against the server; resolves with what it printed, once it has ended by itself. */
async function output(file) {
  const env = { PATH: process.env.PATH, ...own.server.env };
  const { stdout } = await run(process.execPath, [file], { cwd: own.project, env, timeout: 60_000 });
  return stdout.trim();
}

const told = { id: "65a1b2c3d4e5f60718293a4b", price: 0.29, keys: ["TRXUSDT"], same: true, commands: true };

test("the tarball holds what users need, prebuilt binary and sources, and nothing else", (t) => {
  t.deepEqual(own.files.filter((file) => file.endsWith(".node")), [binaryName()]);
  for (const file of ["index.js", "index.mjs", "index.d.ts", "index.d.mts", "global.js", "global.d.ts", "js/binding.js"]) {
    t.true(own.files.includes(file), `${file} is missing`);
  }
  for (const file of ["Cargo.toml", "Cargo.lock", "build.rs", ".cargo/config.toml", "src/lib.rs", "cli/main.js", "cli/cargo.js"]) {
    t.true(own.files.includes(file), `${file} is missing, so it cannot be built from source`);
  }
  const top = new Set(own.files.map((file) => file.split("/")[0]));
  const known = ["js", "cli", "src", "docs", "build.rs", ".cargo", "Cargo.toml", "Cargo.lock", "package.json", "index.js", "index.mjs", "index.d.ts", "ARCHITECTURE.md"];
  const more = ["index.d.mts", "global.js", "global.d.ts", "README.md", "LICENSE", "COMPATIBILITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "THIRD-PARTY.md", binaryName()];
  t.deepEqual([...top].sort(), [...known, ...more].sort());
});

test("installing runs nothing: the package has no scripts, and npm notes none in the lock file", (t) => {
  const installed = path.join(own.project, "node_modules", "backtest-kit-native", "package.json");
  t.is(JSON.parse(fs.readFileSync(installed, "utf8")).scripts, undefined);
  const lock = JSON.parse(fs.readFileSync(path.join(own.project, "package-lock.json"), "utf8"));
  t.false("hasInstallScript" in lock.packages["node_modules/backtest-kit-native"]);
});

test("the tarball has what README and docs link to", (t) => {
  const documents = own.files.filter((file) => file === "README.md" || (file.startsWith("docs/") && file.endsWith(".md")));
  t.true(documents.length >= 7, documents.join(", "));
  for (const document of documents) {
    const text = fs.readFileSync(path.join(root, document), "utf8").replaceAll(/```[\s\S]*?```/g, "");
    for (const [whole, target] of text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
      if (/^https?:/.test(target)) continue;
      const file = path.join(path.dirname(document), target);
      t.true(own.files.includes(file), `${document} has ${whole}, and the tarball no ${file}`);
    }
  }
});

test("an empty project gets the package, and bson as its one dependency", (t) => {
  const lock = JSON.parse(fs.readFileSync(path.join(own.project, "package-lock.json"), "utf8"));
  t.deepEqual(Object.keys(lock.packages).sort(), ["", "node_modules/backtest-kit-native", "node_modules/bson"]);
  t.false(fs.lstatSync(path.join(own.project, "node_modules", "backtest-kit-native")).isSymbolicLink());
});

test("a TypeScript project compiles and runs it as CommonJS", async (t) => {
  t.deepEqual(JSON.parse(await output("main.js")), told);
});

test("a TypeScript project compiles and runs it as an ES module", async (t) => {
  t.deepEqual(JSON.parse(await output("main.mjs")), told);
  t.is(String(await own.server.command("GET", "signal_cache:ccxt-exchange:jan_2026_strategy:TRXUSDT")), told.id);
});

test("plain JavaScript runs it, by require and by import", async (t) => {
  await own.server.command("SET", "signal_cache:a", "1");
  t.is(await output("plain.js"), "1");
  t.is(await output("plain.mjs"), "1");
});

test("the global entry sets ioc", async (t) => {
  t.is(await output("global.js"), "0");
});

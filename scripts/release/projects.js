"use strict";

// Empty projects, as users make them with npm, pnpm and Yarn: each installs the release from a registry and trades a little, on
// real servers and on an embedded store.

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { ensureNodeModules, kitFolder } = require("../lib/tools.js");

const managersFolder = path.join(__dirname, "managers");
const manager = (...parts) => path.join(managersFolder, "node_modules", ...parts);

// The kit is the real one, found the way its command-line tool has itself found: as a global.
const STORY = `
const kit = (globalThis.BacktestKit = require(process.env.BKN_KIT));
const { close, health, ioc, setup } = require("backtest-kit-native");

const context = ["TRXUSDT", "jan_2026_strategy", "binance"];
const [symbol, strategyName, exchangeName] = context;

async function main() {
  setup();
  await ioc.signalCacheService.setSignalId({ symbol, strategyName, exchangeName, id: "65a1b2c3d4e5f60718293a4b" });
  const id = await ioc.signalCacheService.getSignalId(...context);
  await kit.PersistScheduleAdapter.writeScheduleData({ id: "sig-1" }, ...context);
  const scheduled = await kit.PersistScheduleAdapter.readScheduleData(...context);
  const rows = await ioc.scheduleDbService.findAll();
  const binaries = Object.keys(require.cache).filter((file) => file.endsWith(".node"));
  const { kit: [{ name }], store } = health();
  console.log(JSON.stringify({ id, kit: name, scheduled: scheduled.id, rows: rows.length, stored: store?.state === "ready", binaries }));
  await close();
  process.exit();
}

main();
`;

/**
 * The managers: how each is configured for a registry, how it installs a package, how it runs a file. Each keeps what it fetches
 * within the project's folder, so that nothing of an earlier trial is used.
 */
const MANAGERS = {
  npm: {
    configure: (url) => ({ ".npmrc": `registry=${url}/\ncache=.cache\naudit=false\nfund=false\nupdate-notifier=false\n` }),
    install: ["npm", "install", "backtest-kit-native"],
    run: [process.execPath, "main.js"],
  },
  pnpm: {
    configure: (url) => ({ ".npmrc": `registry=${url}/\nstore-dir=.store\ncache-dir=.cache\nupdate-notifier=false\n` }),
    install: [process.execPath, manager("pnpm", "bin", "pnpm.cjs"), "add", "backtest-kit-native"],
    run: [process.execPath, "main.js"],
  },
  // With its default, Plug'n'Play: there is no node_modules, and what a package does not name it does not get.
  yarn: {
    configure: (url) => ({
      ".yarnrc.yml": `npmRegistryServer: "${url}"\nunsafeHttpWhitelist: ["127.0.0.1"]\nenableGlobalCache: false\nglobalFolder: .global\nenableTelemetry: false\nenableImmutableInstalls: false\nnpmMinimalAgeGate: 0\n`,
      "yarn.lock": "",
    }),
    install: [process.execPath, manager("@yarnpkg", "cli-dist", "bin", "yarn.js"), "add", "backtest-kit-native"],
    run: [process.execPath, manager("@yarnpkg", "cli-dist", "bin", "yarn.js"), "node", "main.js"],
  },
};

/** Runs a program to its end; resolves with its output and the time it took, or rejects with both outputs. */
function run([command, ...args], cwd, env) {
  const started = Date.now();
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (text) => (stdout += text));
  child.stderr.on("data", (text) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve({ stdout, seconds: (Date.now() - started) / 1000 });
      else reject(new Error(`${path.basename(command)} ${args.join(" ")} ended with code ${code}\n${stdout}${stderr}`));
    });
  });
}

/** Without what npm, or the developer's own settings, put there for their own processes. */
function cleanEnvironment() {
  const foreign = /^(npm_|CC_|NODE_OPTIONS|NAPI_RS_|INIT_CWD|YARN_|PNPM_)/i;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}

/**
 * Installs the release with one manager into an empty project and plays the story on the servers that `env` names, then on an embedded
 * store in the project. Resolves with `{ seconds, told }`: how long installing took, and what the story told each time, by `servers`
 * and `store`.
 */
async function tryProject(name, url, env) {
  const { configure, install, run: start } = MANAGERS[name];
  ensureNodeModules(managersFolder);
  ensureNodeModules(kitFolder);
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), `bkn-${name}-`)));
  try {
    const files = { "package.json": JSON.stringify({ name: "project", version: "1.0.0", private: true }), "main.js": STORY, ...configure(url) };
    for (const [file, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, file), text);
    const clean = cleanEnvironment();
    const { seconds } = await run(install, folder, clean);
    const told = {};
    for (const [place, settings] of Object.entries({ servers: env, store: { CC_STORE_PATH: path.join(folder, "store") } })) {
      const { stdout } = await run(start, folder, { ...clean, ...settings, BKN_KIT: path.join(kitFolder, "kit.js") });
      told[place] = JSON.parse(stdout.trim().split("\n").at(-1));
    }
    return { seconds, told };
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

module.exports = { MANAGERS, tryProject };

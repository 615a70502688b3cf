"use strict";

// Which copies of the kit get the adapters: projects as users have them, each run as a process of its own.

const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { serial: test } = require("ava");
const { startMongo } = require("../support/mongo.js");
const { makeProject } = require("../support/project.js");
const { startRedis } = require("../support/redis.js");
const { NOUNS } = require("../support/stand-in-kit.js");

const STAND_IN = path.join(__dirname, "..", "support", "stand-in-kit.js");
const own = { mongo: null, redis: null, env: null };

test.before(async () => {
  [own.mongo, own.redis] = await Promise.all([startMongo({ database: "backtest-kit" }), startRedis()]);
  const { CC_REDIS_HOST, CC_REDIS_PORT } = own.redis.env;
  own.env = { ...own.mongo.env, CC_REDIS_HOST, CC_REDIS_PORT };
});
test.after.always(() => Promise.all([own.mongo?.stop(), own.redis?.stop()]));

const ALL = NOUNS.toSorted?.() ?? [...NOUNS].sort();
const KIT = { "backtest-kit": {} };
/** The kit's copies in health(), with their adapters in order. */
const SEEN = "lib.health().kit.map((one) => ({ ...one, adapters: one.adapters.sort() }))";
/** Which class each copy has registered for a kind. */
const CLASS = (kit, noun = "Signal") => `${kit}.Persist${noun}Adapter.Ctor.name`;
/** A write through a copy of the kit, and the same read back. */
const TRIP = (kit) => `await ${kit}.PersistSignalAdapter.writeSignalData({ id: "1" }, "a", "b", "c"),
  await ${kit}.PersistSignalAdapter.readSignalData("a", "b", "c")`;
const print = (value) => `console.log(JSON.stringify(${value}));`;
const main = (body) => `(async () => { ${body} })().catch((error) => { console.error(error); process.exitCode = 1; });`;
/** The code and message of what an expression throws. */
const THROWN = `const thrown = (action) => { try { action(); return null; } catch (error) { return { code: error.code, message: error.message, cause: error.cause?.message }; } };`;

test("an ES module: the imported copy has the adapters, and rows arrive", async (t) => {
  const { run } = makeProject(t, {
    kits: KIT,
    files: {
      "main.mjs": `import * as kit from "backtest-kit"; import * as lib from "backtest-kit-native";
        lib.setup();
        ${print(`[${SEEN}, ${TRIP("kit")}]`)}`,
    },
  });
  const [seen, , found] = await run("main.mjs", { env: own.env });
  t.deepEqual(seen, [{ name: "backtest-kit", version: "19.5.0", from: "import", adapters: ALL }]);
  t.deepEqual(found, { id: "1" });
});

test("CommonJS: the required copy has the adapters, and rows arrive", async (t) => {
  const { run } = makeProject(t, {
    kits: KIT,
    files: {
      "main.cjs": main(`const kit = require("backtest-kit"); const lib = require("backtest-kit-native");
        lib.setup();
        ${print(`[${SEEN}, ${TRIP("kit")}]`)}`),
    },
  });
  const [seen, , found] = await run("main.cjs", { env: own.env });
  t.deepEqual(seen, [{ name: "backtest-kit", version: "19.5.0", from: "require", adapters: ALL }]);
  t.deepEqual(found, { id: "1" });
});

test("CommonJS: setup() before the kit is required reaches the copy that is required later", async (t) => {
  const { run } = makeProject(t, {
    kits: KIT,
    files: {
      "main.cjs": `const { setup } = require("backtest-kit-native"); setup();
        const kit = require("backtest-kit"); ${print(CLASS("kit"))}`,
    },
  });
  t.is(await run("main.cjs"), "PersistSignalInstance");
});

test("an ES module beside a CommonJS copy that is loaded: both have the adapters", async (t) => {
  const { run } = makeProject(t, {
    kits: KIT,
    files: {
      "main.mjs": `import * as imported from "backtest-kit"; import { createRequire } from "node:module";
        import * as lib from "backtest-kit-native";
        const required = createRequire(import.meta.url)("backtest-kit");
        lib.setup();
        ${print(`[${SEEN}.map(({ from }) => from), ${CLASS("imported")}, ${CLASS("required")}, imported.PersistSignalAdapter === required.PersistSignalAdapter]`)}`,
    },
  });
  t.deepEqual(await run("main.mjs"), [["import", "require"], "PersistSignalInstance", "PersistSignalInstance", false]);
});

test("an ES module does not load a CommonJS copy that nobody uses", async (t) => {
  const { run } = makeProject(t, {
    kits: KIT,
    files: {
      "main.mjs": `import { createRequire } from "node:module"; import { setup } from "backtest-kit-native";
        setup();
        ${print(`Object.keys(createRequire(import.meta.url).cache).filter((file) => file.includes("backtest-kit/build"))`)}`,
    },
  });
  t.deepEqual(await run("main.mjs"), []);
});

test("both entries are one instance, and each brings its copy of the kit", async (t) => {
  const { run } = makeProject(t, {
    kits: KIT,
    files: {
      "main.mjs": `import { createRequire } from "node:module"; import * as lib from "backtest-kit-native"; import * as imported from "backtest-kit";
        const require = createRequire(import.meta.url);
        const other = require("backtest-kit-native");
        other.setup();
        ${print(`[other.ioc === lib.ioc, other.PersistSignalInstance === lib.PersistSignalInstance, ${CLASS("imported")}, ${CLASS(`require("backtest-kit")`)}]`)}`,
    },
  });
  t.deepEqual(await run("main.mjs"), [true, true, "PersistSignalInstance", "PersistSignalInstance"]);
});

test("the kit's command-line tool: its global and what its resolver gives out is one copy, and it has the adapters", async (t) => {
  const { run } = makeProject(t, {
    kits: KIT,
    files: {
      "config/setup.config.cjs": `require("backtest-kit-native").setup();`,
      "cli.cjs": `const Module = require("node:module");
        const { standInKit } = require(${JSON.stringify(STAND_IN)});
        const kit = standInKit();
        const { _resolveFilename } = Module;
        Module._resolveFilename = function (request, ...rest) {
          return request === "backtest-kit" ? "backtest-kit of the tool" : _resolveFilename.call(this, request, ...rest);
        };
        Module._cache["backtest-kit of the tool"] = Object.assign(new Module("backtest-kit of the tool"), { exports: kit, loaded: true });
        globalThis.BacktestKit = kit;
        require("./config/setup.config.cjs");
        const lib = require("backtest-kit-native");
        ${print(`[${SEEN}.map(({ from }) => from), ${CLASS("kit")}]`)}`,
    },
  });
  t.deepEqual(await run("cli.cjs"), [["global"], "PersistSignalInstance"]);
});

test("the tool's global counts in an ES module too, beside the imported copy", async (t) => {
  const { run } = makeProject(t, {
    kits: KIT,
    files: {
      "main.mjs": `import * as imported from "backtest-kit"; import * as lib from "backtest-kit-native"; import stand from ${JSON.stringify(pathToFileURL(STAND_IN))};
        globalThis.BacktestKit = stand.standInKit();
        lib.setup();
        ${print(`[${SEEN}.map(({ from, version }) => [from, version]), ${CLASS("globalThis.BacktestKit")}, ${CLASS("imported")}]`)}`,
    },
  });
  t.deepEqual(await run("main.mjs"), [[["global", null], ["import", "19.5.0"]], "PersistSignalInstance", "PersistSignalInstance"]);
});

test("a kit that is handed over is the only one that gets the adapters", async (t) => {
  const { run } = makeProject(t, {
    kits: KIT,
    files: {
      "main.mjs": `import * as kit from "backtest-kit"; import { createRequire } from "node:module"; import * as lib from "backtest-kit-native";
        const other = createRequire(import.meta.url)("backtest-kit");
        lib.install(kit);
        ${print(`[${SEEN}.map(({ from, version }) => [from, version]), ${CLASS("kit")}, ${CLASS("other")}]`)}`,
    },
  });
  t.deepEqual(await run("main.mjs"), [[["argument", "19.5.0"]], "PersistSignalInstance", "Unset"]);
});

test("a namespace whose default is the kit is taken for it", async (t) => {
  const { run } = makeProject(t, {
    kits: KIT,
    files: {
      "main.cjs": `const kit = require("backtest-kit"); const lib = require("backtest-kit-native");
        lib.install({ __esModule: true, default: kit }); ${print(CLASS("kit"))}`,
    },
  });
  t.is(await run("main.cjs"), "PersistSignalInstance");
});

for (const [what, entry, file] of [
  ["CommonJS", `const lib = require("backtest-kit-native");`, "main.cjs"],
  ["an ES module", `import * as lib from "backtest-kit-native";`, "main.mjs"],
]) {
  test(`${what} without a kit: importing is fine, and setup() and install() say what is missing`, async (t) => {
    const { run } = makeProject(t, {
      files: { [file]: `${entry} ${THROWN} ${print(`[thrown(() => lib.setup()), thrown(() => lib.install()), lib.health().kit, typeof lib.ioc.signalDbService.upsert, lib.getConfig().CC_MONGO_CONNECTION_STRING]`)}` },
    });
    const [setup, install, kit, ioc, uri] = await run(file);
    t.is(setup.code, "KIT_NOT_FOUND");
    t.regex(setup.message, /backtest-kit.*npm install backtest-kit/s);
    t.deepEqual(install, setup);
    t.deepEqual([kit, ioc], [[], "function"]);
    t.regex(uri, /backtest-pro/, "and the configuration is as it was");
  });

  test(`${what} with a kit that lacks a package: importing is fine, and install() says which`, async (t) => {
    const { run } = makeProject(t, {
      kits: { "backtest-kit": { broken: `require("di-kit");` } },
      files: { [file]: `${entry} ${THROWN} ${print(`[thrown(() => lib.install()), lib.health().kit]`)}` },
    });
    const [failed, kit] = await run(file);
    t.is(failed.code, "KIT_UNUSABLE");
    t.regex(failed.message, /backtest-kit is installed and cannot be loaded: Cannot find (package|module) 'di-kit'/);
    t.regex(failed.cause, /di-kit/);
    t.deepEqual(kit, []);
  });

  test(`${what} with a kit that throws: importing is fine, and install() throws it; another copy can be handed over`, async (t) => {
    const { run } = makeProject(t, {
      kits: { "backtest-kit": { broken: `throw new Error("boom");` } },
      files: { [file]: `${entry} ${THROWN} const mine = { PersistLogAdapter: { usePersistLogAdapter(Class) { this.name = Class.name; } } };
        ${print(`[thrown(() => lib.install()), thrown(() => lib.install(mine)), mine.PersistLogAdapter.name, lib.health().kit]`)}` },
    });
    const [failed, fine, name, kit] = await run(file);
    t.is(failed.code, "KIT_UNUSABLE");
    t.regex(failed.message, /boom/);
    t.is(fine, null);
    t.is(name, "PersistLogInstance");
    t.deepEqual(kit, [{ name: null, version: null, from: "argument", adapters: ["Log"] }]);
  });

  test(`${what}: the kit under its new name`, async (t) => {
    const use = file === "main.mjs" ? `import * as kit from "tradeforge";` : `const kit = require("tradeforge");`;
    const { run } = makeProject(t, {
      kits: { tradeforge: { version: "1.1.0" } },
      files: { [file]: `${entry} ${use} lib.setup(); ${print(`[${SEEN}.map(({ name, version }) => [name, version]), ${CLASS("kit", "Dictionary")}]`)}` },
    });
    t.deepEqual(await run(file), [[["tradeforge", "1.1.0"]], "PersistDictionaryInstance"]);
  });

  test(`${what}: the kit under both names`, async (t) => {
    const { run } = makeProject(t, {
      kits: { tradeforge: { version: "1.1.0" }, "backtest-kit": {} },
      files: { [file]: `${entry} lib.setup(); ${print(`${SEEN}.map(({ name }) => name)`)}` },
    });
    t.deepEqual(await run(file), ["backtest-kit", "tradeforge"]);
  });

  // Skipped where Node for Windows runs under Wine, which the variable tells: Wine 8 knows no links between folders.
  (process.env.BKN_NATIVE_PROGRAMS ? test.skip : test)(`${what}: a linked package finds the kit of the project`, async (t) => {
    const use = file === "main.mjs" ? `import * as kit from "backtest-kit";` : `const kit = require("backtest-kit");`;
    const { run } = makeProject(t, {
      kits: KIT,
      linked: true,
      files: { [file]: `${entry} ${use} lib.setup(); ${print(`[${SEEN}.map(({ version }) => version), ${CLASS("kit")}]`)}` },
    });
    t.deepEqual(await run(file), [["19.5.0"], "PersistSignalInstance"]);
    t.deepEqual(await run(file, { cwd: "/" }), [["19.5.0"], "PersistSignalInstance"], "wherever the process was started");
  });
}

test("a kit without dictionary and strategy, with sessions of three parts: what it has is registered", async (t) => {
  const options = { sessionParts: 3, without: ["Dictionary", "Strategy"] };
  const { run } = makeProject(t, {
    kits: { "backtest-kit": { version: "14.1.0", options } },
    files: {
      "main.mjs": `import * as kit from "backtest-kit"; import * as lib from "backtest-kit-native";
        lib.setup();
        const when = new Date(5);
        await kit.PersistSessionAdapter.writeSessionData({ id: "three" }, "strategy", "exchange", "frame", when);
        ${print(`[${SEEN}[0].adapters, await kit.PersistSessionAdapter.readSessionData("strategy", "exchange", "frame")]`)}`,
    },
  });
  const [adapters, session] = await run("main.mjs", { env: own.env });
  t.deepEqual(adapters, ALL.filter((noun) => !options.without.includes(noun)));
  t.deepEqual(session, { id: "three" });
  const [stored] = await own.mongo.documents("session-items");
  t.deepEqual([stored.strategyName, "symbol" in stored, "backtest" in stored], ["strategy", false, false]);
});

test("sessions of three and of five parts are apart in one database", async (t) => {
  await own.mongo.drop();
  const story = (args) => `import * as kit from "backtest-kit"; import * as lib from "backtest-kit-native";
    lib.setup();
    const read = () => kit.PersistSessionAdapter.readSessionData("strategy", "exchange", "frame"${args});
    const before = await read();
    await kit.PersistSessionAdapter.writeSessionData({ id: process.argv[1] }, "strategy", "exchange", "frame", new Date(5)${args});
    ${print("[before, (await read()).id === process.argv[1]]")}`;
  const older = makeProject(t, { kits: { "backtest-kit": { options: { sessionParts: 3 } } }, files: { "main.mjs": story("") } });
  const newer = makeProject(t, { kits: KIT, files: { "main.mjs": story(', "BTCUSDT", true') } });
  t.deepEqual(await newer.run("main.mjs", { env: own.env }), [null, true]);
  t.deepEqual(await older.run("main.mjs", { env: own.env }), [null, true]);
  t.is(await own.mongo.count("session-items"), 2);
});

test("a kit with an adapter that is not known here keeps its own for that, and the logger is told", async (t) => {
  const { run } = makeProject(t, {
    kits: KIT,
    files: {
      "main.cjs": `const lib = require("backtest-kit-native"); const kit = require("backtest-kit"); const told = [];
        kit.PersistNewsAdapter = { usePersistNewsAdapter() { this.touched = true; } };
        lib.setLogger({ log() {}, debug() {}, info() {}, warn: (...args) => told.push(args) });
        lib.setup();
        ${print("[told, kit.PersistNewsAdapter.touched === undefined, lib.health().kit[0].adapters.length]")}`,
    },
  });
  const [told, untouched, count] = await run("main.cjs");
  t.is(told.length, 1);
  t.regex(told[0][0], /News/);
  t.deepEqual([untouched, count], [true, 17]);
});

test("a module that hands the kit's adapters on is no further copy", async (t) => {
  const { run } = makeProject(t, {
    kits: KIT,
    files: {
      "barrel.cjs": `const kit = require("backtest-kit"); exports.PersistCandleAdapter = kit.PersistCandleAdapter; exports.own = 1;`,
      "main.cjs": `require("./barrel.cjs"); const lib = require("backtest-kit-native"); lib.setup();
        ${print(`${SEEN}.map(({ name, adapters }) => [name, adapters.length])`)}`,
    },
  });
  t.deepEqual(await run("main.cjs"), [["backtest-kit", 17]]);
});

test("modules that refuse to be looked at do no harm", async (t) => {
  const { run } = makeProject(t, {
    kits: KIT,
    files: {
      "hostile.cjs": `module.exports = new Proxy({}, { getOwnPropertyDescriptor() { throw new Error("no"); }, ownKeys() { throw new Error("no"); }, get() { throw new Error("no"); } });`,
      "main.cjs": `require("./hostile.cjs"); require("backtest-kit-native").setup(); ${print("true")}`,
    },
  });
  t.true(await run("main.cjs"));
});

test("a kit that Yarn's Plug'n'Play has not been asked for is absent, and not one that cannot be loaded", (t) => {
  const { isAbsent } = require("../../js/project.js");
  // As the loader in .pnp.cjs makes them: for a package that nobody names, and for an optional peer.
  const refusal = (pnpCode, message, data) => Object.assign(new Error(message), { code: "MODULE_NOT_FOUND", pnpCode, data });
  const words = "Your application tried to access backtest-kit, but it isn't declared in your dependencies; this makes the require call ambiguous and unsound.";
  const undeclared = { request: "backtest-kit", issuer: "/p/", dependencyName: "backtest-kit" };
  t.true(isAbsent(refusal("UNDECLARED_DEPENDENCY", words, undeclared), "backtest-kit"));
  const peer = "backtest-kit-native tried to access backtest-kit (a peer dependency) but it isn't provided by your application; this makes the require call ambiguous and unsound.";
  t.true(isAbsent(refusal("MISSING_PEER_DEPENDENCY", peer, { ...undeclared, brokenAncestors: [] }), "backtest-kit"));
  // What the kit itself lacks makes it one that cannot be loaded.
  const lacking = { request: "di-kit", issuer: "/p/node_modules/backtest-kit/", dependencyName: "di-kit" };
  t.false(isAbsent(refusal("UNDECLARED_DEPENDENCY", words.replace("backtest-kit", "di-kit"), lacking), "backtest-kit"));
});

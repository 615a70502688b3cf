"use strict";

// The documents say what is so: every test that COMPATIBILITY.md names exists, tables are those of the code, figures those that
// were measured, examples run and print what they say, and no link leads nowhere.

const { execFile } = require("node:child_process");
const fs = require("node:fs");
const { createRequire } = require("node:module");
const path = require("node:path");
const { serial: test } = require("ava");
const { loadFresh, root } = require("./support/addon.js");
const { withFigures } = require("../bench/readme.js");
const { startMongo } = require("./support/mongo.js");
const { makeProject } = require("./support/project.js");
const { startRedis } = require("./support/redis.js");
const { standInKit } = require("./support/stand-in-kit.js");
const { problemsOf } = require("./support/typescript.js");

const read = (file) => fs.readFileSync(path.join(root, file), "utf8");
const documentsIn = (folder) => fs.readdirSync(path.join(root, folder)).filter((name) => name.endsWith(".md")).map((name) => path.join(folder, name));
const DOCUMENTS = [".", "docs", "bench", "fuzz"].flatMap(documentsIn);
/** What users read. */
const GUIDES = ["README.md", ...documentsIn("docs")];

/** Stands in for ava: takes down the titles and runs nothing. */
function collector(titles) {
  const test = (title) => void titles.push(title);
  const hook = Object.assign(() => {}, { always: () => {} });
  for (const name of ["before", "after", "beforeEach", "afterEach"]) test[name] = hook;
  for (const name of ["serial", "default", "failing", "only"]) test[name] = test;
  return Object.assign(test, { skip() {}, todo() {}, timeout() {} });
}

/** The titles of a spec file as its runner has them. A jest file's are read from its text: it is TypeScript. */
function titlesOf(file) {
  const source = read(file);
  if (file.endsWith(".ts")) return [...source.matchAll(/^\s*(?:test|it)\("((?:[^"\\]|\\.)*)"/gm)].map((match) => match[1]);
  const titles = [];
  const real = createRequire(path.join(root, file));
  const run = new Function("require", "module", "exports", "__filename", "__dirname", source);
  // Golden cases count as run when they are loaded by a test; here they are only read for their names.
  const log = process.env.BKN_SPEC_LOG;
  delete process.env.BKN_SPEC_LOG;
  try {
    run((name) => (name === "ava" ? collector(titles) : real(name)), { exports: {} }, {}, path.join(root, file), path.join(root, path.dirname(file)));
  } finally {
    if (log !== undefined) process.env.BKN_SPEC_LOG = log;
  }
  return titles;
}

/**
 * The cells of a table's rows, without the two rows of its head. `wanted` picks the table by its first head cell, `second`
 * by the next one too.
 */
function tableOf(text, wanted, second) {
  const tables = text.split(/\n{2,}/).map((block) => block.split("\n").filter((line) => line.startsWith("|")));
  const cells = (line) => line.slice(1, -1).split("|").map((cell) => cell.trim());
  const fits = ([first, next]) => first === wanted && (second === undefined || next === second);
  const found = tables.find((lines) => lines.length > 2 && fits(cells(lines[0])));
  return found.slice(2).map(cells);
}

const code = (text) => /^`([^`]*)`$/.exec(text)?.[1];

test("every test that COMPATIBILITY.md names exists in the file that it names", (t) => {
  const named = [...read("COMPATIBILITY.md").matchAll(/`([\w./-]+\.spec\.[jt]s) › ([^`]+)`/g)];
  t.true(named.length > 40, `only ${named.length} tests are named`);
  const titles = new Map();
  for (const [, name, title] of named) {
    const file = path.join("__test__", name);
    if (!titles.has(file)) titles.set(file, new Set(titlesOf(file)));
    t.true(titles.get(file).has(title), `${name} has no test "${title}"`);
  }
});

test("every line of COMPATIBILITY.md's tables names a test", (t) => {
  const lines = read("COMPATIBILITY.md").split("\n").filter((line) => line.startsWith("| ") && !/^\| (---|what|case)/.test(line));
  t.true(lines.length > 30);
  for (const line of lines) t.regex(line, /\.spec\.[jt]s › /);
});

/** Every row of the tables of variables: name, default, unit and bounds, meaning. */
const variableRows = () =>
  [...read("docs/configuration.md").matchAll(/^\| `(CC_\w+)` \| (.*) \|$/gm)].map(([, name, rest]) => [name, ...rest.split(" | ")]).filter((row) => row.length === 4);

/** The configuration of a fresh copy of the package whose environment has no variable, after this was done with it. */
function configAfter(action) {
  for (const name of Object.keys(process.env)) if (name.startsWith("CC_")) delete process.env[name];
  const lib = loadFresh();
  action(lib);
  // getConfig never shows a password; it says whether there is one.
  const [, password] = /"CC_REDIS_PASSWORD",[^"]*"(\w+)"/.exec(read("src/config/variables.rs"));
  const config = lib.getConfig();
  return { ...config, CC_REDIS_PASSWORD: config.CC_REDIS_PASSWORD === "" ? "" : password };
}

const shown = (value) => (value === null || value === "" ? "none" : `\`${value}\``);

test("the tables of variables have the variables and defaults of getConfig, and no other", (t) => {
  const config = configAfter(() => {});
  const rows = variableRows().map(([name, value]) => [name, value]);
  t.is(new Set(rows.map(([name]) => name)).size, rows.length);
  t.deepEqual(Object.fromEntries(rows), Object.fromEntries(Object.entries(config).map(([name, value]) => [name, shown(value)])));
});

test("the tables of variables have the bounds that setConfig holds to", (t) => {
  const lib = loadFresh();
  for (const [name, , unit] of variableRows()) {
    const refusal = (value) => t.throws(() => lib.setConfig({ [name]: value }), { code: "INVALID_CONFIG" }, `${name}=${value}`).message;
    const bounds = /(\d+) to (\d+)$/.exec(unit);
    if (bounds) {
      const [least, most] = bounds.slice(1).map(Number);
      for (const value of [least - 1, most + 1]) t.true(refusal(value).endsWith(`a whole number from ${least} to ${most}`), name);
    } else if (unit === "`on` or `off`") t.regex(refusal("maybe"), /neither "on" nor "off"/);
    else if (unit === "`batch` or `full`") t.regex(refusal("maybe"), /none of batch, full/);
    else t.true(["text", "path or PEM text"].includes(unit), `${name}: ${unit}`);
  }
});

test("the table of setup()'s defaults has what differs, and nothing else", (t) => {
  const [alone, after] = [configAfter(() => {}), configAfter((lib) => lib.install(standInKit()))];
  const differing = Object.keys(alone).filter((name) => alone[name] !== after[name]);
  const rows = tableOf(read("docs/configuration.md"), "variable", "`ioc` alone").map(([name, ...values]) => [code(name), ...values]);
  t.deepEqual(rows.sort(), differing.map((name) => [name, shown(alone[name]), shown(after[name])]).sort());
});

test("the guide's table of codes is that of the declarations", (t) => {
  const rows = tableOf(read("docs/guide.md"), "code").map(([name]) => code(name));
  const [, union] = /export type ErrorCode =\n([\s\S]*?)\n\n/.exec(read("index.d.ts"));
  t.deepEqual(rows, [...union.matchAll(/^\s*\| "(\w+)"/gm)].map((match) => match[1]));
});

test("the store's document has every code of the store, and only codes", (t) => {
  const rows = tableOf(read("docs/store.md"), "code").map(([name]) => code(name));
  const codes = [...read("index.d.ts").matchAll(/^\s*\| "([A-Z_]+)"/gm)].map((match) => match[1]);
  t.deepEqual(rows.filter((name) => name.startsWith("STORE_")).sort(), codes.filter((name) => name.startsWith("STORE_")).sort());
  for (const name of rows) t.true(codes.includes(name), name);
});

test("the guide's table of services is that of the addon", (t) => {
  const uniform = "{exchangeName}:{strategyName}:{symbol}";
  const wanted = require("../js/binding.js").services().flatMap(({ service, prefix, nouns }) =>
    nouns.map(({ noun, forms }) => {
      const own = forms.length === 1 ? forms : forms.filter((form) => form.key !== uniform);
      const calls = own.map((form) => `\`(${form.args.map((field) => field.name).join(", ")})\``);
      return [`\`${service}\``, noun, calls.join("<br>"), own.map((form) => `\`${prefix}:${form.key}\``).join("<br>")];
    }),
  );
  t.deepEqual(tableOf(read("docs/guide.md"), "service"), wanted);
});

test("the guide's table of db services has every service with its collection and what the declarations give it", (t) => {
  const names = (cell) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]);
  const rows = tableOf(read("docs/guide.md"), "service", "collection").flatMap(([services, collections, methods]) =>
    names(services).map((service, i) => [service, names(collections)[i], names(methods)]),
  );
  const table = require("../js/binding.js").collections();
  t.deepEqual(rows.map(([service]) => service).sort(), table.map((row) => row.service).sort());
  for (const [service, collection, methods] of rows) {
    const row = table.find((one) => one.service === service);
    t.is(collection, row.collection);
    const all = [row.find, row.has, row.removes && "softRemove", ...row.lists.map((list) => list.method)].filter(Boolean);
    for (const method of all) t.true(methods.includes(method), `${service} has ${method}`);
  }
});

for (const document of DOCUMENTS) {
  test(`no link of ${document} leads nowhere`, (t) => {
    const text = read(document);
    t.regex(text, /^# ./);
    const anchors = (file) =>
      [...read(file).matchAll(/^#+ (.*)$/gm)].map(([, title]) => title.toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-"));
    for (const [whole, target] of text.replaceAll(/```[\s\S]*?```/g, "").matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue;
      const [file, anchor] = target.split("#");
      const full = file === "" ? document : path.join(path.dirname(document), file);
      t.true(fs.existsSync(path.join(root, full)), `${whole}: there is no ${full}`);
      if (anchor) t.true(anchors(full).includes(anchor), `${whole}: ${full} has no such heading`);
    }
  });
}

/** All files of these folders, from the root. */
const filesBelow = (folders) =>
  folders.flatMap((folder) => fs.readdirSync(path.join(root, folder), { recursive: true }).map((name) => path.join(folder, String(name))));

test("every file and folder that ARCHITECTURE.md and CONTRIBUTING.md name is there", (t) => {
  const files = filesBelow(["src", "js", "spec", "scripts"]);
  const isThere = (name) => fs.existsSync(path.join(root, name)) || files.some((file) => path.basename(file) === name);
  for (const document of ["ARCHITECTURE.md", "CONTRIBUTING.md"]) {
    const named = [...read(document).matchAll(/`((?:[\w.-]+\/)*[\w-]+(?:\.spec)?\.(?:rs|js|json)|(?:src|js|docs|spec|scripts|bench|fuzz|__test__)\/(?:[\w-]+\/)*)`/g)];
    t.true(named.length >= 10, `${document} names ${named.length}`);
    // CONTRIBUTING's names without a folder stand below one that its line names.
    const whole = named.filter(([, name]) => document === "ARCHITECTURE.md" || name.includes("/"));
    for (const [, name] of whole) t.true(isThere(name), `${document} names ${name}`);
  }
});

test("README fits ten screens, and starts on the first", (t) => {
  const lines = read("README.md").split("\n");
  t.true(lines.length <= 200, `${lines.length} lines`);
  t.true(lines.slice(0, 20).some((line) => line.includes("npm install")));
  t.true(lines.slice(0, 20).some((line) => line.startsWith("setup(")));
});

test("every command of the program that README and docs name is there, with its options", (t) => {
  const named = GUIDES.flatMap((file) => [...read(file).matchAll(/npx backtest-kit-native (\w+)([^`\n#]*)/g)]);
  t.true(named.length >= 6, `${named.length}`);
  for (const [whole, name, rest] of named) {
    const file = path.join(root, "cli", "commands", `${name}.js`);
    t.true(fs.existsSync(file), whole);
    for (const [, option] of rest.matchAll(/--([\w-]+)/g)) t.true(option in require(file).options, whole);
  }
});

test("the figures of README and docs are those of the last full runs", (t) => {
  const documents = withFigures(read);
  t.true(Object.keys(documents).length >= 3);
  for (const [document, text] of Object.entries(documents)) t.is(text, read(document), `${document}: node bench/readme.js`);
});

const blocksOf = (file) => [...read(file).matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, language, source]) => ({ file, language, source }));
const blocks = GUIDES.flatMap(blocksOf);

/** Runs a program in a project that has the package, and the kit: Node finds both by their own names. */
function runExample(t, { language, source }, env) {
  const { folder } = makeProject(t, { kits: { "backtest-kit": {} } });
  const args = language === "mjs" ? ["--input-type=module", "--eval", source] : ["--eval", source];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: folder, env: { PATH: process.env.PATH, ...env } }, (error, stdout, stderr) => {
      resolve({ failure: error === null ? "" : `${error.message}\n${stderr}`, lines: stdout.split("\n").slice(0, -1) });
    });
  });
}

test("the examples of README and docs run and print what their comments say", async (t) => {
  const server = await startRedis();
  t.teardown(() => server.stop());
  const mongo = await startMongo();
  t.teardown(() => mongo.stop());
  const examples = blocks.filter(({ language }) => ["js", "mjs"].includes(language));
  t.true(examples.length >= 12);
  for (const example of examples) {
    await server.command("FLUSHALL");
    await mongo.drop("backtest-pro");
    const { failure, lines } = await runExample(t, example, { ...server.env, ...mongo.env });
    t.is(failure, "", example.file);
    t.deepEqual(lines, [...example.source.matchAll(/→ (.*)$/gm)].map((match) => match[1]), example.source);
  }
});

test("the TypeScript of README and docs compiles, as CommonJS and as an ES module", (t) => {
  const sources = blocks.filter(({ language }) => language === "ts").map(({ source }) => source);
  t.true(sources.length > 0);
  const files = new Map(sources.flatMap((source, i) => ["cts", "mts"].map((kind) => [path.join(root, `example-${i}.${kind}`), source])));
  t.deepEqual(problemsOf(files), []);
});

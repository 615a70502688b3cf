"use strict";

// The documents say what is so: every test that COMPATIBILITY.md names exists, README's tables are those of the code, its
// examples run and print what they say, and no link leads nowhere.

const { execFile } = require("node:child_process");
const fs = require("node:fs");
const { createRequire } = require("node:module");
const path = require("node:path");
const { serial: test } = require("ava");
const ts = require("typescript");
const { loadFresh, root } = require("./support/addon.js");
const { startMongo } = require("./support/mongo.js");
const { makeProject } = require("./support/project.js");
const { startRedis } = require("./support/redis.js");

const read = (file) => fs.readFileSync(path.join(root, file), "utf8");
const DOCUMENTS = ["README.md", "COMPATIBILITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "docs/candles.md", "bench/README.md", "fuzz/README.md"];

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

test("README's configuration table has the variables and defaults of getConfig, and no other", (t) => {
  for (const name of Object.keys(process.env)) if (name.startsWith("CC_")) delete process.env[name];
  const config = loadFresh().getConfig();
  const rows = tableOf(read("README.md"), "variable").map(([name, value]) => [code(name), value]);
  // getConfig never shows the password; its default stands in the table of variables.
  const [, password] = /"CC_REDIS_PASSWORD", Kind::Secret, "(\w+)"/.exec(read("src/config.rs"));
  const shown = { ...config, CC_REDIS_PASSWORD: password };
  t.deepEqual(
    Object.fromEntries(rows),
    Object.fromEntries(Object.entries(shown).map(([name, value]) => [name, value === null ? "none" : `\`${value}\``])),
  );
});

test("README's table of codes is that of the declarations", (t) => {
  const rows = tableOf(read("README.md"), "code").map(([name]) => code(name));
  const [, union] = /export type ErrorCode =\n([\s\S]*?)\n\n/.exec(read("index.d.ts"));
  t.deepEqual(rows, [...union.matchAll(/^\s*\| "(\w+)"/gm)].map((match) => match[1]));
});

test("README's table of services is that of the addon", (t) => {
  const uniform = "{exchangeName}:{strategyName}:{symbol}";
  const wanted = require("../js/binding.js").services().flatMap(({ service, prefix, nouns }) =>
    nouns.map(({ noun, forms }) => {
      const own = forms.length === 1 ? forms : forms.filter((form) => form.key !== uniform);
      const calls = own.map((form) => `\`(${form.args.map((field) => field.name).join(", ")})\``);
      return [`\`${service}\``, noun, calls.join("<br>"), own.map((form) => `\`${prefix}:${form.key}\``).join("<br>")];
    }),
  );
  t.deepEqual(tableOf(read("README.md"), "service"), wanted);
});

test("README's table of db services has every service with its collection and what the declarations give it", (t) => {
  const names = (cell) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]);
  const rows = tableOf(read("README.md"), "service", "collection").flatMap(([services, collections, methods]) =>
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

const blocksOf = (file) => [...read(file).matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, language, source]) => ({ language, source }));
const blocks = blocksOf("README.md");

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

test("README's examples, and those of docs, run and print what their comments say", async (t) => {
  const server = await startRedis();
  t.teardown(() => server.stop());
  const mongo = await startMongo();
  t.teardown(() => mongo.stop());
  const examples = [...blocks, ...blocksOf("docs/candles.md")].filter(({ language }) => ["js", "mjs"].includes(language));
  t.true(examples.length >= 6);
  for (const example of examples) {
    await server.command("FLUSHALL");
    await mongo.drop("backtest-pro");
    const { failure, lines } = await runExample(t, example, { ...server.env, ...mongo.env });
    t.is(failure, "");
    t.deepEqual(lines, [...example.source.matchAll(/→ (.*)$/gm)].map((match) => match[1]), example.source);
  }
});

test("README's TypeScript compiles, as CommonJS and as an ES module", (t) => {
  const options = { module: ts.ModuleKind.Node16, moduleResolution: ts.ModuleResolutionKind.Node16, strict: true, noEmit: true, target: ts.ScriptTarget.ES2022, noImplicitOverride: true, types: [] };
  const { source } = blocks.find(({ language }) => language === "ts");
  for (const name of ["readme-example.cts", "readme-example.mts"]) {
    const file = path.join(root, name);
    const host = ts.createCompilerHost(options);
    const { getSourceFile, fileExists } = host;
    host.fileExists = (one) => one === file || fileExists(one);
    host.getSourceFile = (one, ...rest) => (one === file ? ts.createSourceFile(one, source, ...rest) : getSourceFile(one, ...rest));
    const problems = ts.getPreEmitDiagnostics(ts.createProgram([file], options, host));
    t.deepEqual(problems.map((one) => ts.flattenDiagnosticMessageText(one.messageText, "\n")), []);
  }
});

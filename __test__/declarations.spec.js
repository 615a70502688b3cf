"use strict";

// The declarations as an editor shows them: what each call does, what its arguments mean, how it fails; examples that compile.

const fs = require("node:fs");
const path = require("node:path");
const { serial: test } = require("ava");
const ts = require("typescript");
const { root } = require("./support/addon.js");
const { problemsOf } = require("./support/typescript.js");

const FILE = path.join(root, "index.d.ts");
const text = fs.readFileSync(FILE, "utf8");
const source = ts.createSourceFile(FILE, text, ts.ScriptTarget.ES2022, true);
const types = source.statements.filter((one) => ts.isClassDeclaration(one) || ts.isInterfaceDeclaration(one));
const methodsOf = (type) => type.members.filter((one) => ts.isMethodDeclaration(one) || ts.isMethodSignature(one));
const nameOf = (node) => node.name.getText(source);

/** What stands in a comment before a declaration: its sentence, and its tags by name. */
function said(node) {
  const [doc] = node.jsDoc ?? [];
  const tags = (name) => (doc?.tags ?? []).filter((tag) => tag.tagName.text === name);
  return { sentence: ts.getTextOfJSDocComment(doc?.comment) ?? "", params: tags("param").map((tag) => tag.name.getText(source)), throws: tags("throws") };
}

for (const type of types.filter((one) => /(DbService|CacheService)$|^BaseCRUD$/.test(nameOf(one)))) {
  test(`${nameOf(type)}: every method says what it does, what each argument means, and how it fails`, (t) => {
    const methods = methodsOf(type);
    t.true(methods.length > 0);
    for (const method of methods) {
      const name = `${nameOf(type)}.${nameOf(method)}`;
      const { sentence, params, throws } = said(method);
      t.regex(sentence, /^[A-Z`].*[.:]/s, name);
      t.deepEqual(params, method.parameters.map((parameter) => nameOf(parameter)), name);
      // It asks nobody.
      if (nameOf(method) === "forget") continue;
      t.true(throws.length > 0, name);
    }
  });
}

test("every method of maps and adapters says what it does", (t) => {
  const wanted = types.filter((one) => /^(BaseMap|Persist\w+Instance)$/.test(nameOf(one)));
  t.true(wanted.length >= 18);
  for (const method of wanted.flatMap(methodsOf)) t.not(said(method).sentence, "", `${nameOf(method.parent)}.${nameOf(method)}`);
});

test("every code that a comment names is one of the codes", (t) => {
  const [, union] = /export type ErrorCode =\n([\s\S]*?)\n\n/.exec(text);
  const codes = new Set([...union.matchAll(/^\s*\| "(\w+)"/gm)].map(([, code]) => code));
  const named = [...text.matchAll(/@throws[^@]*?(?=\n\s+\*\s+@|\n\s+\*\/)/g)].flatMap(([whole]) => [...whole.matchAll(/`([A-Z]+(?:_[A-Z]+)*)`/g)]);
  t.true(named.length > 500);
  t.deepEqual([...new Set(named.map(([, code]) => code))].filter((code) => !codes.has(code)), []);
});

test("the examples of the declarations compile", (t) => {
  const examples = [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, body]) => body.replaceAll(/^\s*\* ?/gm, ""));
  // What a project says of its payloads holds for a whole program; __test__/types/payloads.ts has that.
  const whole = examples.filter((body) => !body.includes("declare module"));
  t.true(whole.length >= 5);
  const head = 'import { BaseCRUD, BaseMap, ioc, type RiskDbRow } from "backtest-kit-native";\ndeclare const row: RiskDbRow;\nexport const used = [BaseCRUD, BaseMap, ioc, row];\n';
  const files = new Map(whole.map((body, i) => [path.join(root, `example-${i}.cts`), `${head}export async function example() {\n${body}}\n`]));
  t.deepEqual(problemsOf(files, ["node"]), []);
});

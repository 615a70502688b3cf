"use strict";

// Which modules of src/ know each other in a circle. Read from their paths (`crate::…`, `super::…`, a child's name); what
// only tests use does not count.

const fs = require("node:fs");
const path = require("node:path");
const { root } = require("./tools.js");

/** The code without comments, texts and tests. */
function strip(code) {
  const plain = code
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/\/\/.*$/gm, "")
    .replace(/b?'(?:\\.[^']*|[^'\\])'/g, "0")
    .replace(/b?"(?:\\[\s\S]|[^"\\])*"/g, '""');
  let kept = "";
  let rest = plain;
  for (;;) {
    const at = rest.indexOf("#[cfg(test)]");
    if (at === -1) return kept + rest;
    kept += rest.slice(0, at);
    rest = afterItem(rest.slice(at));
  }
}

/** What follows an item: its `;`, or the brace that closes it. */
function afterItem(code) {
  let depth = 0;
  for (let at = 0; at < code.length; at++) {
    if (code[at] === "{") depth++;
    else if (code[at] === "}" && --depth === 0) return code.slice(at + 1);
    else if (code[at] === ";" && depth === 0) return code.slice(at + 1);
  }
  return "";
}

/** `a::{b, c::d}` as `[a, b]` and `[a, c, d]`. */
function expand(tree) {
  const open = tree.indexOf("{");
  if (open === -1) return [tree.replace(/\s+as\s+\w+/, "").split("::").map((part) => part.trim())];
  const before = tree.slice(0, open).split("::").map((part) => part.trim()).filter(Boolean);
  const parts = [];
  let depth = 0;
  let start = open + 1;
  for (let at = open + 1; at < tree.length; at++) {
    if ((tree[at] === "," || tree[at] === "}") && depth === 0) {
      parts.push(tree.slice(start, at));
      start = at + 1;
      if (tree[at] === "}") break;
    } else if (tree[at] === "{") depth++;
    else if (tree[at] === "}") depth--;
  }
  return parts.filter((part) => part.trim()).flatMap(expand).map((rest) => [...before, ...rest]);
}

/** Modules by their path (`mongo::driver::gate`; the crate's root is ``), each with those that it names. */
function dependencies(files) {
  const modules = new Map();
  const read = (name, file, folder) => {
    const code = strip(files.get(file));
    modules.set(name, { file, code, names: new Set() });
    for (const [, child] of code.matchAll(/^\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;/gm)) {
      const at = [`${folder}${child}.rs`, `${folder}${child}/mod.rs`].find((one) => files.has(one));
      if (at) read(name ? `${name}::${child}` : child, at, `${folder}${child}/`);
    }
  };
  read("", "lib.rs", "");
  for (const [name, module] of modules) {
    const uses = [...module.code.matchAll(/\buse\s+([^;]+);/g)].flatMap(([, tree]) => expand(tree));
    const paths = [...module.code.matchAll(/(?<![\w:])\w+(?:::\w+)+/g)].map(([text]) => text.split("::"));
    for (const parts of [...uses, ...paths]) {
      const found = resolve(modules, name, parts);
      if (found !== null && found !== name) module.names.add(found);
    }
  }
  return modules;
}

/** The module that a path leads to, or null where it leads out of the crate. */
function resolve(modules, from, parts) {
  let at = from === "" ? [] : from.split("::");
  let rest = parts;
  if (rest[0] === "crate") [at, rest] = [[], rest.slice(1)];
  else if (rest[0] === "self") rest = rest.slice(1);
  else if (rest[0] !== "super" && !modules.has([...at, rest[0]].join("::"))) return null;
  while (rest[0] === "super") [at, rest] = [at.slice(0, -1), rest.slice(1)];
  while (rest.length > 0 && modules.has([...at, rest[0]].join("::"))) [at, rest] = [[...at, rest[0]], rest.slice(1)];
  return at.join("::");
}

/** Groups of nodes that reach each other, each sorted: what Tarjan calls strongly connected, of more than one. */
function components(graph) {
  const found = [];
  const state = new Map();
  const stack = [];
  const visit = (node) => {
    const mine = { index: state.size, low: state.size, open: true };
    state.set(node, mine);
    stack.push(node);
    for (const next of graph.get(node)) {
      if (!state.has(next)) visit(next);
      const other = state.get(next);
      if (other.open) mine.low = Math.min(mine.low, other.low);
    }
    if (mine.low !== mine.index) return;
    const group = stack.splice(stack.indexOf(node));
    for (const one of group) state.get(one).open = false;
    if (group.length > 1) found.push(group.sort());
  };
  for (const node of graph.keys()) if (!state.has(node)) visit(node);
  return found.sort((a, b) => a[0].localeCompare(b[0]));
}

/** `files`: code by its path below src/. Circles of modules, and circles of the folders and files right below src/. */
function circles(files) {
  const modules = dependencies(files);
  const graph = new Map([...modules].map(([name, { names }]) => [name, [...names]]));
  const top = (name) => name.split("::")[0];
  const rooms = new Map([...modules.keys()].map((name) => [top(name), new Set()]));
  for (const [name, { names }] of modules) for (const other of names) if (top(other) !== top(name)) rooms.get(top(name)).add(top(other));
  return { modules: components(graph), rooms: components(rooms) };
}

/** The code of src/. */
function sources() {
  const src = path.join(root, "src");
  const names = fs.readdirSync(src, { recursive: true }).filter((name) => name.endsWith(".rs"));
  return new Map(names.map((name) => [name.split(path.sep).join("/"), fs.readFileSync(path.join(src, name), "utf8")]));
}

module.exports = { circles, sources };

if (require.main === module) console.log(JSON.stringify(circles(sources()), null, 2));

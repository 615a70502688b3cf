"use strict";

// The licences of the crates in the binary, with their texts: what makes passing the binary on permitted.

const fs = require("node:fs");
const path = require("node:path");

/** Of licences to choose from, the first of these is taken: the shorter its conditions, the better. */
const PREFERRED = ["MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause", "Zlib", "Unicode-3.0", "BSL-1.0", "Apache-2.0", "CDLA-Permissive-2.0"];

/** How files with the text of one licence are called; any other LICENSE is taken for what the manifest says. */
const FILES = {
  MIT: /^licen[cs]e[-_.]mit/i,
  "Apache-2.0": /^licen[cs]e[-_.]apache/i,
  ISC: /^licen[cs]e[-_.]isc/i,
  "Unicode-3.0": /^licen[cs]e[-_.]unicode/i,
  Zlib: /^licen[cs]e[-_.]zlib/i,
  "BSL-1.0": /^licen[cs]e[-_.](bsl|boost)/i,
  "BSD-2-Clause": /^licen[cs]e[-_.]bsd/i,
};
const ANY_FILE = /^(un)?(licen[cs]e|copying)/i;

/** Of an SPDX expression, the licences that are taken: one of each OR, all of each AND. */
function choose(expression) {
  const terms = expression.replaceAll("/", " OR ").split(/\s+AND\s+/);
  return terms.map((term) => {
    const choices = term.replaceAll(/[()]/g, "").split(/\s+OR\s+/);
    const found = PREFERRED.find((one) => choices.includes(one));
    if (found === undefined) throw new Error(`no licence of ${expression} is known; see PREFERRED in scripts/release/licences.js`);
    return found;
  });
}

const MIT = (holders) => `MIT License

Copyright (c) ${holders}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software
is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES
OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE
LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR
IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`;

const authors = ({ name, authors: names }) => (names.length > 0 ? names.map((one) => one.replace(/ <.*>$/, "")).join(", ") : `the authors of ${name}`);

/** The texts that go with a crate. `standard` has a licence's text for crates that bring none. */
function textsOf(crate, standard) {
  const folder = path.dirname(crate.manifest_path);
  const read = (name) => fs.readFileSync(path.join(folder, name), "utf8");
  const files = fs.readdirSync(folder).filter((name) => ANY_FILE.test(name) && fs.statSync(path.join(folder, name)).isFile()).sort();
  const named = files.filter((name) => Object.values(FILES).some((pattern) => pattern.test(name)));
  const general = files.filter((name) => !named.includes(name));
  return choose(crate.license).flatMap((licence) => {
    const own = named.filter((name) => FILES[licence]?.test(name));
    const found = own.length > 0 ? own : general;
    if (found.length > 0) return found.map(read);
    if (licence === "MIT") return [MIT(authors(crate))];
    if (standard[licence] === undefined) throw new Error(`${crate.name} brings no text of ${licence}`);
    return [standard[licence]];
  });
}

/** Without what differs between copies of one text: ends of lines, indentation, empty lines around it. */
const normal = (text) => text.replaceAll("\r", "").split("\n").map((line) => line.trimEnd()).join("\n").trim();
const compared = (text) => normal(text).replaceAll(/\s+/g, " ");

const INTRO = `# Third-party licences

The binary of backtest-kit-native contains the crates below. Made from Cargo.lock and the crates' own files by
\`npm run licences\`; not to be edited.

It also contains Rust's standard library (MIT OR Apache-2.0, Copyright (c) The Rust Project Contributors) with the crates that it
is made of, and in some builds LLVM's unwinder and run-time routines (Apache-2.0 WITH LLVM-exception, which asks for no notice
in binaries).
`;

/** THIRD-PARTY.md for these crates. */
function thirdParty(crates) {
  const apache = crates.flatMap((crate) => {
    const file = path.join(path.dirname(crate.manifest_path), "LICENSE-APACHE");
    return fs.existsSync(file) ? [fs.readFileSync(file, "utf8")] : [];
  });
  const standard = { "Apache-2.0": apache.find((text) => text.includes("APPENDIX: How to apply")) };
  const groups = new Map();
  for (const crate of crates) {
    for (const text of new Set(textsOf(crate, standard))) {
      const key = compared(text);
      if (!groups.has(key)) groups.set(key, { text: normal(text), crates: [] });
      groups.get(key).crates.push(crate);
    }
  }
  const rows = crates.map(({ name, version, license }) => `| ${name} | ${version} | ${license} |`);
  const blocks = [...groups.values()].map(({ text, crates: users }) => {
    const names = users.map(({ name, version }) => `${name} ${version}`).join(", ");
    return `## ${names}\n\n${text.split("\n").map((line) => `    ${line}`.trimEnd()).join("\n")}\n`;
  });
  return [INTRO, ["| crate | version | licence |", "| --- | --- | --- |", ...rows, ""].join("\n"), ...blocks].join("\n");
}

module.exports = { thirdParty, choose };

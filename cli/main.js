#!/usr/bin/env node
"use strict";
// The program `backtest-kit-native`: finds the command, reads its options by its own table, runs it. It works where the binary
// is missing, so nothing here loads the package.

const { parseArgs } = require("node:util");

const { Failure } = require("./failure.js");
const { readDotEnv } = require("./stores/package.js");

/**
 * Each is a module with `summary` (a line), `usage` (the words after the program's name), `help` (a paragraph), `options` (as
 * parseArgs takes them, with `help`, and `value` for what stands after the option), `needs` (options that must be there),
 * `positionals` and `places` (whether words are taken, and how many), `variables` (whether it goes by the variables, so that those of
 * `.env` are read), `advice` (what to do after a failure), and `run(values, positionals)`, which throws or returns the exit code, by
 * default 0.
 */
const COMMANDS = {
  copy: () => require("./commands/copy.js"),
  verify: () => require("./commands/verify.js"),
  backup: () => require("./commands/backup.js"),
  doctor: () => require("./commands/doctor.js"),
  warm: () => require("./commands/warm.js"),
  build: () => require("./commands/build.js"),
};

const PROGRAM = "backtest-kit-native";
const HELP = { type: "boolean", short: "h", help: "show this" };

function table(rows) {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}

function overview() {
  const rows = Object.entries(COMMANDS).map(([name, load]) => [name, load().summary]);
  return [
    `Usage: npx ${PROGRAM} <command> [options]`,
    "",
    "Persistence for backtest-kit, in Rust. The package itself is used from JavaScript; this program is for the rest.",
    "",
    "Commands:",
    table(rows),
    "",
    `npx ${PROGRAM} <command> --help says more about one; npx ${PROGRAM} --version tells the version.`,
  ].join("\n");
}

function helpOf(command) {
  const rows = Object.entries({ ...command.options, help: HELP }).map(([name, { short, value, help }]) => [
    `${short ? `-${short}, ` : ""}--${name}${value ? ` ${value}` : ""}`,
    help,
  ]);
  const summary = `${command.summary[0].toUpperCase()}${command.summary.slice(1)}.`;
  return [`Usage: npx ${PROGRAM} ${command.usage}`, "", summary, "", command.help, "", "Options:", table(rows)].join("\n");
}

/** What parseArgs is to take: it refuses fields that it does not know. */
function plain(options) {
  const known = ({ type, short, multiple = false }) => ({ type, multiple, ...(short && { short }) });
  return Object.fromEntries(Object.entries(options).map(([name, option]) => [name, known(option)]));
}

/** Says what was wrong with the words, and where to read on; returns the exit code for it. */
function misused(message, name) {
  console.error(`${message}\nnpx ${PROGRAM}${name ? ` ${name}` : ""} --help says what there is.`);
  return 2;
}

async function main([name, ...words]) {
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    console.log(overview());
    return name === undefined ? 2 : 0;
  }
  if (name === "--version") {
    console.log(require("../package.json").version);
    return 0;
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    return misused(`There is no command ${name}.`);
  }
  const command = COMMANDS[name]();
  let parsed;
  try {
    parsed = parseArgs({ args: words, options: plain({ ...command.options, help: HELP }), allowPositionals: command.positionals === true });
  } catch (error) {
    return misused(error.message, name);
  }
  if (parsed.values.help) {
    console.log(helpOf(command));
    return 0;
  }
  const missing = (command.needs ?? []).filter((option) => !parsed.values[option]);
  if (missing.length > 0) {
    return misused(`${name} needs ${missing.map((option) => `--${option}`).join(" and ")}.`, name);
  }
  if (command.places !== undefined && parsed.positionals.length !== command.places) {
    return misused(`Usage: npx ${PROGRAM} ${command.usage}`, name);
  }
  try {
    if (command.variables) readDotEnv();
    return (await command.run(parsed.values, parsed.positionals)) ?? 0;
  } catch (error) {
    // Whoever reads JSON gets JSON, whatever happens; the words for people stand on stderr.
    if (parsed.values.json) console.log(JSON.stringify({ command: name, state: "failed", message: error.message, code: error.cause?.code ?? error.code ?? null }));
    // What was on the line of the progress goes.
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
    console.error(sentenceOf(error, command.advice));
    return error.exitCode ?? (error.code === "INVALID_CONFIG" ? 2 : 1);
  }
}

/** What went wrong, for people: a sentence where it has a code, as the failures of servers, stores and the system do; else it is a bug. */
function sentenceOf(error, advice) {
  if (error instanceof Failure) return error.message;
  if (typeof error.code !== "string" || error.code.startsWith("ERR_")) return error.stack;
  const named = error.message.includes(error.code) ? error.message : `${error.message} (${error.code})`;
  return advice === undefined ? named : `${named}; ${advice}`;
}

main(process.argv.slice(2)).then((code) => (process.exitCode = code));

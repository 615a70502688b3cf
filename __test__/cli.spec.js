"use strict";

// The program `backtest-kit-native`: what it tells newcomers, and a package that builds its own binary from the source in it.

const { execFile } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const test = require("ava");
const { Progress } = require("../cli/progress.js");
const { binaryName } = require("../js/platform.js");
const { packPublished } = require("../scripts/release/pack.js");
const { root } = require("./support/addon.js");
const { folderFor } = require("./support/folder.js");

/** Runs a program; resolves with its exit code and what it printed. */
function run(command, args, { env = {}, cwd = root } = {}) {
  return new Promise((resolve) => {
    execFile(command, args, { cwd, env: { ...process.env, ...env }, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, stdout, stderr });
    });
  });
}

const cli = (args, options) => run(process.execPath, [path.join(root, "cli", "main.js"), ...args], options);

test("--help names every command, and each command's --help its options", async (t) => {
  const { code, stdout } = await cli(["--help"]);
  t.is(code, 0);
  const commands = fs.readdirSync(path.join(root, "cli", "commands")).map((file) => path.basename(file, ".js"));
  t.true(commands.includes("build"));
  for (const name of commands) {
    t.regex(stdout, new RegExp(`^  ${name} +\\S`, "m"));
    const help = await cli([name, "--help"]);
    t.is(help.code, 0);
    const { options } = require(`../cli/commands/${name}.js`);
    for (const option of Object.keys(options)) t.true(help.stdout.includes(`--${option}`), `${name} --${option}`);
  }
});

test("words that it does not know end it with 2 and the way to the help", async (t) => {
  for (const args of [["fly"], ["build", "--fast"], ["build", "everything"]]) {
    const { code, stdout, stderr } = await cli(args);
    t.is(code, 2, args.join(" "));
    t.is(stdout, "");
    t.regex(stderr, /--help says what there is/);
  }
});

/** A terminal that keeps what is written to it. */
const terminal = (columns) => ({ isTTY: true, columns, text: "", write(text) { this.text += text; } });

test("progress says how far a command is and how long the rest takes, on one line that fits the terminal", (t) => {
  const stream = terminal(60);
  const progress = new Progress(1_000, stream);
  progress.skip(500);
  // Ten seconds for a quarter of it, so as much for the rest; what an earlier run has done says nothing of the speed.
  progress.started -= 10_000;
  progress.add("candle-items", 250);
  t.is(stream.text, `\r\x1b[K${"█".repeat(15)}       75 %  750 of 1,000, 10 s left  candle`);
  progress.part("candle-items: 250 new");
  progress.end();
  t.true(stream.text.endsWith("\r\x1b[Kcandle-items: 250 new\n\r\x1b[K"));
  const file = Object.assign(terminal(undefined), { isTTY: false });
  const quiet = new Progress(10, file);
  quiet.add("rows", 5);
  quiet.part("rows: 5 new");
  quiet.end();
  t.is(file.text, "rows: 5 new\n");
});

test("without cargo, build says where Rust is to be had", async (t) => {
  const { code, stderr } = await cli(["build"], { env: { PATH: path.dirname(process.execPath) } });
  t.is(code, 1);
  t.regex(stderr, /^backtest-kit-native is built with Rust, and cargo was not found: install it from \S+\s*$/);
});

test("an installed package without a binary builds one from its own source, and works with it", async (t) => {
  t.timeout(15 * 60_000);
  const folder = folderFor(t);
  const { file } = packPublished(folder);
  const project = path.join(folder, "project");
  const installed = path.join(project, "node_modules", "backtest-kit-native");
  fs.mkdirSync(installed, { recursive: true });
  // Somebody's Rust workspace around it is none of its business.
  fs.writeFileSync(path.join(project, "Cargo.toml"), '[workspace]\nmembers = []\n');
  await run("tar", ["xzf", file, "--strip-components=1", "-C", installed]);
  fs.symlinkSync(path.join(root, "node_modules", "bson"), path.join(project, "node_modules", "bson"));
  fs.mkdirSync(path.join(project, "node_modules", ".bin"));
  fs.symlinkSync("../backtest-kit-native/cli/main.js", path.join(project, "node_modules", ".bin", "backtest-kit-native"));
  fs.writeFileSync(path.join(project, "package.json"), JSON.stringify({ name: "project", version: "1.0.0", private: true }));

  const load = () => run(process.execPath, ["-p", 'require("backtest-kit-native").health().redis.state'], { cwd: project });
  t.regex((await load()).stderr, /npx backtest-kit-native build/);

  // Not optimised, and the crates that others wrote are compiled once: what is proved is that the source is complete.
  const quick = { CARGO_PROFILE_RELEASE_LTO: "off", CARGO_PROFILE_RELEASE_OPT_LEVEL: "0", CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "64" };
  const env = { ...quick, CARGO_TARGET_DIR: path.join(root, "target", "from-package") };
  const built = await run("npx", ["--no-install", "backtest-kit-native", "build"], { cwd: project, env });
  t.is(built.code, 0, built.stderr);
  t.is(built.stdout.trim(), `built node_modules/backtest-kit-native/${binaryName()}`);
  t.false(fs.existsSync(path.join(installed, "target")));
  const loaded = await load();
  t.is(loaded.code, 0, loaded.stderr);
  t.is(loaded.stdout.trim(), "idle");
});

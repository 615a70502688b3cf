"use strict";

// Loaded first by a Node for Windows that runs under Wine: programs of the system below are started by `native-programs.js`, which tells
// of them what a child process tells. Their paths are those of Wine's drive Z:.

const childProcess = require("node:child_process");
const { EventEmitter } = require("node:events");
const net = require("node:net");
const path = require("node:path");
const { PassThrough, Writable } = require("node:stream");
const readline = require("node:readline");

// Folders that both worlds see, and the programs in them.
process.env.TEMP = process.env.TMP = "Z:\\tmp";
process.env.PATH = `Z:\\usr\\bin;Z:\\bin;${process.env.PATH}`;

const { spawn, execFile, execFileSync } = childProcess;
const native = (text) => text.replace(/Z:(\\[^;"]*)/gi, (_, rest) => rest.replaceAll("\\", "/"));

/** The program's path where it is one of the system below, else null. */
function nativeProgram(command) {
  if (/\.exe$/i.test(command)) return null;
  return /^(Z:)?[\\/]/i.test(command) || ["sh", "openssl", "redis-cli", "redis-server"].includes(command) ? native(command) : null;
}

class NativeChild extends EventEmitter {
  constructor(command, args, { cwd } = {}) {
    super();
    Object.assign(this, { pid: undefined, exitCode: null, signalCode: null, killed: false, spawnargs: [command, ...args] });
    this.socket = net.connect(Number(process.env.BKN_NATIVE_PROGRAMS), "127.0.0.1");
    this.stdout = new PassThrough();
    this.stderr = new PassThrough();
    this.stdin = new Writable({
      write: (bytes, _, done) => (this.say({ input: Buffer.from(bytes).toString("base64") }), done()),
      final: (done) => (this.say({ input: null }), done()),
    });
    this.stdin.unref = () => {};
    this.socket.on("error", () => this.over(null, "SIGKILL"));
    this.say({ command, args: args.map((arg) => native(String(arg))), cwd: cwd && native(path.resolve(cwd)) });
    readline.createInterface({ input: this.socket }).on("line", (line) => this.hear(JSON.parse(line)));
  }

  say(message) {
    if (this.socket.writable) this.socket.write(`${JSON.stringify(message)}\n`);
  }

  hear({ pid, stdout, stderr, error, code, signal }) {
    if (pid) {
      this.pid = pid;
      this.emit("spawn");
    } else if (stdout) this.stdout.write(Buffer.from(stdout, "base64"));
    else if (stderr) this.stderr.write(Buffer.from(stderr, "base64"));
    else if (error) this.emit("error", Object.assign(new Error(error), { code }));
    else this.over(code, signal);
  }

  over(code, signal) {
    if (this.exitCode !== null || this.signalCode !== null) return;
    this.exitCode = code;
    this.signalCode = signal ?? null;
    this.stdout.end();
    this.stderr.end();
    this.socket.destroy();
    this.emit("exit", code, this.signalCode);
    this.emit("close", code, this.signalCode);
  }

  kill(signal = "SIGTERM") {
    this.killed = true;
    this.say({ signal });
    return true;
  }

  ref() {
    this.socket.ref();
  }

  unref() {
    this.socket.unref();
  }
}

childProcess.spawn = (command, args = [], options = {}) => {
  const program = nativeProgram(command);
  return program === null ? spawn(command, args, options) : new NativeChild(program, args, options);
};

childProcess.execFile = (command, args, options, done) => {
  const program = nativeProgram(command);
  if (program === null) return execFile(command, args, options, done);
  const child = new NativeChild(program, args, options);
  const texts = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) child[name].setEncoding("utf8").on("data", (text) => (texts[name] += text));
  child.once("error", (error) => done(error, "", ""));
  child.once("close", (code) => done(code === 0 ? null : Object.assign(new Error(`${command} ended with code ${code}`), { code }), texts.stdout, texts.stderr));
  return child;
};

childProcess.execFileSync = (command, args, options) => {
  const program = nativeProgram(command);
  return program === null ? execFileSync(command, args, options) : execFileSync(process.execPath, [path.join(__dirname, "wine-wait.js"), program, ...args], options);
};

module.exports = { NativeChild };

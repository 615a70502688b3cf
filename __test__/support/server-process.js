"use strict";

// A server program of our own for tests: a free port, a directory, and an end that comes with the end of this process,
// however that process ends. What each server adds is in redis.js and mongo.js.

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");

/** So long a server may take for the question whether it is there: another's, of another protocol, would never answer. */
const ANSWER_MS = 2_000;
/** So long its end may take. */
const END_MS = 30_000;
const LASTING_SIGNALS = ["SIGSTOP", "SIGCONT", "SIGUSR1", "SIGHUP"];
const servers = new Set();

// Ordinary exits end here; the watchdog (below) covers SIGKILL, crashes and terminated worker threads.
process.on("exit", () => {
  for (const server of servers) server.reap();
});

/**
 * Subclasses have `name` (of the program), `logFile`, `program()`, `words()` (of the command line), `answers()` (true
 * when *our* server answers) and `disconnect()` (ends the connection of the tests themselves).
 */
class ServerProcess {
  constructor(options, { prefix, startMs }) {
    this.options = options;
    this.startMs = startMs;
    this.host = "127.0.0.1";
    this.port = options.port || 0;
    this.ownsDir = !options.dir;
    this.dir = options.dir || fs.mkdtempSync(path.join(os.tmpdir(), prefix));
    this.child = null;
    servers.add(this);
  }

  get pid() {
    return this.child ? this.child.pid : 0;
  }

  async start() {
    const fixed = Boolean(this.options.port) || this.started;
    for (let attempt = 1; ; attempt++) {
      if (!fixed) this.port = await freePort();
      try {
        await this.launch();
        this.started = true;
        return this;
      } catch (error) {
        await this.end("SIGKILL");
        // Between choosing a port and binding it somebody else may take it.
        if (attempt >= 5 || !/in use/i.test(error.message)) throw error;
      }
    }
  }

  async launch() {
    fs.rmSync(this.logFile, { force: true });
    const child = spawn(this.program(), this.words().map(String), { stdio: "ignore", detached: Boolean(this.options.detached) });
    this.child = child;
    this.exited = new Promise((resolve) => {
      child.once("exit", resolve);
      child.once("error", resolve);
    });
    let gone = false;
    this.exited.then(() => (gone = true));
    child.unref();
    this.watchdog = child.pid ? startWatchdog(child.pid, this.ownsDir ? this.dir : "") : null;

    const until = Date.now() + this.startMs;
    for (;;) {
      if (gone) throw new Error(`${this.name} did not start:\n${tail(this.logFile)}`);
      if (await Promise.race([this.answers(), this.exited.then(() => false)])) return;
      if (Date.now() > until) throw new Error(`${this.name} did not answer in ${this.startMs} ms:\n${tail(this.logFile)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Sends a signal (SIGSTOP and SIGCONT too); waits for the end where the signal ends the server. */
  async kill(signal = "SIGKILL") {
    if (!this.child) return;
    this.child.kill(signal);
    if (signal === "SIGSTOP") await this.stopped();
    if (!LASTING_SIGNALS.includes(signal)) await this.end();
  }

  /** A process of many threads stands still a moment after the signal. Where the system does not tell, nobody waits. */
  async stopped() {
    const state = () => {
      try {
        return fs.readdirSync(`/proc/${this.pid}/task`).map((task) => fs.readFileSync(`/proc/${this.pid}/task/${task}/stat`, "utf8"));
      } catch {
        return [];
      }
    };
    while (state().some((line) => !/^\d+ \(.*\) T /.test(line))) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  async end(signal) {
    const child = this.child;
    if (!child) return;
    // A stopped process does not see SIGTERM; SIGKILL reaches it all the same.
    if (signal) child.kill(signal);
    child.ref();
    const killer = setTimeout(() => {
      console.error(`${this.name} (${child.pid}) did not end within ${END_MS} ms; it is killed`);
      child.kill("SIGKILL");
    }, END_MS);
    await this.exited;
    clearTimeout(killer);
    this.disconnect();
    this.child = null;
    if (this.watchdog) this.watchdog.dismiss();
  }

  /** Ends the server and removes its directory. */
  async stop() {
    await this.end("SIGKILL");
    this.removeDir();
    servers.delete(this);
  }

  /** Ends it (if it still runs) and starts it anew on the same port. */
  async restart() {
    await this.end("SIGKILL");
    return this.start();
  }

  removeDir() {
    if (this.ownsDir) fs.rmSync(this.dir, { recursive: true, force: true });
  }

  /** The synchronous end, for the exit of the process. */
  reap() {
    if (this.child) this.child.kill("SIGKILL");
    this.removeDir();
  }
}

/**
 * A shell that waits for the end of its input. Our death, of whatever kind, closes the pipe; the shell then kills the
 * server. It has a session of its own, so that Ctrl-C in a terminal does not end it before its work is done.
 */
function startWatchdog(pid, dir) {
  const script = 'if read line; then exit 0; fi; kill -9 "$1"; if [ -n "$2" ]; then rm -rf "$2"; fi';
  const shell = spawn("sh", ["-c", script, "watchdog", String(pid), dir], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  shell.unref();
  shell.on("error", () => {});
  shell.stdin.on("error", () => {});
  if (shell.stdin.unref) shell.stdin.unref();
  return { dismiss: () => shell.stdin.end("\n") };
}

/**
 * From the first to below the last. Systems give other ports to connections that go out: the port of a server that is down for a moment
 * would be taken by one of those.
 */
const PORTS = { from: 10_000, to: 32_000 };

/** A TCP port that nobody listens on at this moment. */
async function freePort() {
  for (let attempt = 1; attempt <= 1_000; attempt++) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
    const probe = net.createServer();
    const isFree = await new Promise((resolve) => {
      probe.once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => probe.close(resolve));
    return port;
  }
  throw new Error("127.0.0.1 has no free port");
}

function tail(file) {
  try {
    const lines = fs.readFileSync(file, "utf8").split("\n");
    // mongod says more than this after the line that tells why.
    return [...lines.slice(0, -15).filter((line) => /in use/i.test(line)), ...lines.slice(-15)].join("\n");
  } catch {
    return "(no log)";
  }
}

module.exports = { ANSWER_MS, PORTS, ServerProcess, freePort };

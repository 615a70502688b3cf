"use strict";

// Real Redis servers for tests, benchmarks and the demo. Each has a free port and a directory of its own, keeps
// nothing on disk, and dies with the process that started it, however that process ends.

const { execFile, spawn } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");
const { findRedisServer, which } = require("../../scripts/lib/tools.js");
const { connect } = require("./resp.js");
const { startMonitor } = require("./monitor.js");

const START_MS = 10_000;
const servers = new Set();

// Ordinary exits end here; the watchdog (below) covers SIGKILL, crashes and terminated worker threads.
process.on("exit", () => {
  for (const server of servers) server.reap();
});

class RedisServer {
  constructor(options) {
    this.options = options;
    this.host = "127.0.0.1";
    this.port = options.port || 0;
    this.password = options.password || "";
    this.ownsDir = !options.dir;
    this.dir = options.dir || fs.mkdtempSync(path.join(os.tmpdir(), "bkn-redis-"));
    this.socket = path.join(this.dir, "redis.sock");
    this.child = null;
    this.client = null;
    servers.add(this);
  }

  get pid() {
    return this.child ? this.child.pid : 0;
  }

  get url() {
    const credentials = this.password ? `default:${encodeURIComponent(this.password)}@` : "";
    return `redis://${credentials}${this.host}:${this.port}`;
  }

  /** The variables that point a process at this server. Empty counts as unset, so an outer URL cannot win. */
  get env() {
    return {
      CC_REDIS_HOST: this.host,
      CC_REDIS_PORT: String(this.port),
      CC_REDIS_USER: "default",
      // A server without a password accepts any for the default user.
      CC_REDIS_PASSWORD: this.password || "mysecurepassword",
      CC_REDIS_URL: "",
    };
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
    const log = path.join(this.dir, "redis.log");
    const args = ["--port", this.port, "--bind", this.host, "--save", "", "--appendonly", "no", "--dir", this.dir];
    args.push("--unixsocket", this.socket, "--logfile", log, "--daemonize", "no");
    if (this.password) args.push("--requirepass", this.password);
    args.push(...(this.options.args || []));
    fs.rmSync(log, { force: true });
    const child = spawn(findRedisServer(), args.map(String), { stdio: "ignore", detached: Boolean(this.options.detached) });
    this.child = child;
    this.exited = new Promise((resolve) => {
      child.once("exit", resolve);
      child.once("error", resolve);
    });
    let gone = false;
    this.exited.then(() => (gone = true));
    child.unref();
    this.watchdog = child.pid ? startWatchdog(child.pid, this.ownsDir ? this.dir : "") : null;

    const until = Date.now() + START_MS;
    for (;;) {
      if (gone) throw new Error(`redis-server did not start:\n${tail(log)}`);
      if (await this.answers()) return;
      if (Date.now() > until) throw new Error(`redis-server did not answer within ${START_MS} ms:\n${tail(log)}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** True when *our* server answers: another one may hold the port while ours is failing to bind it. */
  async answers() {
    let client;
    try {
      client = await connect({ port: this.port, host: this.host, password: this.password });
      const info = await client.command("INFO", "server");
      return !(info instanceof Error) && info.toString().includes(`process_id:${this.pid}\r`);
    } catch {
      return false;
    } finally {
      if (client) client.close();
    }
  }

  /** Sends one command; the reply as Buffer, number, null, array, or (for an error reply) an Error object. */
  async command(...args) {
    return (await this.connection()).command(...args);
  }

  connection() {
    const options = { port: this.port, host: this.host, password: this.password };
    if (!this.client) this.client = connect(options);
    return this.client.then(
      (client) => {
        if (!client.closed) return client;
        this.client = connect(options);
        return this.client;
      },
      (error) => {
        this.client = null;
        throw error;
      },
    );
  }

  /** Runs redis-cli against this server; resolves with what it printed. */
  cli(...args) {
    const cli = which("redis-cli");
    if (!cli) return Promise.reject(new Error("redis-cli was not found; it comes with redis-server"));
    const auth = this.password ? ["--user", "default", "--pass", this.password, "--no-auth-warning"] : [];
    const words = ["-h", this.host, "-p", this.port, ...auth, ...args].map(String);
    return new Promise((resolve, reject) => {
      execFile(cli, words, { maxBuffer: 256 * 1024 * 1024 }, (error, stdout, stderr) => {
        if (error) reject(new Error(`redis-cli: ${stderr || error.message}`));
        else resolve(stdout.replace(/\n$/, ""));
      });
    });
  }

  /** Watches the commands that the server gets: `{ commands, settle(), calls(), clear(), stop() }`. */
  monitor() {
    return startMonitor(this, () => this.connection());
  }

  /** Sends a signal (SIGSTOP and SIGCONT too); waits for the end where the signal ends the server. */
  async kill(signal = "SIGKILL") {
    if (!this.child) return;
    this.child.kill(signal);
    if (!["SIGSTOP", "SIGCONT", "SIGUSR1", "SIGHUP"].includes(signal)) await this.end();
  }

  async end(signal) {
    const child = this.child;
    if (!child) return;
    // A stopped process does not see SIGTERM; SIGKILL reaches it all the same.
    if (signal) child.kill(signal);
    child.ref();
    await this.exited;
    if (this.client) this.client.then((client) => client.close(), () => {});
    this.client = null;
    this.child = null;
    if (this.watchdog) this.watchdog.dismiss();
  }

  /** Ends the server and removes its directory. */
  async stop() {
    await this.end("SIGKILL");
    this.removeDir();
    servers.delete(this);
  }

  /** Ends it (if it still runs) and starts it anew on the same port, empty. */
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

/** A TCP port that nobody listens on at this moment. */
function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

function tail(file) {
  try {
    return fs.readFileSync(file, "utf8").split("\n").slice(-15).join("\n");
  } catch {
    return "(no log)";
  }
}

/**
 * Starts a redis-server and waits until it answers.
 * Options: `args` (further words of its command line), `password`, `port` (default: a free one), `dir` (kept at the end),
 * `detached` (Ctrl-C in a terminal reaches us and not the server).
 */
function startRedis(options = {}) {
  return new RedisServer(options).start();
}

module.exports = { startRedis, findRedisServer, freePort, RedisServer };

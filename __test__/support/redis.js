"use strict";

// Real Redis servers for tests, benchmarks and the demo. Each has a free port and a directory of its own, keeps
// nothing on disk, and dies with the process that started it, however that process ends.

const { execFile } = require("node:child_process");
const path = require("node:path");
const { findRedisServer, which } = require("../../scripts/lib/tools.js");
const { connect } = require("./resp.js");
const { startMonitor } = require("./monitor.js");
const { ANSWER_MS, ServerProcess, freePort } = require("./server-process.js");

/** The commands by which tests change what is stored. */
const CHANGES = new Set([
  ...["SET", "SETEX", "MSET", "HSET", "LPUSH", "RPUSH", "SADD", "APPEND", "INCR", "RESTORE", "RENAME", "ZADD", "XADD", "EVAL"],
  ...["DEL", "UNLINK", "EXPIRE", "PEXPIRE", "PERSIST", "FLUSHALL", "FLUSHDB"],
]);

class RedisServer extends ServerProcess {
  constructor(options) {
    super(options, { prefix: "bkn-redis-", startMs: 10_000 });
    this.name = "redis-server";
    this.password = options.password || "";
    this.logFile = path.join(this.dir, "redis.log");
    this.socket = path.join(this.dir, "redis.sock");
    this.client = null;
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

  program() {
    return findRedisServer();
  }

  words() {
    const words = ["--port", this.port, "--bind", this.host, "--save", "", "--appendonly", "no", "--dir", this.dir];
    words.push("--logfile", this.logFile, "--daemonize", "no");
    // Windows knows no such sockets, and cannot remove the file of one.
    if (process.platform !== "win32") words.push("--unixsocket", this.socket);
    if (this.password) words.push("--requirepass", this.password);
    return words.concat(this.options.args || []);
  }

  /** True when *our* server answers: another one may hold the port while ours is failing to bind it. */
  async answers() {
    let client;
    try {
      client = await connect({ port: this.port, host: this.host, password: this.password, patience: ANSWER_MS });
      const info = await client.command("INFO", "server");
      return !(info instanceof Error) && info.toString().includes(`process_id:${this.pid}\r`);
    } catch {
      return false;
    } finally {
      if (client) client.close();
    }
  }

  /**
   * Sends one command; the reply as Buffer, number, null, array, or (for an error reply) an Error object. What it changes has been
   * announced by then to those who are told of changes: the reply may come before that, but not the next one.
   */
  async command(name, ...args) {
    const client = await this.connection();
    const reply = await client.command(name, ...args);
    if (CHANGES.has(name.toUpperCase())) await client.command("PING").catch(() => {});
    return reply;
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

  disconnect() {
    if (this.client) this.client.then((client) => client.close(), () => {});
    this.client = null;
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

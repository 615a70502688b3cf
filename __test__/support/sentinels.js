"use strict";

// Real sentinels (redis-server --sentinel) that watch a master and its replicas.

const fs = require("node:fs");
const path = require("node:path");
const { findRedisServer, freePort, startRedis } = require("./redis.js");
const { connect } = require("./resp.js");
const { ServerProcess } = require("./server-process.js");

const NAME = "mymaster";
/** A master that does not answer for so long is down. */
const DOWN_MS = 1_000;
/** The user that sentinels have at the servers: without its rights they cannot reach a server that others reach. */
const WATCHER = { user: "watcher", password: "watched" };

/** The password of the servers' default user. */
const PASSWORD = "of-the-servers";

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Calls until it is true, or throws after half a minute. */
async function until(what, condition, ms = 30_000) {
  for (const end = Date.now() + ms; ; await sleep(20)) {
    const seen = await Promise.resolve(condition()).catch(() => false);
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`it did not come: ${what}`);
  }
}

class Sentinel extends ServerProcess {
  constructor(options) {
    super(options, { prefix: "bkn-sentinel-", startMs: 10_000 });
    this.name = "redis-server --sentinel";
    this.logFile = path.join(this.dir, "sentinel.log");
    this.file = path.join(this.dir, "sentinel.conf");
  }

  program() {
    return findRedisServer();
  }

  /** The file is the sentinel's own after its first start: it keeps there what it knows. */
  words() {
    if (!fs.existsSync(this.file)) {
      const { master, quorum, lines = [] } = this.options;
      const config = [
        `port ${this.port}`,
        `bind ${this.host}`,
        `dir ${this.dir}`,
        `logfile ${this.logFile}`,
        "sentinel resolve-hostnames yes",
        `sentinel monitor ${NAME} 127.0.0.1 ${master.named} ${quorum}`,
        `sentinel down-after-milliseconds ${NAME} ${DOWN_MS}`,
        `sentinel failover-timeout ${NAME} 4000`,
        `sentinel auth-user ${NAME} ${WATCHER.user}`,
        `sentinel auth-pass ${NAME} ${WATCHER.password}`,
        ...lines,
      ];
      fs.writeFileSync(this.file, `${config.join("\n")}\n`);
    }
    return [this.file, "--sentinel"];
  }

  async answers() {
    return Buffer.isBuffer(await this.command("PING").catch(() => null));
  }

  /** Sends one command on a connection of its own. */
  async command(...args) {
    const client = await connect({ port: this.port, host: this.host, password: this.options.password });
    try {
      return await client.command(...args);
    } finally {
      client.close();
    }
  }

  /** The port of the master as this one names it. */
  async names() {
    const reply = await this.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME);
    return Number(reply[1].toString());
  }

  async knows(field) {
    const reply = (await this.command("SENTINEL", "MASTER", NAME)).map(String);
    return reply[reply.indexOf(field) + 1];
  }

  disconnect() {}
}

class Sentinels {
  constructor(servers, sentinels) {
    this.servers = servers;
    this.sentinels = sentinels;
  }

  /** The connection string; `of`: only these sentinels stand in it. */
  urlOf({ of = this.sentinels, name = NAME } = {}) {
    return `redis+sentinel://:${PASSWORD}@${of.map(({ port }) => `127.0.0.1:${port}`).join(",")}/${name}`;
  }

  /** The server that a majority of the sentinels that run names as the master; `but`: another one than this. */
  master(but) {
    return until("a majority names a master", async () => {
      const named = await Promise.all(this.sentinels.map((sentinel) => sentinel.names().catch(() => 0)));
      const most = this.servers.find((server) => named.filter((one) => one === server.named).length > this.sentinels.length / 2);
      return most !== but && most;
    });
  }

  /** Until all know each other and the replicas, and the replicas are in step. */
  async settle() {
    const others = String(this.sentinels.length - 1);
    const replicas = String(this.servers.length - 1);
    const knows = async (sentinel) =>
      (await sentinel.knows("num-other-sentinels")) === others && (await sentinel.knows("num-slaves")) === replicas;
    await until("the sentinels know each other", async () => (await Promise.all(this.sentinels.map(knows))).every(Boolean));
    await until("the replicas are in step", async () => {
      const master = await this.master();
      const info = String(await master.command("INFO", "replication"));
      return (info.match(/state=online/g) ?? []).length === this.servers.length - 1;
    });
  }

  async stop() {
    await Promise.all([...this.sentinels, ...this.servers].map((one) => one.stop()));
  }
}

/**
 * Starts a master with replicas and sentinels, and waits until they know each other. `lines`: of the sentinels' configuration;
 * `password`: what the tests themselves tell sentinels; `args`: of the servers' command line. `tls`: `{ authority, identity }`, with
 * which a master without replicas and a single sentinel speak TLS, too.
 */
async function startSentinels({ replicas = 2, count = 3, args = [], tls, ...options } = {}) {
  if (tls) return startSecure(tls, options);
  const rights = ["--user", WATCHER.user, "on", `>${WATCHER.password}`, "~*", "&*", "+@all"];
  const own = [...rights, "--masteruser", WATCHER.user, "--masterauth", WATCHER.password, "--repl-diskless-sync-delay", "0", ...args];
  const master = await startRedis({ password: PASSWORD, args: own });
  const replicaOf = ["--replicaof", `127.0.0.1 ${master.port}`];
  const followers = Array.from({ length: replicas }, () => startRedis({ password: PASSWORD, args: [...own, ...replicaOf] }));
  const servers = [master, ...(await Promise.all(followers))];
  // By which port the sentinels name it.
  for (const server of servers) server.named = server.port;
  const quorum = Math.floor(count / 2) + 1;
  const sentinels = await Promise.all(Array.from({ length: count }, () => new Sentinel({ master, quorum, ...options }).start()));
  const all = new Sentinels(servers, sentinels);
  await all.settle();
  return all;
}

async function startSecure({ authority, identity }, options) {
  const files = { "tls-cert-file": identity.cert, "tls-key-file": identity.key, "tls-ca-cert-file": authority.cert, "tls-auth-clients": "no" };
  const [named, tlsPort] = await Promise.all([freePort(), freePort()]);
  const rights = ["--user", WATCHER.user, "on", `>${WATCHER.password}`, "~*", "&*", "+@all"];
  const words = Object.entries({ ...files, "tls-port": named }).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const master = await startRedis({ args: [...rights, ...words] });
  master.named = named;
  const lines = Object.entries({ ...files, "tls-port": tlsPort, "tls-replication": "yes" }).map((pair) => pair.join(" "));
  const sentinel = await new Sentinel({ master, quorum: 1, ...options, lines }).start();
  sentinel.tlsPort = tlsPort;
  const all = new Sentinels([master], [sentinel]);
  await all.settle();
  return all;
}

module.exports = { NAME, PASSWORD, WATCHER, startSentinels, until, sleep };

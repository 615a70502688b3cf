"use strict";

// The bench's side of the peers' processes.

const { fork } = require("node:child_process");
const { isBuiltin } = require("node:module");
const path = require("node:path");

const { fetchNode } = require("../scripts/lib/nodes.js");

const OPEN_MS = 30_000;
const ASK_MS = 120_000;

/** The Node that a peer runs on: this one, or another where it lacks what the peer is about. */
function nodeOf({ builtin, node }) {
  if (builtin === undefined || isBuiltin(builtin)) return process.execPath;
  if (process.platform !== "linux" || process.arch !== "x64") throw new Error(`Node ${process.versions.node} has no ${builtin}`);
  return fetchNode("linux-x64", node);
}

class Peer {
  constructor(entry) {
    Object.assign(this, { id: entry.id, title: entry.title, entry });
    this.version = "";
    this.pending = new Map();
    this.asked = 0;
  }

  /** Starts the process and connects; throws with the reason where the peer cannot take part. */
  async open(server) {
    this.process = fork(path.join(__dirname, "child.js"), [], {
      execPath: nodeOf(this.entry),
      // Collections between turns must not make the engine forget the code of the operations that rest.
      execArgv: ["--expose-gc", "--no-flush-bytecode"],
      env: { ...process.env, ...server.env },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let noise = "";
    this.process.stderr.on("data", (chunk) => (noise = (noise + chunk).slice(-2000)));
    this.process.on("message", ({ id, answer, error }) => {
      const call = this.pending.get(id);
      this.pending.delete(id);
      if (call) error === undefined ? call.resolve(answer) : call.reject(new Error(error));
    });
    this.process.on("error", (error) => this.fail(error));
    // Not "exit": what the process said on its way out must have been read.
    this.process.on("close", (code, signal) => this.fail(new Error(`its process ended (${signal || code}) ${firstLine(noise)}`.trim())));
    const { version } = await this.ask("open", { peer: this.entry.id, server: { host: "127.0.0.1", port: server.port, mongoUrl: server.mongoUrl, storePath: server.storePath, cluster: server.cluster } }, OPEN_MS);
    this.version = version;
    return this;
  }

  fail(error) {
    for (const call of this.pending.values()) call.reject(error);
    this.pending.clear();
    this.ended = true;
  }

  ask(what, args = {}, limit = ASK_MS) {
    const id = ++this.asked;
    return new Promise((resolve, reject) => {
      if (this.ended) return reject(new Error("its process has ended"));
      const timer = setTimeout(() => reject(new Error(`no answer to ${what} within ${limit / 1000} s`)), limit);
      const settle = (how) => (value) => {
        clearTimeout(timer);
        how(value);
      };
      this.pending.set(id, { resolve: settle(resolve), reject: settle(reject) });
      this.process.send({ ...args, id, ask: what });
    }).catch((error) => {
      throw new Error(`${this.title}: ${error.message}`);
    });
  }

  async close() {
    if (!this.process || this.ended) return;
    await this.ask("close", {}, 5000).catch(() => {});
    this.process.kill("SIGKILL");
  }
}

/** The line of an error output that says most: the error itself where there is one. */
function firstLine(text) {
  const lines = text.split("\n").map((line) => line.trim());
  return lines.find((line) => /error/i.test(line) && !line.startsWith("at ")) || lines.find(Boolean) || "";
}

/** Opens all of them; those that fail come back with a reason instead. */
async function openPeers(entries, server) {
  const peers = [];
  const skipped = [];
  for (const entry of entries) {
    const peer = new Peer(entry);
    try {
      peers.push(await peer.open(server));
    } catch (error) {
      await peer.close();
      skipped.push({ id: entry.id, title: entry.title, reason: shortReason(error.message) });
    }
  }
  return { peers, skipped };
}

/** Node names the files that wanted a module; a result that is kept must not hold a path of this machine. */
function shortReason(message) {
  const root = path.resolve(__dirname, "..");
  return message.split("\n")[0].replace(/^[^:]*: /, "").split(root + path.sep).join("").split(root).join(".");
}

module.exports = { Peer, openPeers };

"use strict";

// A Redis Cluster of three masters that a test uses as it uses one server: commands go to the master that has their key, or to all.

const { isCall } = require("./monitor.js");
const { startCluster, SLOTS } = require("./redis-cluster.js");

const MASTERS = 3;
/** Commands that are about a whole server: what becomes of the masters' replies. */
const OF_ALL = {
  FLUSHALL: (replies) => replies[0],
  FLUSHDB: (replies) => replies[0],
  ACL: (replies) => replies[0],
  CONFIG: (replies) => replies[0],
  DEBUG: (replies) => replies[0],
  DBSIZE: (replies) => replies.reduce((sum, count) => sum + count, 0),
  KEYS: (replies) => replies.flat(),
};
/** Commands of several keys, each of which may be at another master. */
const OF_EACH = new Set(["DEL", "EXISTS"]);
/** What a client asks that looks for its way in the cluster. */
const OF_ROUTING = new Set(["CLUSTER", "ASKING"]);
/** By a read of an id's key, right before it asks for a node's slots, the near cache has the node prove that it holds them. */
const isProof = ([name, key], next) => name.toUpperCase() === "EXISTS" && /_cache:/.test(key) && next?.[0].toUpperCase() === "CLUSTER" && next[1].toUpperCase() === "NODES";

class ClusterServer {
  constructor(cluster) {
    this.cluster = cluster;
    this.host = "127.0.0.1";
    this.port = cluster.nodes[0].port;
    this.url = cluster.urlOf();
  }

  get env() {
    return { ...this.cluster.nodes[0].env, CC_REDIS_URL: this.url };
  }

  async masterOf(key) {
    return this.cluster.nodes[Math.floor((await this.cluster.slotOf(key)) / Math.ceil(SLOTS / MASTERS))];
  }

  async ask(key, ...words) {
    return (await this.masterOf(key)).command(...words);
  }

  async command(word, ...args) {
    const name = word.toUpperCase();
    if (OF_ALL[name]) {
      const replies = await Promise.all(this.cluster.nodes.map((node) => node.command(name, ...args)));
      return replies.find((reply) => reply instanceof Error) ?? OF_ALL[name](replies);
    }
    if (OF_EACH.has(name)) {
      const replies = await Promise.all(args.map((key) => this.ask(key, name, key)));
      return replies.reduce((sum, count) => sum + count, 0);
    }
    if (name === "MSET") {
      const pairs = Array.from({ length: args.length / 2 }, (_, i) => [args[2 * i], args[2 * i + 1]]);
      await Promise.all(pairs.map(([key, value]) => this.ask(key, "SET", key, value)));
      return Buffer.from("OK");
    }
    if (name === "RENAME") {
      const [from, to] = args;
      const dump = await this.ask(from, "DUMP", from);
      const reply = await this.ask(to, "RESTORE", to, 0, dump, "REPLACE");
      await this.ask(from, "DEL", from);
      return reply;
    }
    if (args.length === 0) throw new Error(`it is not known how ${name} is asked of a cluster`);
    return this.ask(args[0], word, ...args);
  }

  /** As a server's, with the commands of all masters in the order in which they were carried out. */
  async monitor() {
    const all = await Promise.all(this.cluster.nodes.map((node) => node.monitor()));
    const merged = { commands: [], raw: [] };
    const settle = async () => {
      await Promise.all(all.map((one) => one.settle()));
      const lines = all.flatMap(({ commands, raw, moments }) =>
        commands.map((command, i) => ({ command, raw: raw[i], at: moments[i], proves: isProof(command, commands[i + 1]) })),
      );
      const asked = lines.filter(({ command, proves }) => !proves && !OF_ROUTING.has(command[0].toUpperCase())).sort((a, b) => a.at - b.at);
      merged.commands.length = 0;
      merged.raw.length = 0;
      for (const { command, raw } of asked) {
        merged.commands.push(command);
        merged.raw.push(raw);
      }
      return merged.commands;
    };
    return Object.assign(merged, {
      settle,
      async calls() {
        await settle();
        return merged.commands.filter(isCall);
      },
      clear() {
        for (const one of all) one.clear();
        merged.commands.length = 0;
        merged.raw.length = 0;
      },
      async stop() {
        await settle();
        await Promise.all(all.map((one) => one.stop()));
        return merged.commands;
      },
    });
  }

  async kill(signal) {
    await Promise.all(this.cluster.nodes.map((node) => node.kill(signal)));
  }

  async restart() {
    await Promise.all(this.cluster.nodes.map((node) => node.restart()));
    await this.cluster.settle();
  }

  stop() {
    return this.cluster.stop();
  }
}

/** Options as a server has them: `password`, `args`. */
async function startClusterServer(options = {}) {
  return new ClusterServer(await startCluster({ ...options, masters: MASTERS, replicas: 0 }));
}

module.exports = { startClusterServer };

"use strict";

// Real Redis Clusters: masters and replicas on loopback, joined by hand, which takes a second where redis-cli takes ten.

const { startProxy } = require("./proxy.js");
const { RedisServer, freePort } = require("./redis.js");
const { sleep, until } = require("./sentinels.js");

/** A master that does not answer for so long is down. */
const NODE_TIMEOUT_MS = 1_000;
const SLOTS = 16_384;

class ClusterNode extends RedisServer {
  constructor(options) {
    super(options);
    /** By which port the others and clients know it: the one that speaks TLS, where the cluster does. */
    this.named = 0;
    this.id = "";
  }

  async launch() {
    // The bus's port is usually the other's + 10000, which somebody else may have, or which is too large.
    if (!this.started) this.bus = await freePort();
    if (!this.started && this.options.tls) this.tlsPort = await freePort();
    await super.launch();
    this.named = this.tlsPort ?? this.port;
  }

  words() {
    const { tls } = this.options;
    const words = ["--cluster-enabled", "yes", "--cluster-port", this.bus, "--cluster-node-timeout", NODE_TIMEOUT_MS];
    words.push("--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0");
    // A replica of a master that lives on would go where one is missing, and the tests would look for it.
    words.push("--cluster-allow-replica-migration", "no");
    if (this.password) words.push("--masterauth", this.password);
    if (tls) {
      const { authority, identity } = tls;
      words.push("--tls-port", this.tlsPort, "--tls-cluster", "yes", "--tls-replication", "yes", "--tls-auth-clients", "no");
      words.push("--tls-cert-file", identity.cert, "--tls-key-file", identity.key, "--tls-ca-cert-file", authority.cert);
    }
    return super.words().concat(words);
  }

  get address() {
    return `127.0.0.1:${this.named}`;
  }

  /** The nodes as this one knows them: `{ id, port, flags, master, ranges, marks }`. */
  async nodes() {
    const text = String(await this.command("CLUSTER", "NODES"));
    return text.split("\n").filter(Boolean).map((line) => {
      const [id, at, flags, master, , , epoch, , ...slots] = line.split(" ");
      const ranges = slots.filter((word) => !word.startsWith("[")).map((word) => word.split("-").map(Number));
      const port = Number(at.split("@")[0].split(":").at(-1));
      return { id, port, flags: flags.split(","), master, epoch, ranges, marks: slots.filter((word) => word.startsWith("[")) };
    });
  }
}

class Cluster {
  constructor(nodes, options) {
    this.nodes = nodes;
    this.options = options;
  }

  /** The connection string; `of`: only these nodes stand in it. */
  urlOf({ of = this.nodes, host = "127.0.0.1", credentials } = {}) {
    const { password, tls } = this.options;
    const user = credentials ?? (password ? `:${password}` : "");
    const hosts = of.map((node) => `${host}:${node.named}`).join(",");
    return `${tls ? "rediss" : "redis"}+cluster://${user && `${user}@`}${hosts}`;
  }

  /** Those that run. */
  get alive() {
    return this.nodes.filter((node) => node.child && !node.isStopped);
  }

  nodeAt(port) {
    return this.nodes.find((node) => node.named === port);
  }

  /** The node of whom most of those that run say that it owns a slot. */
  async ownerOf(slot) {
    const votes = new Map();
    const asked = this.alive.map((node) => node.nodes().catch(() => []));
    for (const map of await Promise.all(asked)) {
      const owner = map.find(({ ranges }) => ranges.some(([first, last = first]) => slot >= first && slot <= last));
      if (owner) votes.set(owner.port, (votes.get(owner.port) ?? 0) + 1);
    }
    const [port] = [...votes].sort((a, b) => b[1] - a[1])[0] ?? [0];
    return this.nodeAt(port);
  }

  /**
   * The same, when all that run say so, and by which epoch. Before that, whoever gets the slot next might not know of the claim that
   * it has to outbid, and older word of it would leave the slot without an owner.
   */
  agreedOwnerOf(slot) {
    return until("all agree on the owner of a slot", async () => {
      const maps = await Promise.all(this.alive.map((node) => node.nodes()));
      const owners = maps.map((map) => map.find(({ ranges }) => ranges.some(([first, last = first]) => slot >= first && slot <= last)));
      const is = ({ port, epoch }) => port === owners[0].port && epoch === owners[0].epoch;
      return owners.every((owner) => owner && is(owner)) && this.nodeAt(owners[0].port);
    });
  }

  /** The slot of a key, as a server tells it. */
  slotOf(key) {
    return this.alive[0].command("CLUSTER", "KEYSLOT", key);
  }

  /** What the owner holds under a key, as text. */
  async value(key) {
    const owner = await this.ownerOf(await this.slotOf(key));
    const reply = await owner.command("GET", key);
    if (reply instanceof Error) throw reply;
    return reply && String(reply);
  }

  /** All keys of all masters. */
  async keys(pattern = "*") {
    const found = [];
    for (const master of await this.masters()) found.push(...(await master.command("KEYS", pattern)).map(String));
    return found.sort();
  }

  /** The nodes that own slots. */
  async masters() {
    const map = await this.alive[0].nodes();
    return map.filter(({ ranges }) => ranges.length > 0).map(({ port }) => this.nodeAt(port));
  }

  /** A master's replica. One that has just come back becomes known as that a moment after all agree on the slots. */
  replicaOf(master) {
    return until("a master's replica is known", async () => {
      const map = await this.alive[0].nodes();
      const found = map.find((one) => one.master === master.id);
      return found && this.nodeAt(found.port);
    });
  }

  /** Until all that run agree on who owns which slots, and replicas follow. */
  async settle() {
    await until("the nodes agree", async () => {
      const maps = await Promise.all(this.alive.map((node) => node.nodes()));
      const owners = maps.map((map) => JSON.stringify(map.filter(({ ranges }) => ranges.length > 0).map(({ id, ranges }) => [id, ranges]).sort()));
      const states = await Promise.all(this.alive.map((node) => node.command("CLUSTER", "INFO")));
      return new Set(owners).size === 1 && maps.every((map) => map.length === maps[0].length) && states.every((state) => String(state).includes("cluster_state:ok"));
    });
  }

  /** Until each master has its replica in step. */
  async inStep() {
    await until("the replicas are in step", async () => {
      for (const node of this.alive) {
        const info = String(await node.command("INFO", "replication"));
        if (info.includes("role:slave") && !info.includes("master_link_status:up")) return false;
      }
      return true;
    });
  }

  /** Has each node be known by a proxy in front of it, to clients and to the others, whose bus goes past it. The proxies, in the order of the nodes. */
  async behindProxies() {
    const proxies = [];
    for (const node of this.nodes) {
      const proxy = await startProxy({ port: node.port });
      proxies.push(proxy);
      node.named = proxy.port;
      await node.command("CONFIG", "SET", "cluster-announce-port", proxy.port);
    }
    const ports = JSON.stringify(proxies.map(({ port }) => port).sort());
    await until("all know the new addresses", async () => {
      const maps = await Promise.all(this.nodes.map((node) => node.nodes()));
      return maps.every((map) => JSON.stringify(map.map(({ port }) => port).sort()) === ports);
    });
    return proxies;
  }

  /** Starts another node, which knows the others and owns nothing. */
  async add() {
    const node = await start(this.options);
    this.nodes.push(node);
    await meet(this.alive[0], node);
    await this.settle();
    return node;
  }

  /** Takes a node that owns nothing out of the cluster, and ends it. */
  async remove(node) {
    const others = this.nodes.filter((one) => one !== node);
    for (const other of others.filter((one) => one.child)) await other.command("CLUSTER", "FORGET", node.id);
    await node.stop();
    this.nodes = others;
  }

  /** The steps by which a slot moves, as redis-cli does it: `{ begin(), carry(keys), end() }`. `carry` resolves with how many keys went. */
  mover(slot, to) {
    let from;
    const say = async (node, ...words) => {
      const reply = await node.command(...words);
      if (reply instanceof Error) throw new Error(`${words.join(" ")}: ${reply.message}`);
      return reply;
    };
    return {
      begin: async () => {
        from = await this.agreedOwnerOf(slot);
        await say(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", from.id);
        await say(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", to.id);
      },
      carry: async (keys) => {
        const names = await say(from, "CLUSTER", "GETKEYSINSLOT", slot, keys);
        const auth = this.options.password ? ["AUTH", this.options.password] : [];
        if (names.length > 0) await say(from, "MIGRATE", "127.0.0.1", to.named, "", 0, 5_000, ...auth, "KEYS", ...names);
        return names.length;
      },
      end: async () => {
        await say(to, "CLUSTER", "SETSLOT", slot, "NODE", to.id);
        await say(from, "CLUSTER", "SETSLOT", slot, "NODE", to.id);
        for (const node of await this.masters()) await node.command("CLUSTER", "SETSLOT", slot, "NODE", to.id);
      },
    };
  }

  /** Moves a slot with all its keys. `each`: called before each key goes; `keys`: so many at a time. */
  async migrate(slot, to, { each = async () => {}, keys = 10 } = {}) {
    if ((await this.ownerOf(slot)) === to) return;
    const move = this.mover(slot, to);
    await move.begin();
    do await each();
    while ((await move.carry(keys)) > 0);
    await move.end();
  }

  async stop() {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }
}

async function start(options) {
  const node = await new ClusterNode(options).start();
  node.id = String(await node.command("CLUSTER", "MYID"));
  return node;
}

/** Until two nodes know each other. One that has not finished its greeting within a second forgets it, and says nothing. */
async function meet(node, other) {
  const knows = async (one, another) => (await one.nodes()).some(({ id, flags }) => id === another.id && !flags.includes("handshake"));
  await until("two nodes know each other", async () => {
    if ((await knows(node, other)) && (await knows(other, node))) return true;
    const reply = await node.command("CLUSTER", "MEET", "127.0.0.1", other.named, other.bus);
    if (reply instanceof Error) throw reply;
    return false;
  });
}

/**
 * Starts a cluster, and waits until it serves. `password`, `args`: as for a server; `tls`: `{ authority, identity }`, with which all
 * speak TLS, beside a plain port over which the tests look at them.
 */
async function startCluster({ masters = 3, replicas = 3, ...options } = {}) {
  const nodes = await Promise.all(Array.from({ length: masters + replicas }, () => start(options)));
  const cluster = new Cluster(nodes, options);
  try {
    const share = Math.ceil(SLOTS / masters);
    for (let at = 0; at < nodes.length; at++) {
      await nodes[at].command("CLUSTER", "SET-CONFIG-EPOCH", at + 1);
      if (at < masters) await nodes[at].command("CLUSTER", "ADDSLOTSRANGE", at * share, Math.min((at + 1) * share, SLOTS) - 1);
      if (at > 0) await meet(nodes[0], nodes[at]);
    }
    await cluster.settle();
    for (let at = masters; at < nodes.length; at++) {
      const id = nodes[(at - masters) % masters].id;
      await until("a replica knows its master", async () => String(await nodes[at].command("CLUSTER", "REPLICATE", id)) === "OK");
    }
    await cluster.settle();
    await cluster.inStep();
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

module.exports = { Cluster, NODE_TIMEOUT_MS, SLOTS, startCluster, sleep, until };

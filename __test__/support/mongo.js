"use strict";

// Real MongoDB servers for tests and benchmarks, standalone or a replica set of one. Each has a free port and a
// directory of its own and dies with the process that started it. Data outlives stop and start, as on a real server.

const fs = require("node:fs");
const path = require("node:path");
const { ensureMongod } = require("../../scripts/lib/mongod.js");
const { connectWire } = require("./mongo-wire.js");
const { ANSWER_MS, ServerProcess, freePort } = require("./server-process.js");
const { watchOperations } = require("./mongo-profile.js");

const REPLICA_SET = "rs0";
const DATABASE = "backtest-pro";

class MongoServer extends ServerProcess {
  constructor(options) {
    super(options, { prefix: "bkn-mongo-", startMs: 30_000 });
    this.name = "mongod";
    this.database = options.database || DATABASE;
    this.logFile = path.join(this.dir, "mongod.log");
    this.client = null;
  }

  get url() {
    return this.urlOf(this.database);
  }

  /** The connection string of one database of this server. */
  urlOf(database, query = {}) {
    const parameters = new URLSearchParams({ ...(this.options.replSet && { replicaSet: REPLICA_SET }), ...query });
    return `mongodb://${this.host}:${this.port}/${database}${parameters.size ? `?${parameters}` : ""}`;
  }

  /** The variables that point a process at this server. */
  get env() {
    return { CC_MONGO_CONNECTION_STRING: this.url };
  }

  program() {
    return ensureMongod();
  }

  words() {
    const words = ["--port", this.port, "--bind_ip", this.host, "--dbpath", this.dir, "--logpath", this.logFile];
    words.push("--wiredTigerCacheSizeGB", "0.25", "--quiet");
    // A server for Windows has no such sockets, one for Linux that is used from Windows (under Wine) is to make none.
    if (process.platform !== "win32") words.push("--unixSocketPrefix", this.dir);
    else if (process.env.BKN_NATIVE_PROGRAMS) words.push("--nounixsocket");
    words.push("--setParameter", "diagnosticDataCollectionEnabled=false");
    words.push("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=100");
    if (this.options.replSet) words.push("--replSet", REPLICA_SET, "--oplogSize", "64");
    return words.concat(this.options.args || []);
  }

  /** True when *our* server answers, and as a replica set accepts writes. */
  async answers() {
    let client;
    try {
      if (this.options.args?.includes("--auth")) {
        // To strangers it says nothing of itself, but its log is ours.
        return fs.readFileSync(this.logFile, "utf8").includes("Waiting for connections");
      }
      client = await connectWire(this, { patience: ANSWER_MS });
      const { parsed } = await client.command("admin", { getCmdLineOpts: 1 });
      if (path.resolve(parsed.storage.dbPath) !== path.resolve(this.dir)) return false;
      if (!this.options.replSet || this.options.initiate === false) return true;
      const hello = await client.command("admin", { hello: 1 });
      if (!hello.setName) await this.initiate(client);
      return hello.isWritablePrimary;
    } catch {
      return false;
    } finally {
      if (client) client.close();
    }
  }

  async initiate(client) {
    const members = [{ _id: 0, host: `${this.host}:${this.port}` }];
    await client.command("admin", { replSetInitiate: { _id: REPLICA_SET, members } });
  }

  /** Sends one command to a database (the server's own unless named); see mongo-wire.js for the reply. */
  async command(document, { database = this.database, raw = false } = {}) {
    if (!this.client || this.client.closed) this.client = await connectWire(this);
    return this.client.command(database, document, { raw });
  }

  /** All documents of a collection that match; `raw` keeps BSON's types, `sort` gives an order. */
  async documents(collection, { filter = {}, sort, database, raw = false } = {}) {
    // One batch holds what a test looks at: up to 16 MB.
    const command = { find: collection, filter, sort, batchSize: 1_000_000 };
    const { cursor } = await this.command(command, { database, raw });
    if (Number(cursor.id) !== 0) throw new Error(`${collection} has more documents than one batch holds`);
    return cursor.firstBatch;
  }

  async count(collection, filter = {}, database) {
    return (await this.command({ count: collection, query: filter }, { database })).n;
  }

  async insert(collection, documents, database) {
    const { writeErrors } = await this.command({ insert: collection, documents }, { database });
    if (writeErrors) throw Object.assign(new Error(writeErrors[0].errmsg), writeErrors[0]);
  }

  /** The indexes of a collection, [] where the collection does not exist. */
  async indexes(collection, database) {
    try {
      return (await this.command({ listIndexes: collection }, { database })).cursor.firstBatch;
    } catch (error) {
      if (error.codeName === "NamespaceNotFound") return [];
      throw error;
    }
  }

  /** The same when they are built: they are there already while they are being built, and no read uses them. */
  async builtIndexes(collection, database) {
    const indexes = await this.indexes(collection, database);
    // The server answers when those that somebody else has begun are built, too.
    if (indexes.length > 0) await this.command({ createIndexes: collection, indexes }, { database });
    return indexes;
  }

  async drop(database = this.database) {
    return this.command({ dropDatabase: 1 }, { database });
  }

  /** Watches the operations that a database gets: `{ operations(), clear(), stop() }`. */
  watch(database = this.database) {
    return watchOperations(this, database);
  }

  /** Ends it in order and starts it anew on the same port, with its data. A kill loses the last 100 ms of writes. */
  async restart() {
    await this.end("SIGTERM");
    return this.start();
  }

  /** Stops the process where it stands, connections open and silent, until `resume`. */
  pause() {
    return this.kill("SIGSTOP");
  }

  resume() {
    return this.kill("SIGCONT");
  }

  disconnect() {
    if (this.client) this.client.close();
    this.client = null;
  }
}

/**
 * Starts a mongod and waits until it accepts writes.
 * Options: `replSet` (true: a replica set of one; with `initiate: false` a member that somebody else initiates), `args` (further words of its command line), `database` (the one in
 * `url`), `port` (default: a free one), `dir` (kept at the end).
 */
function startMongo(options = {}) {
  return new MongoServer(options).start();
}

module.exports = { startMongo, freePort, MongoServer };

"use strict";

// The embedded store of a spec file, in the place of its servers: a fresh folder, and another copy of the package that looks
// into it, as redis.js and mongo.js look into theirs.

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { Unsent } = require("./unsent.js");

const root = path.resolve(__dirname, "..", "..");
const isOurs = (file) => file.endsWith(".js") && (path.dirname(file) === root || file.startsWith(path.join(root, "js") + path.sep));

/** Another copy of the package, which leaves the one that is loaded alone. */
function loadApart() {
  const before = Object.entries(require.cache).filter(([file]) => isOurs(file));
  for (const [file] of before) delete require.cache[file];
  const lib = require(root);
  const inner = (name) => require(path.join(root, "js", name));
  const copy = { lib, engine: inner("engine.js"), mongo: inner("mongo.js"), codec: inner("codec.js") };
  for (const file of Object.keys(require.cache)) if (isOurs(file)) delete require.cache[file];
  for (const [file, loaded] of before) require.cache[file] = loaded;
  return copy;
}

/** Names of maps that any copy of the package has made in this process: a store is not asked for all of its keys. */
const names = new Set();

class Store {
  constructor() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), "bkn-store-"));
    this.copy = loadApart();
    this.copy.lib.setConfig({ CC_STORE_PATH: this.folder, CC_CANDLE_CACHE_MAX_BYTES: 0 });
    this.users = 0;
    /** Keys that no map can have; they are nowhere near the store. */
    this.outside = new Map();
    // Copies of the package that are told of servers use the store all the same.
    process.env.CC_STORE_PATH = this.folder;
    Object.assign(this, { host: "127.0.0.1", port: 1, url: "redis://127.0.0.1:1" });
    for (const row of this.copy.engine.native.table) names.add(row.prefix);
  }

  get env() {
    return { CC_STORE_PATH: this.folder };
  }

  /** A connection string that leads nowhere: rows of all databases are in the store. */
  urlOf(database) {
    return `mongodb://127.0.0.1:1/${database}`;
  }

  /** A map of the first part of a key, and the rest of the key. */
  mapOf(key, ttl = -1) {
    const text = String(key);
    const at = text.indexOf(":");
    if (at < 0) throw new Error(`on the store there are only keys of maps, and ${text} is none`);
    names.add(text.slice(0, at));
    return [new this.copy.lib.BaseMap(text.slice(0, at), ttl), text.slice(at + 1)];
  }

  /** One command of Redis, as far as tests use it to look or to prepare. */
  async command(name, ...args) {
    const [key, value, ...options] = args;
    if (key !== undefined && key !== "*" && !String(key).includes(":")) {
      if (name.toUpperCase() === "SET") return this.outside.set(String(key), value) && "OK";
      if (name.toUpperCase() === "GET") return this.outside.has(String(key)) ? Buffer.from(this.outside.get(String(key))) : null;
    }
    switch (name.toUpperCase()) {
      case "GET": {
        const [map, rest] = this.mapOf(key);
        const found = await map.get(rest);
        return found === null ? null : Buffer.from(found);
      }
      case "SET": {
        const ttl = options.length === 2 && options[0].toUpperCase() === "EX" ? Number(options[1]) : -1;
        const [map, rest] = this.mapOf(key, ttl);
        if (rest !== "") await map.set(rest, Buffer.isBuffer(value) ? value : String(value));
        // The empty key is one that only others write.
        else await this.raw((engine) => engine.set(engine.addMap(map.connectionKey, ttl), "", String(value)));
        return "OK";
      }
      case "EXISTS":
      case "DEL": {
        let count = 0;
        for (const one of args) {
          const [map, rest] = this.mapOf(one);
          count += Number(await map.has(rest));
          if (name.toUpperCase() === "DEL") await map.delete(rest);
        }
        return count;
      }
      case "MSET":
        for (let i = 0; i < args.length; i += 2) await this.command("SET", args[i], args[i + 1]);
        return "OK";
      case "RENAME":
        await this.command("SET", args[1], await this.command("GET", key));
        await this.command("DEL", key);
        return "OK";
      case "FLUSHALL":
      case "FLUSHDB":
        this.outside.clear();
        for (const one of names) await new this.copy.lib.BaseMap(one, -1).clear();
        return "OK";
      case "TTL":
      case "PTTL": {
        const [map, rest] = this.mapOf(key);
        const left = await this.raw((engine) => engine.remaining(engine.addMap(map.connectionKey, -1), rest));
        if (left === null) return -2;
        return left < 0 || name.toUpperCase() === "PTTL" ? left : Math.round(left / 1_000);
      }
      case "EXPIRE": {
        const found = await this.command("GET", key);
        return found === null ? 0 : (await this.command("SET", key, found, "EX", value), 1);
      }
      case "STRLEN":
        return (await this.command("GET", key)).length;
      case "KEYS": {
        const all = new Set(this.outside.keys());
        for (const one of names) for (const rest of await this.keysOf(one)) all.add(`${one}:${rest}`);
        const matches = new RegExp(`^${String(key).replace(/[.+^${}()|[\]\\]/g, "\\$&").replace(/\*/g, ".*")}$`, "s");
        return [...all].filter((text) => matches.test(text)).map((text) => Buffer.from(text));
      }
      case "DBSIZE": {
        return (await this.command("KEYS", "*")).length;
      }
      default:
        throw new Error(`the store has no ${name}`);
    }
  }

  /** A call of the engine itself. */
  raw(call) {
    const { native } = this.copy.engine;
    native.ready();
    return native.promise(call(native.engine));
  }

  async keysOf(name) {
    const all = [];
    for await (const rest of new this.copy.lib.BaseMap(name, -1).keys()) all.push(rest);
    return all;
  }

  monitor() {
    const calls = async () => new Unsent();
    return { commands: new Unsent(), raw: new Unsent(), settle: calls, calls, clear() {}, stop: calls };
  }

  async watch() {
    const operations = async () => new Unsent();
    return { operations, clear() {}, stop: operations };
  }

  number(collection) {
    const number = this.copy.mongo.table.findIndex((row) => row.collection === collection);
    if (number < 0) throw new Error(`the store has no collection ${collection}`);
    return number;
  }

  async documents(collection, { filter = {}, sort, raw = false } = {}) {
    const { OPS, ask } = this.copy.mongo;
    const { bytes } = await ask(OPS.rows, this.number(collection), { filter, ...(sort && { sort }) });
    const rows = [];
    for (let at = 0; at < bytes.length; at += bytes.readInt32LE(at)) {
      const document = bytes.subarray(at, at + bytes.readInt32LE(at));
      rows.push(this.copy.codec().deserialize(document, raw ? { promoteValues: false, bsonRegExp: true } : {}));
    }
    return rows;
  }

  /** Rows as BaseCRUD takes them; what a schema does not take, only a server holds. */
  async insert(collection, documents) {
    const { OPS, ask } = this.copy.mongo;
    await Promise.all(documents.map((dto) => ask(OPS.insert, this.number(collection), { dto })));
  }

  async count(collection, filter = {}) {
    return (await this.documents(collection, { filter })).length;
  }

  async wipe(collection) {
    const { OPS, ask } = this.copy.mongo;
    await ask(OPS.delete, this.number(collection), { filter: {} });
  }

  async drop() {
    for (const { collection } of this.copy.mongo.table) await this.wipe(collection);
  }

  async stop() {
    if (--this.users > 0) return;
    await this.copy.lib.close();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

let store = null;

/** The one store of this process, as a Redis and as a MongoDB. */
function storeServers() {
  store ??= new Store();
  store.users++;
  const refuse = (what) => () => Promise.reject(new Error(`the store has no ${what}`));
  return {
    redis: new Proxy(store, {
      get: (target, name) => (name in target ? bound(target, name) : name === "cli" ? refuse(name) : undefined),
    }),
    mongo: new Proxy(store, {
      get(target, name) {
        if (name === "url") return target.urlOf("backtest-pro");
        if (name !== "command") return name in target ? bound(target, name) : undefined;
        return async (document) => {
          if (document.delete && document.deletes.every(({ q, limit }) => Object.keys(q).length === 0 && limit === 0)) return target.wipe(document.delete);
          throw new Error(`the store has no command ${Object.keys(document)[0]}`);
        };
      },
    }),
  };
}

const bound = (target, name) => (typeof target[name] === "function" ? target[name].bind(target) : target[name]);

/** Notes a map that a test makes. */
const noteMap = (name) => void names.add(String(name));

/** Has copies of the package that are loaded from now on use the store, where a test has emptied the environment. */
const remember = () => void Object.assign(process.env, store?.env);

module.exports = { storeServers, noteMap, remember };

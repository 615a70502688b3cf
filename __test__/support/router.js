"use strict";

// A mongod that says it is a router of a sharded cluster, as drivers see one: what it says of itself is rewritten on the way, what comes
// in is noted, and what a router refuses for want of the shard key is refused in a router's words. Whether routers find the right
// shard it cannot show.

const net = require("node:net");
const { ObjectId, deserialize, serialize } = require("bson");
const { loadSpec } = require("./spec.js");

const [OP_REPLY, OP_QUERY, OP_MSG] = [1, 2004, 2013];
const HEADER = 16;
/** Where the document of a message begins: after flags and kind; after flags, cursor, number and count. */
const BODY = { [OP_MSG]: HEADER + 5, [OP_REPLY]: HEADER + 20 };
const GREETINGS = ["hello", "isMaster", "ismaster"];

const { collections } = loadSpec("collections");
/** The fields of a collection's shard key, which are those of its unique key. */
const keyOf = (name) => collections.find(({ collection }) => collection === name)?.key;

/** Cuts what comes into messages. */
function messages(each) {
  let rest = Buffer.alloc(0);
  return (bytes) => {
    rest = rest.length > 0 ? Buffer.concat([rest, bytes]) : bytes;
    while (rest.length >= 4 && rest.length >= rest.readInt32LE(0)) {
      const length = rest.readInt32LE(0);
      each(rest.subarray(0, length));
      rest = rest.subarray(length);
    }
  };
}

/** The command of a message. */
function commandOf(message) {
  const kind = message.readInt32LE(12);
  if (kind === OP_MSG) return deserialize(message.subarray(BODY[OP_MSG]), { promoteValues: true });
  if (kind !== OP_QUERY) throw new Error(`a message of kind ${kind}`);
  return deserialize(message.subarray(message.indexOf(0, HEADER + 4) + 9));
}

/** A reply of the same kind with another document. */
function withDocument(message, document) {
  const kind = message.readInt32LE(12);
  const changed = Buffer.concat([message.subarray(0, BODY[kind]), serialize(document)]);
  changed.writeInt32LE(changed.length, 0);
  // Without more to come: it is asked each time.
  if (kind === OP_MSG) changed.writeUInt32LE(0, HEADER);
  return changed;
}

/** What a router says of itself, where a member of a set said this. */
function greeting(reply) {
  const left = ["setName", "setVersion", "hosts", "passives", "arbiters", "primary", "me", "secondary", "electionId", "lastWrite", "topologyVersion"];
  return { ...Object.fromEntries(Object.entries(reply).filter(([name]) => !left.includes(name))), msg: "isdbgrid" };
}

const isEqual = (value) => value === null || typeof value !== "object" || !Object.keys(value).some((name) => name.startsWith("$"));

class Router {
  constructor(mongo, { isBalanced = false } = {}) {
    this.mongo = mongo;
    /** Which router this is, to whoever asks through a balancer of load. */
    this.serviceId = isBalanced ? new ObjectId() : null;
    /** Commands, in their order. */
    this.commands = [];
    this.sockets = new Set();
  }

  async start() {
    this.server = net.createServer((client) => this.connected(client));
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.port = this.server.address().port;
    return this;
  }

  urlOf(database) {
    return `mongodb://127.0.0.1:${this.port}/${database}`;
  }

  connected(client) {
    const server = net.connect({ host: this.mongo.host, port: this.mongo.port, noDelay: true });
    /** Requests that are greetings, by their number. */
    const greetings = new Set();
    client.setNoDelay(true);
    for (const [one, other] of [[client, server], [server, client]]) {
      this.sockets.add(one);
      one.on("error", () => {});
      one.on("close", () => (this.sockets.delete(one), other.destroy()));
    }
    client.on("data", messages((message) => {
      const command = commandOf(message);
      const id = message.readInt32LE(4);
      if (GREETINGS.some((name) => name in command)) {
        greetings.add(id);
        // A member of a set does not know the word.
        const { loadBalanced, ...rest } = command;
        if (loadBalanced === true) return void server.write(withDocument(message, rest));
      } else {
        this.commands.push(command);
        const refusal = this.refusal(command);
        if (refusal !== null) return void client.write(replyTo(id, refusal));
      }
      server.write(message);
    }));
    server.on("data", messages((message) => {
      const isGreeting = greetings.delete(message.readInt32LE(8));
      if (!isGreeting) return void client.write(message);
      const reply = deserialize(message.subarray(BODY[message.readInt32LE(12)]), { promoteValues: false, bsonRegExp: true });
      const { serviceId } = this;
      client.write(withDocument(message, { ...greeting(reply), ...(serviceId && { serviceId }) }));
    }));
  }

  /** Whether a filter has the whole shard key, as values. */
  hasKey(collection, filter) {
    return keyOf(collection).every((name) => name in filter && isEqual(filter[name]));
  }

  /** What a router answers to a write that it cannot send to one shard; null where it can. */
  refusal(command) {
    const [name] = Object.keys(command);
    if (keyOf(command[name]) === undefined) return null;
    if (name === "findAndModify" && !this.hasKey(command[name], command.query)) {
      return { ok: 0, errmsg: "Query for sharded findAndModify must contain the shard key", code: 61, codeName: "ShardKeyNotFound" };
    }
    const upsert = name === "update" && command.updates.find(({ q, upsert }) => upsert && !this.hasKey(command.update, q));
    if (upsert) {
      const errmsg = "Failed to target upsert by query :: could not extract exact shard key";
      return { ok: 1, n: 0, nModified: 0, writeErrors: [{ index: command.updates.indexOf(upsert), code: 61, codeName: "ShardKeyNotFound", errmsg }] };
    }
    return null;
  }

  async stop() {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function replyTo(id, document) {
  const body = serialize(document);
  const message = Buffer.alloc(HEADER + 5 + body.length);
  message.writeInt32LE(message.length, 0);
  message.writeInt32LE(id, 8);
  message.writeInt32LE(OP_MSG, 12);
  message.set(body, HEADER + 5);
  return message;
}

/** A router in front of a mongod that is a replica set of one. `isBalanced`: it is behind a balancer of load. */
const startRouter = (mongo, options) => new Router(mongo, options).start();

module.exports = { startRouter, keyOf };

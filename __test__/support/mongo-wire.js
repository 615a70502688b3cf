"use strict";

// A MongoDB client in a few lines, independent of every driver: one command, one reply (OP_MSG). Replies keep BSON's
// types where `raw` asks for them: `{ raw: true }` gives Int32, Double, Long … instead of numbers.

const net = require("node:net");
const { deserialize, serialize } = require("bson");

const OP_MSG = 2013;
const HEADER = 16;

class WireClient {
  constructor(socket) {
    this.socket = socket;
    this.waiting = new Map();
    this.requests = 0;
    this.received = Buffer.alloc(0);
    this.closed = false;
    socket.on("data", (bytes) => this.take(bytes));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.closed = true;
      for (const { reject } of this.waiting.values()) reject(new Error("the connection to mongod was closed"));
      this.waiting.clear();
    });
  }

  /** Resolves with the reply; rejects with an Error that carries the reply's fields where `ok` is not 1. */
  command(database, document, { raw = false } = {}) {
    const id = ++this.requests;
    const body = serialize({ ...document, $db: database }, { ignoreUndefined: true });
    const message = Buffer.alloc(HEADER + 5 + body.length);
    message.writeInt32LE(message.length, 0);
    message.writeInt32LE(id, 4);
    message.writeInt32LE(OP_MSG, 12);
    message.set(body, HEADER + 5);
    return new Promise((resolve, reject) => {
      if (this.closed) return reject(new Error("the connection to mongod was closed"));
      this.waiting.set(id, { resolve, reject, raw });
      this.socket.ref();
      this.socket.write(message);
    });
  }

  take(bytes) {
    this.received = this.received.length ? Buffer.concat([this.received, bytes]) : bytes;
    while (this.received.length >= 4) {
      const length = this.received.readInt32LE(0);
      if (this.received.length < length) return;
      const message = this.received.subarray(0, length);
      this.received = this.received.subarray(length);
      const id = message.readInt32LE(8);
      const { resolve, reject, raw } = this.waiting.get(id);
      this.waiting.delete(id);
      // Between commands it must not keep a test that forgot to close it from ending.
      if (this.waiting.size === 0) this.socket.unref();
      const reply = deserialize(message.subarray(HEADER + 5), raw ? { promoteValues: false, bsonRegExp: true } : {});
      const { errmsg, ok } = reply;
      if (Number(ok) === 1) resolve(reply);
      else reject(Object.assign(new Error(errmsg), reply));
    }
  }

  close() {
    this.socket.destroy();
  }
}

/** A server that says nothing for `patience` milliseconds loses the connection. */
function connectWire({ host, port }, { patience = 0 } = {}) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, noDelay: true });
    if (patience > 0) socket.setTimeout(patience, () => socket.destroy(new Error(`nothing came for ${patience} ms`)));
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.removeListener("error", reject);
      socket.unref();
      resolve(new WireClient(socket));
    });
  });
}

module.exports = { connectWire };

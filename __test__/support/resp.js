"use strict";

// A tiny RESP2 client without dependencies: the tests must not look at Redis through the code under test.

const net = require("node:net");

const CRLF = Buffer.from("\r\n");

/** One command as the bytes of a RESP array. Arguments: strings, numbers, Buffers. */
function encode(args) {
  const parts = [Buffer.from(`*${args.length}\r\n`)];
  for (const arg of args) {
    const bytes = Buffer.isBuffer(arg) ? arg : Buffer.from(String(arg));
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, CRLF);
  }
  return Buffer.concat(parts);
}

/** Reads one reply at `at`; undefined while it is not complete. */
function decode(buffer, at) {
  const end = buffer.indexOf(CRLF, at);
  if (end < 0) return undefined;
  const line = buffer.subarray(at + 1, end);
  const next = end + 2;
  switch (String.fromCharCode(buffer[at])) {
    case "+":
      return { value: Buffer.from(line), next };
    case "-":
      return { value: new Error(line.toString()), next };
    case ":":
      return { value: Number(line.toString()), next };
    case "$": {
      const length = Number(line.toString());
      if (length < 0) return { value: null, next };
      if (buffer.length < next + length + 2) return undefined;
      return { value: Buffer.from(buffer.subarray(next, next + length)), next: next + length + 2 };
    }
    case "*": {
      const length = Number(line.toString());
      if (length < 0) return { value: null, next };
      const items = [];
      let position = next;
      for (let i = 0; i < length; i++) {
        const item = decode(buffer, position);
        if (item === undefined) return undefined;
        items.push(item.value);
        position = item.next;
      }
      return { value: items, next: position };
    }
    default:
      throw new Error(`unexpected reply byte ${buffer[at]}`);
  }
}

/**
 * Opens a connection (and authenticates). `onReply` gets every reply that nobody asked for (MONITOR's lines). A server that says
 * nothing for `patience` milliseconds loses it.
 */
async function connect({ port, host = "127.0.0.1", password, patience = 0, onReply }) {
  const socket = net.connect({ port, host, noDelay: true });
  if (patience > 0) socket.setTimeout(patience, () => socket.destroy(new Error(`nothing came for ${patience} ms`)));
  await new Promise((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  const waiting = [];
  let chunks = [];
  let size = 0;
  let held = 0;
  /** An idle connection must not keep the test's process alive. */
  const rest = () => {
    if (waiting.length === 0 && held === 0) socket.unref();
  };

  socket.on("data", (chunk) => {
    chunks.push(chunk);
    size += chunk.length;
    // Joined only when a line may have ended: a large reply that comes in many pieces stays linear.
    if (chunk[chunk.length - 1] !== 10) return;
    const buffer = Buffer.concat(chunks, size);
    let at = 0;
    for (;;) {
      const reply = at < buffer.length ? decode(buffer, at) : undefined;
      if (reply === undefined) break;
      at = reply.next;
      const call = waiting.shift();
      if (call) call.resolve(reply.value);
      else if (onReply) onReply(reply.value);
    }
    chunks = at < buffer.length ? [buffer.subarray(at)] : [];
    size = buffer.length - at;
    rest();
  });
  const fail = (error) => {
    for (const call of waiting.splice(0)) call.reject(error);
  };
  socket.on("error", fail);
  socket.on("close", () => fail(new Error("the test's own connection to Redis was closed")));

  const client = {
    address: `${socket.localAddress}:${socket.localPort}`,
    get closed() {
      return socket.destroyed;
    },
    command(...args) {
      if (socket.destroyed) return Promise.reject(new Error("the test's own connection to Redis is closed"));
      socket.ref();
      return new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        socket.write(encode(args));
      });
    },
    /** Keeps the process alive until `promise` is settled, which comes of what is read here. */
    async hold(promise) {
      held += 1;
      socket.ref();
      try {
        return await promise;
      } finally {
        held -= 1;
        rest();
      }
    },
    close() {
      socket.destroy();
    },
  };
  if (password) {
    const reply = await client.command("AUTH", "default", password);
    if (reply instanceof Error) {
      client.close();
      throw reply;
    }
  }
  rest();
  return client;
}

module.exports = { connect, encode, decode };

"use strict";

// A server that speaks just enough of the protocol to be connected to, and then says what a test wants: duplicates in
// a scan, replies in pieces, nonsense, silence.

const { randomBytes } = require("node:crypto");
const net = require("node:net");
const { decode } = require("./resp.js");

const bulk = (text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
const array = (items) => `*${items.length}\r\n${items.join("")}`;

/** A page of SCAN. */
const page = (cursor, keys) => array([bulk(cursor), array(keys.map(bulk))]);

/** The answer to HELLO 3. */
const hello = (id) =>
  `%7\r\n${bulk("server")}${bulk("redis")}${bulk("version")}${bulk("7.0.15")}${bulk("proto")}:3\r\n` +
  `${bulk("id")}:${id}\r\n${bulk("mode")}${bulk("standalone")}${bulk("role")}${bulk("master")}${bulk("modules")}*0\r\n`;

/** The command that starts there: an array of words, or, as a real server takes it too, a line of them. */
function next(buffer, at) {
  if (buffer[at] === 42) return decode(buffer, at);
  const end = buffer.indexOf("\r\n", at);
  return end < 0 ? undefined : { value: buffer.toString("latin1", at, end).split(" "), next: end + 2 };
}

/** The answer to INFO server. `runId`: forty hexadecimal digits. */
const info = (runId) =>
  bulk(
    ["# Server", "redis_version:7.0.15", "redis_git_sha1:00000000", "redis_git_dirty:0", "redis_mode:standalone", "os:Linux 6.1.0 x86_64"]
      .concat(["arch_bits:64", "monotonic_clock:POSIX clock_gettime", "process_id:1", `run_id:${runId}`, "tcp_port:6379", "hz:10", ""])
      .join("\r\n"),
  );

/**
 * Starts one. `answer(args, socket)` gets each command after the handshake as strings and returns the bytes of its
 * reply (undefined: none). `greet(args, socket)` may replace the handshake's answers in the same way.
 */
async function startFake(answer, greet) {
  const sockets = new Set();
  const runId = randomBytes(20).toString("hex");
  const fake = { port: 0, config: null, connections: 0, commands: [], answer, greet };
  const listener = net.createServer((socket) => {
    sockets.add(socket);
    const id = ++fake.connections;
    let buffer = Buffer.alloc(0);
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk) => {
      buffer = Buffer.concat([buffer, chunk]);
      for (let at = 0; ; ) {
        const command = at < buffer.length ? next(buffer, at) : undefined;
        if (command === undefined) {
          buffer = buffer.subarray(at);
          return;
        }
        at = command.next;
        const reply = respond(command.value.map(String), socket, id);
        if (reply !== undefined && !socket.destroyed) socket.write(reply);
      }
    });
  });

  function respond(args, socket, id) {
    const name = args[0].toUpperCase();
    if (["HELLO", "AUTH", "CLIENT", "SELECT", "PING", "INFO"].includes(name)) {
      if (fake.greet) return fake.greet(args, socket, id);
      if (name === "INFO") return info(runId);
      return name === "HELLO" ? hello(id) : name === "PING" ? "+PONG\r\n" : "+OK\r\n";
    }
    fake.commands.push(args);
    return fake.answer(args, socket, id);
  }

  await new Promise((resolve, reject) => {
    listener.once("error", reject);
    listener.listen(0, "127.0.0.1", resolve);
  });
  fake.port = listener.address().port;
  fake.config = { CC_REDIS_URL: `redis://127.0.0.1:${fake.port}` };
  /** Ends all connections, and goes on listening. */
  fake.drop = () => sockets.forEach((socket) => socket.destroy());
  fake.stop = () => {
    fake.drop();
    return new Promise((resolve) => listener.close(resolve));
  };
  return fake;
}

/** The same for one test, at whose end it stops. */
async function fakeFor(t, answer, greet) {
  const fake = await startFake(answer, greet);
  t.teardown(() => fake.stop());
  return fake;
}

/** Writes bytes in pieces of that many, each in a turn of its own, so that they arrive apart. */
async function dribble(socket, bytes, size = 1) {
  const buffer = Buffer.from(bytes);
  for (let at = 0; at < buffer.length && !socket.destroyed; at += size) {
    await new Promise((resolve) => socket.write(buffer.subarray(at, at + size), resolve));
    await new Promise(setImmediate);
  }
}

module.exports = { startFake, fakeFor, dribble, hello, page, bulk, array };

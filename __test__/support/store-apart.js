"use strict";

// An embedded store in the place of a Redis, for runners that evaluate modules their own way: a process beside them looks into it.

const { fork } = require("node:child_process");
const { once } = require("node:events");
const path = require("node:path");
const { Unsent } = require("./unsent.js");

async function startRedis() {
  const child = fork(path.join(__dirname, "child", "store-commands.js"), [], { serialization: "advanced" });
  const [{ env }] = await once(child, "message");
  const asked = [];
  child.on("message", ({ id, value, error }) => {
    const { resolve, reject } = asked[id];
    delete asked[id];
    if (error) reject(new Error(error));
    // What was a Buffer comes as plain bytes.
    else resolve(asBuffers(value));
  });
  const ask = (args) =>
    new Promise((resolve, reject) => {
      asked.push({ resolve, reject });
      child.send({ id: asked.length - 1, args });
    });
  const calls = async () => new Unsent();
  return {
    env,
    host: "127.0.0.1",
    port: 1,
    url: "redis://127.0.0.1:1",
    command: (...args) => ask(args),
    monitor: async () => ({ commands: new Unsent(), calls, clear() {}, stop: calls }),
    stop: () => Promise.all([ask(null), once(child, "exit")]),
  };
}

const asBuffers = (value) => (value instanceof Uint8Array ? Buffer.from(value) : Array.isArray(value) ? value.map(asBuffers) : value);

module.exports = { startRedis };

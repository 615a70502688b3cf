"use strict";

// Another client, in a process of its own: it overwrites keys over a bare socket, in a pipeline, as fast as it is let.

const { fork } = require("node:child_process");
const net = require("node:net");
const { coldKeys } = require("./peers/near.js");

const CHUNK = 1000;

function command(...words) {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
}

/** Starts it; `overwrite()` changes the first `count` cold keys and resolves when the server has answered. */
async function foreign(server, count) {
  const child = fork(__filename, [String(server.port), String(count)], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  let waiting = null;
  child.on("message", () => waiting.resolve());
  child.on("exit", (code) => waiting && waiting.reject(new Error(`the foreign writer ended (${code})`)));
  const answer = () => new Promise((resolve, reject) => (waiting = { resolve, reject }));
  await answer();
  return {
    pid: child.pid,
    async overwrite() {
      const done = answer();
      child.send("overwrite");
      await done;
    },
    stop: () => child.kill("SIGKILL"),
  };
}

async function serve(port, count) {
  const socket = net.connect(port, "127.0.0.1");
  await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  let wanted = 0;
  socket.on("data", (chunk) => {
    // Each reply is +OK\r\n.
    for (const byte of chunk) if (byte === 10) wanted--;
    if (wanted === 0) process.send("done");
  });
  let pass = 0;
  process.on("message", async () => {
    pass++;
    wanted = count;
    for (let from = 0; from < count; from += CHUNK) {
      const text = coldKeys.slice(from, Math.min(count, from + CHUNK)).map((key) => command("SET", key, `foreign-${pass}`)).join("");
      if (!socket.write(text)) await new Promise((resolve) => socket.once("drain", resolve));
    }
  });
  process.on("disconnect", () => process.exit(0));
  process.send("ready");
}

if (require.main === module) serve(Number(process.argv[2]), Number(process.argv[3]));

module.exports = { foreign };

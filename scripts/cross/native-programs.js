"use strict";

// Starts programs of this system for Nodes that run in another one's world, as a Node for Windows does under Wine, and cannot start
// them themselves: redis-server, mongod, openssl. One connection is one program; with the connection the program ends.
//
// A line is a message, as JSON. First comes `{ command, args }`; then, to the program, `{ input }` (base64; null ends it) and
// `{ signal }`; from it `{ pid }`, `{ stdout }`, `{ stderr }` (base64), and `{ code, signal }` or `{ error }` as the last.

const { spawn } = require("node:child_process");
const net = require("node:net");
const readline = require("node:readline");

/** So long a program that reads its input may take to notice that this has ended. */
const NOTICE_MS = 5_000;

function serve(socket) {
  let child = null;
  const say = (message) => void (socket.writable && socket.write(`${JSON.stringify(message)}\n`));
  const last = (message) => void (socket.writable && socket.end(`${JSON.stringify(message)}\n`));
  const start = ({ command, args, cwd }) => {
    child = spawn(command, args, { cwd, stdio: "pipe" });
    for (const name of ["stdout", "stderr"]) child[name].on("data", (bytes) => say({ [name]: bytes.toString("base64") }));
    child.stdin.on("error", () => {});
    child.once("spawn", () => say({ pid: child.pid }));
    child.once("error", (error) => last({ error: error.message, code: error.code }));
    child.once("close", (code, signal) => last({ code, signal }));
  };
  readline.createInterface({ input: socket }).on("line", (line) => {
    const message = JSON.parse(line);
    if (child === null) start(message);
    else if (message.signal) child.kill(message.signal);
    else if (message.input === null) child.stdin.end();
    else child.stdin.write(Buffer.from(message.input, "base64"));
  });
  socket.on("error", () => {});
  socket.on("close", () => {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    child.stdin.end();
    // What waits for the end of its input has something to do then.
    const reads = child.spawnargs[0] === "sh";
    setTimeout(() => child.kill("SIGKILL"), reads ? NOTICE_MS : 0);
  });
}

/** Starts it on 127.0.0.1; resolves with `{ port, stop }`. */
async function startNativePrograms() {
  const server = net.createServer(serve);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: server.address().port, stop: () => server.close() };
}

module.exports = { startNativePrograms };

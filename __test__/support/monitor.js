"use strict";

// What a Redis server was asked, seen by the server itself: the lines of MONITOR as arrays of arguments.

const { connect } = require("./resp.js");

const LINE = /^(\d+\.\d+) \[\d+ ([^\]]*)\] /;
const ESCAPES = { n: 10, r: 13, t: 9, a: 7, b: 8, "\\": 92, '"': 34 };
// What a client sends before its first command of interest.
const HANDSHAKE = new Set(["HELLO", "AUTH", "CLIENT", "SELECT", "PING", "INFO"]);

/** Whether a command is none of a connection's handshake. */
const isCall = ([name]) => !HANDSHAKE.has(name.toUpperCase());

/** `"GET" "a\x00b"` → Buffers. MONITOR escapes every byte that is not printable ASCII. Values may have many megabytes. */
function parseArguments(text) {
  const bytes = Buffer.allocUnsafe(text.length);
  const special = /["\\]/g;
  const args = [];
  let start = -1;
  let end = 0;
  let i = 0;
  for (let match = special.exec(text); match !== null; match = special.exec(text)) {
    const { index } = match;
    if (start !== -1) end += bytes.latin1Write(text.slice(i, index), end);
    i = index + 1;
    if (match[0] === '"') {
      if (start !== -1) args.push(Buffer.from(bytes.subarray(start, end)));
      start = start === -1 ? end : -1;
    } else if (text[i] === "x") {
      bytes[end++] = parseInt(text.slice(i + 1, i + 3), 16);
      i += 3;
    } else {
      bytes[end++] = ESCAPES[text[i++]];
    }
    special.lastIndex = i;
  }
  return args;
}

/**
 * Starts to watch. `commands` grows as the server works; the harness's own `command()` calls are not in it.
 * Since MONITOR's lines come later than the replies, look at `commands` after `await settle()`.
 */
async function startMonitor(server, ownClient) {
  const commands = [];
  const raw = [];
  const moments = [];
  const markers = new Map();
  const own = () => ownClient().then((client) => client.address);

  const client = await connect({
    port: server.port,
    password: server.password,
    onReply(line) {
      const text = line.toString("latin1");
      const match = LINE.exec(text);
      if (!match) return;
      const args = parseArguments(text.slice(match[0].length));
      const marker = markers.get(args[1] && args[1].toString());
      if (marker) return marker();
      if (match[2] === ownAddress) return;
      moments.push(Number(match[1]));
      raw.push(args);
      commands.push(args.map((arg) => arg.toString()));
    },
  });
  let ownAddress = await own();
  const ok = await client.command("MONITOR");
  if (ok instanceof Error) throw ok;

  let count = 0;
  /** Waits until everything that the server did before this call is in `commands`; returns `commands`. */
  async function settle() {
    const connection = await ownClient();
    ownAddress = connection.address;
    const name = `monitor-marker-${process.pid}-${++count}-${Math.random()}`;
    const seen = new Promise((resolve) => markers.set(name, resolve));
    await connection.command("ECHO", name);
    // MONITOR's line may come later than the reply.
    await client.hold(seen);
    markers.delete(name);
    return commands;
  }

  return {
    commands,
    /** The same commands with Buffers as arguments, for what is not UTF-8. */
    raw,
    /** When the server carried each of them out, in seconds. */
    moments,
    settle,
    /** `settle`, then the commands without those of a connection's handshake. */
    async calls() {
      await settle();
      return commands.filter(isCall);
    },
    clear() {
      commands.length = 0;
      raw.length = 0;
      moments.length = 0;
    },
    /** Settles, stops watching, and returns the commands. */
    async stop() {
      try {
        if (!client.closed) await settle();
      } finally {
        client.close();
      }
      return commands;
    },
  };
}

module.exports = { startMonitor, parseArguments, isCall };

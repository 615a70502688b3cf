"use strict";

// Real Redis servers that speak TLS (beside a plain port, over which the tests look at them), and things in between.

const fs = require("node:fs");
const net = require("node:net");
const tls = require("node:tls");
const { freePort } = require("./redis.js");
const { serverFor } = require("./addon.js");

/** The words of redis-server's command line. `mutual`: whether clients must show a certificate of `authority`. */
function words(authority, { cert, key }, port, mutual) {
  const files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", authority.cert];
  return ["--tls-port", String(port), ...files, "--tls-auth-clients", mutual ? "yes" : "no"];
}

/**
 * A redis-server for one test that also listens for TLS on `tlsPort` with the certificate `identity`; `secure(host)` is
 * its URL.
 */
async function secureServerFor(t, authority, identity, { mutual = false, args = [], ...options } = {}) {
  for (let attempt = 1; ; attempt++) {
    const port = options.tlsPort ?? (await freePort());
    try {
      const server = await serverFor(t, { ...options, args: [...words(authority, identity, port, mutual), ...args] });
      const credentials = options.password ? `:${encodeURIComponent(options.password)}@` : "";
      return Object.assign(server, { tlsPort: port, secure: (host = "127.0.0.1") => `rediss://${credentials}${host}:${port}` });
    } catch (error) {
      // Between choosing a port and binding it somebody else may take it.
      if (attempt >= 5) throw error;
    }
  }
}

/** Listens for one test; ends all that is connected at its end. Returns the port. */
async function listenFor(t, listener) {
  const sockets = new Set();
  listener.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  });
  listener.on("tlsClientError", () => {});
  await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    sockets.forEach((socket) => socket.destroy());
    return new Promise((resolve) => listener.close(resolve));
  });
  return listener.address().port;
}

/** Hands bytes on in both directions; `alter(chunk)` may cut what goes to the client into pieces. */
function join(client, server, alter = (chunk) => [chunk]) {
  const end = () => [client, server].forEach((socket) => socket.destroy());
  for (const socket of [client, server]) socket.on("error", end).on("close", end);
  client.on("data", (chunk) => server.write(chunk));
  server.on("data", (chunk) => alter(chunk).forEach((piece) => client.write(piece)));
}

/** Speaks TLS for a plain server: `seen` holds the names that clients asked for, and all that they said. */
async function terminatorFor(t, identity, target, options = {}) {
  const seen = { names: [], text: "", versions: [] };
  const secrets = { cert: fs.readFileSync(identity.cert), key: fs.readFileSync(identity.key) };
  const listener = tls.createServer({ ...secrets, ...options }, (client) => {
    seen.names.push(client.servername);
    seen.versions.push(client.getProtocol());
    client.on("data", (chunk) => (seen.text += chunk));
    join(client, net.connect(target, "127.0.0.1"));
  });
  return { port: await listenFor(t, listener), seen };
}

/** A relay whose packets to the client are so many bytes long. */
async function dribblerFor(t, target, size) {
  const pieces = (chunk) => Array.from({ length: Math.ceil(chunk.length / size) }, (_, i) => chunk.subarray(i * size, (i + 1) * size));
  const listener = net.createServer((client) => {
    client.setNoDelay(true);
    join(client, net.connect(target, "127.0.0.1"), pieces);
  });
  return listenFor(t, listener);
}

module.exports = { secureServerFor, terminatorFor, dribblerFor, listenFor };

"use strict";

// The ports of the tests' own servers.

const fs = require("node:fs");
const test = require("ava");
const { PORTS, freePort } = require("./support/server-process.js");

/** The first and the last port that this system gives to connections that go out, which name none. */
function outgoing() {
  if (process.platform !== "linux") return [49_152, 65_535];
  return fs.readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").trim().split(/\s+/).map(Number);
}

test("no server of the tests has a port that the system gives to connections that go out", async (t) => {
  const [first, last] = outgoing();
  t.true(PORTS.to <= first || PORTS.from > last, `${PORTS.from} to ${PORTS.to}, and the system's ${first} to ${last}: sysctl net.ipv4.ip_local_port_range has to begin above, as it does where nobody has changed it`);
  const ports = await Promise.all(Array.from({ length: 50 }, freePort));
  t.deepEqual(ports.filter((port) => !(port >= PORTS.from && port < PORTS.to)), []);
});

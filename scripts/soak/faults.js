"use strict";
// The faults of the soak, each by name: it does its harm, and has ended it when it resolves.

const { sleep } = require("../../__test__/support/load.js");

/** What is done to a server, the proxy before it and so to the load. */
function faults({ server, proxy, load }) {
  const during = (harm, ms) => async () => {
    await harm();
    await sleep(ms);
    await proxy.heal();
  };
  const configured = (name, harmful, harmless, ms) => async () => {
    await server.command("CONFIG", "SET", name, harmful);
    await server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await sleep(ms);
    await server.command("CONFIG", "SET", name, harmless);
  };
  const noise = (chunk) => Buffer.from(chunk.map(() => 0x80 + Math.floor(Math.random() * 0x80)));
  return {
    "connections cut": async () => proxy.cut(),
    "half-open, replies lost": async () => proxy.strand("down"),
    "half-open, requests lost": async () => proxy.strand("up"),
    "port refuses for 2 s": during(() => proxy.refuse(), 2000),
    "100 ms each way for 3 s": during(() => proxy.delay(100), 3000),
    "resets in replies for 2 s": during(() => proxy.resetAfter(() => 300 + Math.random() * 10_000), 2000),
    "garbage replies for 2 s": during(() => proxy.corrupt((chunk) => (Math.random() < 0.05 ? noise(chunk) : chunk)), 2000),
    "black hole for 2 s": during(() => {
      proxy.blackHole();
      proxy.cut();
    }, 2000),
    "server paused for 2 s": async () => {
      await server.kill("SIGSTOP");
      await sleep(2000);
      await server.kill("SIGCONT");
    },
    "server killed, back empty after 1 s": async () => {
      load.wiped();
      await server.kill("SIGKILL");
      await sleep(1000);
      await server.start();
      load.wiped();
    },
    "memory full for 1 s": configured("maxmemory", "1", "0", 1000),
    "password refused for 2 s": configured("requirepass", "another", server.password, 2000),
    "CLIENT KILL storm for 1 s": async () => {
      for (let i = 0; i < 50; i++) {
        await server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
        await sleep(20);
      }
    },
  };
}

module.exports = { faults };

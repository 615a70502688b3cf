"use strict";
// A cable between a process and the server that can be held: nothing passes in either direction, nothing is lost, and
// nobody is told. Announcements of changes stay on their way meanwhile, which is what the lease is for.

const net = require("node:net");

/** Starts one to a port on this machine. Resolves with `{ port, hold(), release(), stop() }`. */
async function startProxy(target) {
  const pairs = new Set();
  let held = false;
  const listener = net.createServer((near) => {
    const far = net.connect(target, "127.0.0.1");
    const pair = [near, far];
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    for (const [from, to] of [[near, far], [far, near]]) {
      from.setNoDelay(true);
      from.on("error", end).on("close", end);
      from.pipe(to);
    }
    if (held) hold(pair);
  });
  const hold = (pair) => pair.forEach((socket, i) => socket.unpipe(pair[1 - i]).pause());

  await new Promise((resolve, reject) => listener.once("error", reject).listen(0, "127.0.0.1", resolve));
  return {
    port: listener.address().port,
    hold() {
      held = true;
      pairs.forEach(hold);
    },
    release() {
      held = false;
      for (const pair of pairs) pair.forEach((socket, i) => socket.pipe(pair[1 - i]));
    },
    stop() {
      for (const pair of pairs) pair.forEach((socket) => socket.destroy());
      return new Promise((resolve) => listener.close(resolve));
    },
  };
}

module.exports = { startProxy };

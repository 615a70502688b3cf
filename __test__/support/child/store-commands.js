"use strict";

// An embedded store in a process of its own, which looks into it for the process that has started it.

const { storeServers } = require("../store.js");

const { redis } = storeServers();
process.on("message", async ({ id, args }) => {
  const answer = await (args ? redis.command(...args) : redis.stop()).then((value) => ({ value }), (error) => ({ error: String(error?.message ?? error) }));
  process.send({ id, ...answer }, () => !args && process.disconnect());
});
process.send({ env: redis.env });

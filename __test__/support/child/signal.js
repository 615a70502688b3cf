"use strict";

// Works until a signal comes, whose default nobody may have changed.

const lib = require(process.env.BKN_ROOT);
const map = new lib.BaseMap("signal", -1);

(async () => {
  await map.set("k", "v");
  const listeners = ["SIGINT", "SIGTERM", "exit", "beforeExit", "uncaughtException", "unhandledRejection"];
  console.log(JSON.stringify({ listeners: listeners.map((name) => process.listenerCount(name)) }));
  for (;;) await Promise.all(Array.from({ length: 50 }, () => map.get("k")));
})();

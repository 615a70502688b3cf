"use strict";

// The real backtest-kit on real servers, for some simulated days; `npm run test:kit` plays whole months.

const { serial: test } = require("ava");
const { cases } = require("./kit/cases.js");
const { openServers, play } = require("./kit/scene.js");

let servers;
test.before(async () => (servers = await openServers()));
test.after.always(() => servers.stop());

for (const one of cases) {
  test(one.title, async (t) => {
    await play(one, { ...servers, whole: false });
    t.pass();
  });
}

"use strict";

// The real backtest-kit on embedded stores: the cases of kit.spec.js, but for those about servers. What it does is what it does
// on dummies, Maps and servers, to the last digit.

const { serial: test } = require("ava");
const { cases } = require("./kit/cases.js");
const { openFolder, play } = require("./kit/scene.js");

let stores;
test.before(async () => (stores = await openFolder()));
test.after.always(() => stores.stop());

for (const one of cases.filter(({ servers }) => !servers)) {
  test(one.title, async (t) => {
    await play(one, { ...stores, whole: false });
    t.pass();
  });
}

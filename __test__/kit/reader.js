"use strict";

// A fresh process that asks a store for what another one has written: `reads` are `{ read, args }`; the result holds what
// each was answered.

const kit = require("./kit.js");
const { KINDS, openStore, registered } = require("./stores.js");
const { serve } = require("./child.js");

async function main({ store: name, reads }) {
  const store = await openStore(name, kit);
  const utils = KINDS.map((kind) => registered(kit, kind));
  const values = [];
  for (const { read, args } of reads) values.push(await utils.find((one) => read in one)[read](...args));
  await store.close();
  return { values };
}

serve(main);

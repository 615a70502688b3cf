"use strict";

// Another process that uses the package: stores candles from a slot on, up to another, and says what it has read of them.

const { ioc, close } = require(process.env.BKN_ROOT);
const { CONTEXT, MINUTE, START, plains } = require("../candles.js");

const [from, to] = process.argv.slice(2).map(Number);

async function main() {
  const written = await ioc.candleDbService.createMany(...CONTEXT, plains(from, to));
  const range = await ioc.candleDbService.findRange(...CONTEXT, START + from * MINUTE, to - from);
  await close();
  console.log(JSON.stringify({ ...written, read: range.length }));
}

main();

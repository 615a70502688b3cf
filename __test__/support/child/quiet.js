"use strict";

// Calls that all fail, in a process that prints nothing itself but one line of JSON.

const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
const others = ["uncaughtException", "unhandledRejection", "exit", "beforeExit", "warning"];
const count = () => [...signals, ...others].map((name) => process.listenerCount(name));

const before = count();
const { ioc, BaseCRUD } = require(process.env.BKN_ROOT);

async function main() {
  const calls = [
    () => ioc.signalCacheService.getSignalId("s", "st", "ex"),
    () => ioc.signalCacheService.set("k", "v"),
    () => ioc.signalDbService.findByContext("s", "st", "ex"),
    () => ioc.signalDbService.upsert("s", "st", "ex", {}),
    () => new (BaseCRUD("risk-items"))().findAll(),
    () => ioc.riskDbService.create({}),
  ];
  const codes = [];
  for (const call of calls) codes.push(await call().then(() => "fine", (error) => error.code));
  console.log(JSON.stringify({ codes, before, after: count() }));
}

main();

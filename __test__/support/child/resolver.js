"use strict";

// Makes a call by a name whose resolver takes its argument's milliseconds for each answer and holds the process meanwhile, as
// the system's does; then leaves the end to Node.

const dns = require("node:dns");
const fs = require("node:fs");

const print = (value) => fs.writeSync(1, `${JSON.stringify(value)}\n`);
const slowMs = Number(process.argv[2]);
let asked = 0;
dns.lookup = (host, options, callback) => {
  asked++;
  setTimeout(callback, slowMs, null, [{ address: "127.0.0.1", family: 4 }]);
};

const lib = require(process.env.BKN_ROOT);
const began = Date.now();
process.on("exit", () => print({ asked, tookMs: Date.now() - began }));
new lib.BaseMap("resolver", -1).get("k").then(
  () => print({ code: "ok" }),
  (error) => print({ code: error.code }),
);

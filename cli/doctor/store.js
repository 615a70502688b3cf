"use strict";
// What doctor says of an embedded store.

const path = require("node:path");

const MIB = 1024 * 1024;
/** A log that is larger was not written back for a long time. */
const LARGE_LOG = 64 * MIB;

const ADVICE = {
  STORE_UNAVAILABLE: "the folder must be on a disk of this machine, and this user must be able to write to it",
  STORE_CORRUPT: "put a backup in its place (the file is damaged, or was never a store); docs/store.md says how",
  STORE_VERSION: "install the release that has written it, or a newer one",
  STORE_TIMEOUT: "another process holds its lock for long; find and end it, or raise CC_STORE_TIMEOUT_MS",
  STORE_FULL: "make room on the disk; nothing that was acknowledged is lost",
};

const size = (bytes) => (bytes < MIB ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / MIB).toFixed(1)} MiB`);

/** Notes what there is to say of the store in a folder. */
function examineStore(folder, findings, { addon, patience }) {
  findings.begin(`embedded store in ${folder}`);
  const facts = JSON.parse(addon.storeFacts(path.resolve(folder), patience));
  if (facts.problem !== null) {
    findings.problem(`${facts.problem.message} (${facts.problem.code})`, ADVICE[facts.problem.code]);
    return facts;
  }
  if (!facts.exists) {
    findings.note("there is none yet", "it is made by the first call; nothing has to be done");
    return facts;
  }
  findings.ok(`store.sqlite: ${size(facts.bytes)}, and ${size(facts.logBytes)} of log beside it`);
  if (facts.logBytes > LARGE_LOG) {
    findings.note("the log is large", "it is written back while a process uses the store; a process that reads for very long keeps it from that");
  }
  findings.ok(`layout ${facts.version}, SQLite ${facts.sqlite}`);
  if (facts.check === "ok") findings.ok("the whole file was read: its pages, documents, keys and candles are sound");
  else findings.problem(`the file is damaged: ${facts.check}`, ADVICE.STORE_CORRUPT);
  return facts;
}

module.exports = { examineStore };

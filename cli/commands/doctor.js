"use strict";

const { OPTIONS } = require("../stores/names.js");

/** The variables that are ours begin so; another one that does is most likely misspelt. */
const OURS = /^CC_(?:REDIS|MONGO|STORE|CANDLE_CACHE|CANDLE_IDS|CANDLE_ABSENCE|NEAR)_?/;

/** The binary that is loaded, and what it runs on. */
function examineBinary(findings) {
  findings.begin("this package");
  const { version } = require("../../package.json");
  findings.ok(`backtest-kit-native ${version} on Node ${process.versions.node}, ${process.platform} ${process.arch}`);
  try {
    const addon = require("../../js/binding.js");
    const file = Object.keys(require.cache).find((one) => one.endsWith(".node") && require.cache[one].exports?.createEngine === addon.createEngine);
    findings.ok(`its binary is ${file}`);
    return { addon, file };
  } catch (error) {
    findings.problem(error.message, "npx backtest-kit-native build");
    return { addon: null, file: null };
  }
}

/** Those that are set; whether all of them can be used. */
function examineVariables(findings) {
  const { native, variables } = require("../stores/package.js").loadPackage().engine;
  const set = variables.filter((name) => process.env[name]);
  findings.ok(set.length === 0 ? "no variable is set" : `variables that are set: ${set.join(", ")}`);
  for (const name of Object.keys(process.env)) {
    if (OURS.test(name) && !variables.includes(name)) findings.note(`${name} is set, and is no variable of this package`, "is it misspelt? docs/configuration.md has them");
  }
  const wrong = set.filter((name) => {
    try {
      native.engine.checkVariable(name, process.env[name]);
      return false;
    } catch (error) {
      findings.problem(`${error.message} (${error.code})`, "docs/configuration.md has the variables and their values");
      return true;
    }
  });
  return wrong.length === 0;
}

module.exports = {
  summary: "look whether everything is as it should be, and say what to do where it is not",
  usage: "doctor [options]",
  help: `The binary; the variables that are set, those of .env in this folder too; the embedded store, where CC_STORE_PATH names one (its
size, its version, and whether all that is in it is sound: the whole file is read); else the servers: which answer, their versions, whether Redis announces changes,
which indexes are missing, whether keys have several rows, and what a sharded cluster is divided by. It changes nothing.

Exit code: 0 nothing to mend, 1 there is, or it failed, 2 wrong usage.`,
  options: {
    store: { type: "string", value: "<folder>", help: "look at this embedded store, whatever CC_STORE_PATH says" },
    servers: { type: "boolean", help: "look at the servers, also where CC_STORE_PATH is set" },
    defaults: OPTIONS.defaults,
    json: { type: "boolean", help: "print one JSON object at the end, on stdout" },
  },
  variables: true,
  async run({ store, servers = false, defaults = "ioc", json }) {
    const { Findings } = require("../doctor/findings.js");
    const { patienceOf } = require("../stores/package.js");
    const findings = new Findings();
    const facts = {};
    const { addon, file } = examineBinary(findings);
    facts.binary = file;
    if (addon !== null) {
      const usable = examineVariables(findings);
      const folder = store ?? process.env.CC_STORE_PATH;
      const patience = patienceOf(usable ? process.env : {});
      if (folder) facts.store = require("../doctor/store.js").examineStore(folder, findings, { addon, patience });
      if (!folder || servers) facts.servers = usable ? await require("../doctor/servers.js").examineServers(findings, defaults) : { error: "INVALID_CONFIG" };
    }
    const state = findings.problems === 0 ? "fine" : "problems";
    if (json) console.log(JSON.stringify({ command: "doctor", state, findings: findings.all, ...facts }));
    else console.log(`${findings}\n\n${findings.problems === 0 ? "Nothing has to be mended." : `${findings.problems} to mend.`}`);
    return findings.problems === 0 ? 0 : 1;
  },
};

"use strict";

// The embedded store: its parts one after the other, and their report.

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { foreignWork } = require("./facts.js");
const calls = require("./store-calls.js");

async function benchStore({ options, progress }) {
  const busy = [await foreignWork()];
  const measured = await calls.benchStoreCalls({ options, progress });
  busy.push(await foreignWork());
  progress.end();
  console.log("\nCalls of the embedded store\n");
  for (const line of calls.linesOf(measured)) console.log(line);
  const [cpu] = os.cpus();
  const machine = { cpu: cpu ? cpu.model.trim() : "unknown", cores: os.availableParallelism(), node: process.version, foreignWork: Math.max(...busy) };
  return { date: new Date().toISOString().slice(0, 10), kind: options.quick || options.rounds ? "partial" : "full", machine, calls: measured };
}

/** Files beside those of the others. */
function writeStore(result, toJson) {
  const name = result.kind === "full" ? "store" : "store-quick";
  const dir = path.join(__dirname, "results");
  fs.mkdirSync(dir, { recursive: true });
  fs.writeFileSync(path.join(dir, `${name}.json`), `${toJson(result)}\n`);
  const { cpu, cores, node, foreignWork: others } = result.machine;
  const facts = `${cpu}, ${cores} cores · Node ${node} · others used ${Math.round(others * 100)} % of the machine`;
  const text = calls.linesOf(result.calls).join("\n");
  fs.writeFileSync(path.join(dir, `${name}.md`), `# The embedded store, ${result.date}\n\n${facts}.\n\n\`\`\`\n${text}\n\`\`\`\n`);
  console.log(`\nwritten: bench/results/${name}.json, ${name}.md`);
}

module.exports = { benchStore, writeStore };

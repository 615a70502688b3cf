"use strict";

// Reports that are lines of text: as a file of figures and one to read, beside those of the others.

const fs = require("node:fs");
const path = require("node:path");

const dir = path.join(__dirname, "..", "results");

/** Only a full run takes the place of the last one. `lines` are what was printed. */
function writePlain({ name, title, result, lines, toJson }) {
  const file = result.kind === "full" ? name : `${name}-quick`;
  const { cpu, cores, system, node, redis, mongo, foreignWork } = result.machine;
  const servers = [redis && `Redis ${redis}`, mongo && `MongoDB ${mongo}`];
  const facts = [`${cpu}, ${cores} cores`, system, `Node ${node}`, ...servers, `others used ${Math.round(foreignWork * 100)} % of the machine`].filter(Boolean).join(" · ");
  fs.mkdirSync(dir, { recursive: true });
  fs.writeFileSync(path.join(dir, `${file}.json`), `${toJson(result)}\n`);
  fs.writeFileSync(path.join(dir, `${file}.md`), `# ${title}, ${result.date}\n\n${facts}.\n\n\`\`\`\n${lines.join("\n")}\n\`\`\`\n`);
  console.log(`\nwritten: bench/results/${file}.json, ${file}.md`);
}

module.exports = { writePlain };

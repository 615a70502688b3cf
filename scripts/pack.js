"use strict";

// npm run pack: a tarball with the binary of this machine in it, to be installed in other projects from the file.
//
//   node scripts/pack.js [folder]   where it goes; target/packages, where none is named

const fs = require("node:fs");
const path = require("node:path");
const { packLocal } = require("./release/pack.js");
const { root } = require("./lib/tools.js");

function main([folder = path.join(root, "target", "packages")]) {
  fs.mkdirSync(folder, { recursive: true });
  const { file, size } = packLocal(path.resolve(folder));
  console.log(`${path.relative(process.cwd(), file)} (${(size / 1e6).toFixed(1)} MB); install it in a project with:`);
  console.log(`  npm install ${file}`);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

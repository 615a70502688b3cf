"use strict";

// What is in a binary, for programs that look for known flaws: CycloneDX 1.5. The same source gives the same text.

const fs = require("node:fs");
const path = require("node:path");
const { root } = require("../lib/tools.js");

const purl = ({ name, version }) => `pkg:cargo/${name}@${version}`;

/** The SHA-256 of each crate's archive, by name and version, as Cargo.lock has them. */
function checksums(lock) {
  const blocks = lock.split("[[package]]").slice(1);
  const field = (block, name) => new RegExp(`^${name} = "([^"]+)"`, "m").exec(block)?.[1];
  return new Map(blocks.map((block) => [`${field(block, "name")} ${field(block, "version")}`, field(block, "checksum")]));
}

/** The list of components of one platform's package, as text. */
function sbom({ name, version }, { own, crates }) {
  const sums = checksums(fs.readFileSync(path.join(root, "Cargo.lock"), "utf8"));
  const self = `pkg:npm/${name}@${version}`;
  const document = {
    bomFormat: "CycloneDX",
    specVersion: "1.5",
    version: 1,
    metadata: { component: { type: "library", "bom-ref": self, name, version, purl: self } },
    components: crates.map((crate) => ({
      type: "library",
      "bom-ref": purl(crate),
      name: crate.name,
      version: crate.version,
      purl: purl(crate),
      licenses: [{ expression: crate.license.replaceAll("/", " OR ") }],
      hashes: [{ alg: "SHA-256", content: sums.get(`${crate.name} ${crate.version}`) }],
    })),
    dependencies: [
      { ref: self, dependsOn: own.dependsOn.map(purl) },
      ...crates.map((crate) => ({ ref: purl(crate), dependsOn: crate.dependsOn.map(purl) })),
    ],
  };
  return `${JSON.stringify(document, null, 1)}\n`;
}

module.exports = { sbom };

"use strict";

// Makes the tarballs. Each package is laid out in a folder of its own first: what is published has a manifest that the checkout
// must not have (optional dependencies that exist only once they are published), and no scripts.

const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");

const { binaryName, packageName } = require("../../js/platform.js");
const { root } = require("../lib/tools.js");
const { linkedCrates } = require("./crates.js");
const { sbom } = require("./sbom.js");
const { TARGETS } = require("./targets.js");

const readManifest = () => JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));

/** `npm pack` of a folder, without its scripts: `{ file, files, size, unpackedSize }`, the tarball in `out`. */
function packFolder(folder, out) {
  const words = ["pack", "--ignore-scripts", "--json", "--pack-destination", out];
  const text = execFileSync("npm", words, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  const [{ filename, files, size, unpackedSize }] = JSON.parse(text);
  return { file: path.join(out, filename), files: files.map((one) => one.path), size, unpackedSize };
}

/** The files that the checkout's manifest names, as `npm pack` understands it. */
function shippedFiles() {
  const words = ["pack", "--dry-run", "--ignore-scripts", "--json"];
  const [{ files }] = JSON.parse(execFileSync("npm", words, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }));
  return files.map((one) => one.path);
}

/** Where the sources are, as far as the place that publishes knows it: provenance compares it with the manifest. */
function origin(env = process.env) {
  if (!env.GITHUB_SERVER_URL || !env.GITHUB_REPOSITORY) return {};
  const home = `${env.GITHUB_SERVER_URL}/${env.GITHUB_REPOSITORY}`;
  return { repository: { type: "git", url: `git+${home}.git` }, homepage: `${home}#readme`, bugs: { url: `${home}/issues` } };
}

/** The manifest as users get it: what only a checkout needs is left out. */
function publicManifest(changes) {
  const manifest = { ...readManifest(), ...origin(), ...changes };
  for (const field of ["scripts", "devDependencies", "overrides"]) delete manifest[field];
  return manifest;
}

function withFolder(action) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "bkn-package-"));
  try {
    return action(folder);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function writeManifest(folder, manifest) {
  fs.writeFileSync(path.join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

function packRoot(out, changes, more = []) {
  const manifest = publicManifest(changes);
  return withFolder((folder) => {
    for (const file of [...shippedFiles(), ...more]) {
      fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
      fs.copyFileSync(path.join(root, file), path.join(folder, file));
    }
    writeManifest(folder, manifest);
    return { ...packFolder(folder, out), manifest };
  });
}

/**
 * The package for installing from a file: the binary of this machine lies in it. It names no platform packages: those that
 * are not published yet could be published by anybody.
 */
function packLocal(out) {
  const binary = binaryName();
  if (!fs.existsSync(path.join(root, binary))) throw new Error(`${binary} is missing; make it with: npm run build`);
  return packRoot(out, { files: [...readManifest().files, binary] }, [binary]);
}

/** The root package as it is published: without a binary, every platform's package an optional dependency of just this version. */
function packPublished(out) {
  const { version } = readManifest();
  const optionalDependencies = Object.fromEntries(TARGETS.map(({ platform }) => [packageName(platform), version]));
  return packRoot(out, { optionalDependencies });
}

const readme = ({ platform, triple }) => `# ${packageName(platform)}

The binary of [backtest-kit-native](https://www.npmjs.com/package/backtest-kit-native) for ${platform} (${triple}). It is
installed with that package, where the platform fits, and is of no use by itself.
`;

/** The manifest of a platform's package. */
function platformManifest({ platform, os: system, cpu, libc }) {
  const { version, license, engines, publishConfig } = readManifest();
  const main = binaryName(platform);
  return {
    name: packageName(platform),
    version,
    description: `The binary of backtest-kit-native for ${platform}`,
    license,
    ...origin(),
    engines,
    os: [system],
    cpu: [cpu],
    ...(libc && { libc: [libc] }),
    main,
    files: [main, "THIRD-PARTY.md", "sbom.cdx.json"],
    preferUnplugged: true,
    publishConfig,
  };
}

/** A platform's package: its binary, the licences of what is in it, and the list of that. */
function packPlatform(target, binary, out) {
  const manifest = platformManifest(target);
  return withFolder((folder) => {
    writeManifest(folder, manifest);
    fs.copyFileSync(binary, path.join(folder, manifest.main));
    for (const file of ["LICENSE", "THIRD-PARTY.md"]) fs.copyFileSync(path.join(root, file), path.join(folder, file));
    fs.writeFileSync(path.join(folder, "README.md"), readme(target));
    fs.writeFileSync(path.join(folder, "sbom.cdx.json"), sbom(manifest, linkedCrates(target.triple)));
    return { ...packFolder(folder, out), manifest };
  });
}

module.exports = { packLocal, packPublished, packPlatform, platformManifest };

"use strict";

// npm run release: checks, packs, tries and publishes a release. See CONTRIBUTING, "Releasing".

const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { parseArgs } = require("node:util");
const { binaryName, packageName, platformName } = require("../js/platform.js");
const { root } = require("./lib/tools.js");
const { MAX_PACKED, binaryProblems, readTree, treeProblems } = require("./release/checks.js");
const { packPlatform, packPublished, platformManifest } = require("./release/pack.js");
const { MANAGERS, tryProject } = require("./release/projects.js");
const { startRegistry } = require("./release/registry.js");
const { TARGETS } = require("./release/targets.js");

const HELP = `npm run release -- <what> [options]

  --check       compare versions, lock files, changelog and tag; nothing is made
  --dry-run     the same, then pack what is built and try it: from a registry on this machine, into empty projects of npm, pnpm
                and Yarn, with setup() and ioc on real servers and on an embedded store. What keeps the tree from being
                published is told, and does not end the trial
  --publish     the same checks, every platform's binary demanded, then npm publish; meant for the release workflow

  --tag <tag>   the release's tag, compared with the version
  --out <folder>  where the tarballs go; target/release-packages by default

Binaries are taken from target/binaries (npm run build:all), this machine's own also from the checkout (npm run build).`;

const OPTIONS = {
  check: { type: "boolean" },
  "dry-run": { type: "boolean" },
  publish: { type: "boolean" },
  tag: { type: "string" },
  out: { type: "string" },
  help: { type: "boolean", short: "h" },
};

/** The binary for a platform: of a cross build, or for this machine the checkout's own; null where there is none. */
function binaryFor(platform) {
  const places = [path.join(root, "target", "binaries"), ...(platform === platformName() ? [root] : [])];
  return places.map((folder) => path.join(folder, binaryName(platform))).find((file) => fs.existsSync(file)) ?? null;
}

const megabytes = (bytes) => `${(bytes / 1e6).toFixed(2)} MB`;

/** Packs a platform's package where its binary is there; what is wrong with it goes to `problem`. */
function packTarget(target, out, problem) {
  const binary = binaryFor(target.platform);
  if (binary === null) {
    problem(`${target.platform}: there is no binary`);
    return { manifest: platformManifest(target) };
  }
  if (target.os !== "darwin") {
    for (const words of binaryProblems(fs.readFileSync(binary), target)) problem(`${target.platform}: ${words} (${path.relative(root, binary)})`);
  }
  const packed = packPlatform(target, binary, out);
  console.log(`  ${packed.manifest.name}: ${megabytes(packed.size)} packed, ${megabytes(packed.unpackedSize)} unpacked`);
  if (packed.size > MAX_PACKED) problem(`${target.platform}: ${megabytes(packed.size)} packed, and ${megabytes(MAX_PACKED)} is the most`);
  return packed;
}

/** Packs everything; returns the packages, the root's last, because it must not be had before those that it names. */
function packAll(out, problem) {
  fs.rmSync(out, { recursive: true, force: true });
  fs.mkdirSync(out, { recursive: true });
  const platforms = TARGETS.map((target) => packTarget(target, out, problem));
  const own = packPublished(out);
  console.log(`  ${own.manifest.name}: ${megabytes(own.size)} packed, ${own.files.length} files`);
  return [...platforms, own];
}

/** Installs the packages with each manager and plays the story; returns how many failed. */
async function tryAll(packages) {
  const { startMongo } = require("../__test__/support/mongo.js");
  const { startRedis } = require("../__test__/support/redis.js");
  const servers = [];
  let failed = 0;
  try {
    const registry = await startRegistry(packages);
    servers.push(registry);
    for (const name of Object.keys(MANAGERS)) {
      const redis = await startRedis();
      servers.push(redis);
      const mongo = await startMongo();
      servers.push(mongo);
      registry.fetched.clear();
      try {
        const { seconds, told } = await tryProject(name, registry.url, { ...redis.env, ...mongo.env });
        const wanted = ["backtest-kit-native", packageName(platformName())];
        for (const [place, one] of Object.entries(told)) {
          const right = one.id === "65a1b2c3d4e5f60718293a4b" && one.kit === "backtest-kit" && one.scheduled === "sig-1" && one.rows === 1;
          if (!right || one.stored !== (place === "store") || !one.binaries[0].includes(wanted[1])) throw new Error(`the story told ${JSON.stringify(told)}`);
        }
        if (String([...registry.fetched].sort()) !== String(wanted)) throw new Error(`it took ${[...registry.fetched].join(", ")}`);
        console.log(`  ✔ ${name}: installed in ${seconds.toFixed(1)} s, and works on servers and on an embedded store`);
      } catch (error) {
        failed += 1;
        console.log(`  ✘ ${name}: ${error.message}`);
      }
    }
  } finally {
    for (const server of servers.reverse()) await server.stop();
  }
  return failed;
}

function publish(packages) {
  for (const { file, manifest } of packages) {
    console.log(`  ${manifest.name}@${manifest.version}`);
    execFileSync("npm", ["publish", file], { stdio: "inherit" });
  }
}

async function main(args) {
  const { values } = parseArgs({ args, options: OPTIONS });
  const chosen = ["check", "dry-run", "publish"].filter((name) => values[name]);
  if (values.help || chosen.length !== 1) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  const problems = [];
  const problem = (words) => problems.push(words);
  console.log("== the tree");
  treeProblems(readTree(), values.tag).forEach(problem);
  let failed = 0;
  if (!values.check) {
    console.log("== packages");
    const packages = packAll(path.resolve(values.out ?? path.join(root, "target", "release-packages")), problem);
    if (values["dry-run"]) {
      console.log("== empty projects");
      failed = await tryAll(packages);
    } else if (problems.length === 0) {
      console.log("== npm publish");
      publish(packages);
    }
  }
  for (const words of problems) console.log(`  not to be published: ${words}`);
  return failed > 0 || (problems.length > 0 && !values["dry-run"]) ? 1 : 0;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error) => {
    console.error(error.message);
    process.exit(1);
  },
);

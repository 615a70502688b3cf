"use strict";

// A registry for one trial: it has the packages of the release as if they were published, and hands everything else on to the
// registry that npm is configured for. It listens on 127.0.0.1.

const { execFileSync } = require("node:child_process");
const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const { Readable } = require("node:stream");

const digest = (algorithm, bytes, encoding) => crypto.createHash(algorithm).update(bytes).digest(encoding);

/** What a registry tells about a package with one version. */
function packument(manifest, bytes, url) {
  const { name, version } = manifest;
  const dist = { tarball: `${url}/${name}/-/${name}-${version}.tgz`, integrity: `sha512-${digest("sha512", bytes, "base64")}`, shasum: digest("sha1", bytes, "hex") };
  return { name, "dist-tags": { latest: version }, versions: { [version]: { ...manifest, dist } } };
}

/**
 * Starts it. `packages` are `{ manifest, file }`; one without a file is announced, but cannot be had. Resolves with
 * `{ url, fetched, stop }`; `fetched` are the names of our packages whose tarballs somebody took.
 */
async function startRegistry(packages) {
  const upstream = execFileSync("npm", ["config", "get", "registry"], { encoding: "utf8" }).trim().replace(/\/$/, "");
  const ours = new Map(packages.map((one) => [one.manifest.name, one]));
  const fetched = new Set();
  async function answer(request, response) {
    const [name, dash] = decodeURIComponent(request.url.slice(1)).split("/");
    const found = ours.get(name);
    if (found === undefined) {
      const { accept } = request.headers;
      const reply = await fetch(`${upstream}${request.url}`, { headers: accept ? { accept } : {} });
      response.writeHead(reply.status, { "content-type": reply.headers.get("content-type") ?? "application/json" });
      Readable.fromWeb(reply.body).pipe(response);
    } else if (dash === undefined) {
      const bytes = found.file === undefined ? Buffer.alloc(0) : fs.readFileSync(found.file);
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify(packument(found.manifest, bytes, `http://${request.headers.host}`)));
    } else if (found.file === undefined) {
      response.writeHead(404).end();
    } else {
      fetched.add(name);
      response.writeHead(200, { "content-type": "application/octet-stream" }).end(fs.readFileSync(found.file));
    }
  }

  const server = http.createServer((request, response) => {
    answer(request, response).catch((error) => response.writeHead(502).end(error.message));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  const stop = () => new Promise((resolve) => (server.close(resolve), server.closeAllConnections()));
  return { url, fetched, stop };
}

module.exports = { startRegistry };

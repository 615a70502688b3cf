"use strict";

// Certificates made for a test by the openssl program: an authority, and what it signs.

const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { which } = require("../../scripts/lib/tools.js");

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

function openssl(...args) {
  if (!which("openssl")) throw new Error("the openssl program was not found; the tests of TLS make their certificates with it");
  execFileSync("openssl", args, { stdio: ["ignore", "ignore", "pipe"] });
}

/** An authority of its own in a directory of its own. `remove()` ends both. */
class Authority {
  constructor(name = "test authority") {
    this.dir = fs.mkdtempSync(path.join(os.tmpdir(), "bkn-tls-"));
    this.cert = path.join(this.dir, "authority.crt");
    this.key = path.join(this.dir, "authority.key");
    openssl("req", "-x509", ...KEY, "-keyout", this.key, "-out", this.cert, "-subj", `/CN=${name}`, "-days", "2");
  }

  /** Paths of a new certificate and its key: for these names, for so many days from now (negative: it has expired). */
  issue(file, { names = "DNS:localhost,IP:127.0.0.1,IP:::1", days = 2 } = {}) {
    const at = (extension) => path.join(this.dir, `${file}.${extension}`);
    const [cert, key, request, extensions] = ["crt", "key", "csr", "ext"].map(at);
    fs.writeFileSync(extensions, names === "" ? "basicConstraints=CA:FALSE\n" : `subjectAltName=${names}\n`);
    openssl("req", ...KEY, "-keyout", key, "-out", request, "-subj", `/CN=${file}`);
    const by = ["-CA", this.cert, "-CAkey", this.key, "-CAcreateserial"];
    openssl("x509", "-req", "-in", request, ...by, "-extfile", extensions, "-out", cert, "-days", String(days));
    return { cert, key };
  }

  /** The same key, locked by a password. */
  lock(key) {
    const locked = `${key}.locked`;
    openssl("pkcs8", "-topk8", "-in", key, "-out", locked, "-passout", "pass:password");
    return locked;
  }

  remove() {
    fs.rmSync(this.dir, { recursive: true, force: true });
  }
}

module.exports = { Authority };

"use strict";

// What of the spec files does not apply to a Redis Cluster. FILES: whole files. TESTS: single tests of the others by their title, where
// a `*` stands for anything. Each with its reason.

const NONE = "uses no Redis";
const STORE = "is about the embedded store";
const FAKE = "plays the one server itself";
const ENDS = "the ends and losses of the connection to one server; redis-cluster.spec.js and test:cluster have those of a cluster";
const NEAR = "the near cache's own, on one server; redis-cluster.spec.js has the near cache of a cluster";
const MONGO = "its Redis is any, and holds nothing that is looked at";
const OTHERS = "other clients of one server";
const APART = "starts its servers in processes of their own";

const FILES = {
  "acl.spec.js": "rights of a Redis user; redis-cluster.spec.js has those of a cluster",
  "auth.spec.js": "credentials of one server; redis-cluster.spec.js has those of a cluster",
  "binary.spec.js": NONE,
  "boundary-fuzz.spec.js": FAKE,
  "build.spec.js": NONE,
  "candle-cache-faults.spec.js": MONGO,
  "candle-cache-rules.spec.js": NONE,
  "circles.spec.js": NONE,
  "cli.spec.js": NONE,
  "close.spec.js": ENDS,
  "compose-cluster.spec.js": "docker-compose.cluster.yml",
  "compose-replica-set.spec.js": "docker-compose.replica-set.yml",
  "compose.spec.js": "docker-compose.yml",
  "config.spec.js": "the variables themselves",
  "connection.spec.js": ENDS,
  "copy.spec.js": APART,
  "cross.spec.js": NONE,
  "declarations.spec.js": NONE,
  "demo-chart.spec.js": NONE,
  "documents.spec.js": "the documents",
  "exit.spec.js": ENDS,
  "faults-mass.spec.js": ENDS,
  "faults-names.spec.js": ENDS,
  "faults-network.spec.js": ENDS,
  "faults-oracle.spec.js": ENDS,
  "faults-roles.spec.js": ENDS,
  "faults-server.spec.js": ENDS,
  "fuzz.spec.js": FAKE,
  "giving-up.spec.js": ENDS,
  "kit-store.spec.js": STORE,
  "kit.spec.js": APART,
  "mongo-again.spec.js": MONGO,
  "mongo-cursors.spec.js": MONGO,
  "mongo-deadline.spec.js": MONGO,
  "mongo-failover.spec.js": MONGO,
  "mongo-interop.spec.js": "the original on the same server, which knows no cluster",
  "mongo-late.spec.js": MONGO,
  "mongo-load.spec.js": MONGO,
  "mongo-outage.spec.js": ENDS,
  "mongo-rights.spec.js": MONGO,
  "mongo-server.spec.js": MONGO,
  "mongo-sharded.spec.js": MONGO,
  "near-cache.spec.js": NEAR,
  "near-calls.spec.js": NEAR,
  "near-coherence.spec.js": NEAR,
  "near-expiry.spec.js": NEAR,
  "near-foreign.spec.js": NEAR,
  "near-own.spec.js": NEAR,
  "near-random.spec.js": NEAR,
  "pack.spec.js": "the tarball",
  "ports.spec.js": NONE,
  "process.spec.js": ENDS,
  "protocol.spec.js": FAKE,
  "quiet.spec.js": ENDS,
  "redis-cluster.spec.js": "is about a cluster wherever it runs",
  "release.spec.js": NONE,
  "scan-servers.spec.js": "one server in the place of another; redis-cluster.spec.js has slots that move",
  "secrets.spec.js": "credentials of one server",
  "sentinel.spec.js": "Redis Sentinel",
  "slices.spec.js": ENDS,
  "store-calls.spec.js": STORE,
  "store-candles.spec.js": STORE,
  "store-faults.spec.js": STORE,
  "store-load.spec.js": STORE,
  "store-mongod.spec.js": STORE,
  "store-rows.spec.js": STORE,
  "store.spec.js": STORE,
  "tls.spec.js": "TLS with one server; redis-cluster.spec.js has that with a cluster",
  "workers.spec.js": ENDS,
  "adapters/kits.spec.js": APART,
  "adapters/outage.spec.js": ENDS,
  "adapters/peers.spec.js": OTHERS,
};

/** What `npm test` runs of the rest; `npm run test:cluster` runs all of it. */
const QUICK = ["base-map.spec.js", "scan.spec.js", "ttl.spec.js", "iterate.spec.js", "services.spec.js"];

const KEYS = "several keys are one command each; redis-cluster.spec.js has what they find";

const REFUSED = "a user whom one server refuses to announce changes to";
const BY_HOST = "names one server by host and port in setup(), or by defaults alone";

const TESTS = {
  "adapters/setup.spec.js": {
    "no password is said where there is none: with a server that has none, and one that asks for one": BY_HOST,
    "after calls with ioc's own defaults, install() would have to change them, and throws": BY_HOST,
  },
  "logging.spec.js": {
    "warn of ioc.loggerService may be replaced *": REFUSED,
    "every method of ioc.loggerService may be replaced *": REFUSED,
    "log of ioc.loggerService may be replaced *": REFUSED,
  },
  "reentrancy.spec.js": { "a logger that closes and calls while it is told of the near cache's refusal loses no call": REFUSED },
  "services.spec.js": {
    "reads ask for the right key: Session: as recorded, 3 arguments": KEYS,
    "reads ask for the right key: Session: (strategyName, exchangeName, frameName)": KEYS,
    "reads ask for the right key: Session: (symbol, strategyName, exchangeName)": KEYS,
    "reads ask for the right key: three strings for a session ask for both keys": KEYS,
    "reads ask for the right key: numbers count as strings for a session too": KEYS,
  },
};

module.exports = { FILES, QUICK, TESTS };

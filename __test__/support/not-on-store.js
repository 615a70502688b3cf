"use strict";

// What of the spec files is about servers and does not apply to the embedded store. FILES: whole files. TESTS: single tests of the
// others by their title, where a `*` stands for anything. Each with its reason. VARIABLES: what the others need of configuration.

const NETWORK = "connections, their faults and their ends";
const NEAR = "the near cache of Redis's ids; the store answers from its file";
const WIRE = "judges what is sent to servers, by MONITOR or the profiler";
const MONGOD = "prepares or judges rows by commands of mongod";
const NO_SERVER = "uses no server at all";

const FILES = {
  "acl.spec.js": "rights of a Redis user",
  "auth.spec.js": "credentials of Redis",
  "boundary-fuzz.spec.js": "plays with a Redis server's replies",
  "build.spec.js": NO_SERVER,
  "candle-cache-faults.spec.js": NETWORK,
  "candle-cache-rules.spec.js": NO_SERVER,
  "close.spec.js": NETWORK,
  "compose-cluster.spec.js": "docker-compose.cluster.yml",
  "compose.spec.js": "docker-compose.yml",
  "compose-replica-set.spec.js": "docker-compose.replica-set.yml",
  "config.spec.js": "credentials and servers; the store's variables are in spec/config.json and store.spec.js",
  "connection.spec.js": NETWORK,
  "copy.spec.js": "moves between stores and servers, each its own",
  "demo-chart.spec.js": NO_SERVER,
  "documents.spec.js": NO_SERVER,
  "exit.spec.js": NETWORK,
  "faults-mass.spec.js": NETWORK,
  "faults-names.spec.js": NETWORK,
  "faults-network.spec.js": NETWORK,
  "faults-oracle.spec.js": NETWORK,
  "faults-roles.spec.js": NETWORK,
  "faults-server.spec.js": NETWORK,
  "giving-up.spec.js": NETWORK,
  "kit-store.spec.js": "is about the store wherever it runs",
  "kit.spec.js": "kit-store.spec.js plays the same cases on the store",
  "mongo-again.spec.js": "writes whose reply a server's connection loses",
  "mongo-cursors.spec.js": "cursors that mongod keeps",
  "mongo-deadline.spec.js": NETWORK,
  "mongo-failover.spec.js": "replica sets and their elections",
  "mongo-interop.spec.js": "the original on the same servers",
  "mongo-late.spec.js": NETWORK,
  "mongo-load.spec.js": NETWORK,
  "mongo-models.spec.js": "mongoose models, which need a MongoDB",
  "mongo-outage.spec.js": NETWORK,
  "mongo-paths.spec.js": WIRE,
  "mongo-races.spec.js": "indexes of mongod",
  "mongo-rights.spec.js": "rights of a user of MongoDB",
  "mongo-sharded.spec.js": "routers of a sharded cluster",
  "mongo-server.spec.js": "the mongod of the tests",
  "near-cache.spec.js": NEAR,
  "near-calls.spec.js": NEAR,
  "near-coherence.spec.js": NEAR,
  "near-expiry.spec.js": NEAR,
  "near-foreign.spec.js": NEAR,
  "near-own.spec.js": NEAR,
  "near-random.spec.js": NEAR,
  "pack.spec.js": "the tarball",
  "ports.spec.js": NO_SERVER,
  "process.spec.js": NETWORK,
  "protocol.spec.js": NETWORK,
  "quiet.spec.js": NETWORK,
  "redis-cluster.spec.js": "Redis Cluster",
  "release.spec.js": "packages and their release",
  "scan-servers.spec.js": NETWORK,
  "secrets.spec.js": "credentials of servers",
  "sentinel.spec.js": "Redis Sentinel",
  "slices.spec.js": NETWORK,
  "store-candles.spec.js": "is about the store wherever it runs",
  "store-rows.spec.js": "is about the store wherever it runs",
  "store.spec.js": "is about the store wherever it runs",
  "store-faults.spec.js": "the same",
  "store-mongod.spec.js": "starts its servers itself, beside a store",
  "store-calls.spec.js": "is about the store wherever it runs",
  "store-load.spec.js": "is about the store wherever it runs",
  "tls.spec.js": NETWORK,
  "workers.spec.js": "starts its servers itself, in threads of their own",
  "adapters/kits.spec.js": "projects in processes of their own",
  "adapters/outage.spec.js": NETWORK,
  "adapters/peers.spec.js": "clients of servers",
  "adapters/unchanged.spec.js": NO_SERVER,
};

const BYTES = "looks at bytes that are no text, which only Redis's own protocol shows";
const ACL = "a Redis user with fewer rights";
const OPERATORS = "operators that the store refuses; COMPATIBILITY.md names them";
const HASH = "keys of other types, which Redis has";
const ELSEWHERE = "leads from one server to another; store.spec.js leads from one folder to another";
const REFUSED = "a server that refuses a command, or dies";

const TESTS = {
  "base-map.spec.js": {
    "an empty map has no entries and asks for no values": WIRE,
    "a scan asks as the original does: SCAN cursor MATCH prefix COUNT 100": WIRE,
  },
  "candle-cache.spec.js": {
    "windows and columns read numbers alone; the first call that wants rows reads ids and dates, in one query a block": WIRE,
    "that a candle is missing is remembered for an adapter for a second at the most, and then it is asked for": WIRE,
    "requests that are not on the grid go past the cache, and are answered as without it": MONGOD,
    "rows that columns do not hold are read from the server each time, as they are, and their neighbours from memory": MONGOD,
    "columns of numbers hold what has a number, NaN where there is none, and refuse text by its field": MONGOD,
    "rows of other layouts give their numbers from memory, and themselves from the server": MONGOD,
    "of two rows at one moment neither is remembered": MONGOD,
    "where reads go forward the next block is there before it is needed": "blocks of the store are read on the spot",
    "update and forget are seen by the next read, and close() too": MONGOD,
    "a change through BaseCRUD of a mongoose model of one's own is seen by the next read": "a mongoose model, which needs a MongoDB",
    "CC_CANDLE_CACHE_MAX_BYTES=0 asks the server always": WIRE,
    "what nobody waits for leaves beyond a count, a size or an age, although the tick does not end": WIRE,
  },
  "differences.spec.js": { "errors have our codes and the classes of JavaScript; numbers and words of the server are in the cause": HASH },
  "adapters/contract.spec.js": {
    "a list that is left in the middle keeps no cursor at the server": MONGOD,
    "a candle that was corrected by hand is read anew after the kit's clear()": MONGOD,
    "a second caller that does not wait for the first call's init is served": WIRE,
  },
  "adapters/lists.spec.js": {
    "*: of a list only what is new goes out, in one command": WIRE,
    "*: equal entries in new objects are not sent": WIRE,
    "*: what was read counts as known, so a fresh process sends no stale copies over another's": WIRE,
    "*: what is known survives the kit's clear(), and ends with close()": WIRE,
    "*: entries that left the list stay in the database and are forgotten here": WIRE,
    "*: a refused entry is forgotten alone; the others of the call are written and known": WIRE,
    "*: after an error the entries of the failed command are sent again, and no others": REFUSED,
    "*: a call that leaves out what an earlier one is still writing waits for it, and fails with it": REFUSED,
    "*: who writes the list from within a call of the logger comes behind that call: *": WIRE,
    "*: a changed entry goes out, whether in a new object or in the old one": WIRE,
    "*: a fresh process that has read the list sends its changes in one command, and asks nothing": WIRE,
    "*: a change is seen in the same object: *": WIRE,
    "*: a change is seen in one of many that were compared often": WIRE,
    "*: null and undefined are stored alike, and are no change": WIRE,
    "*: an entry whose id was changed in the same object is stored under that one, whoever else has or had the id": WIRE,
    "*: what is written after close() comes after what was still to be written then": REFUSED,
    "*: of a long list what is new goes out first, and what was changed in its place is not missed": WIRE,
    "*: an entry whose id is known is never sent again, whatever became of it": WIRE,
    "*: each line of a list that slides is one command, for each line one": WIRE,
    "*: what is stored alike is not sent again: *": WIRE,
    "*: of many rows a read looks at the newest alone, by the index, and sorts nothing": MONGOD,
    "a read while an entry is being written does not make it unknown": WIRE,
  },
  "adapters/setup.spec.js": {
    "after close() setup() may change everything, and the next call uses it": ELSEWHERE,
    "waitForInit.clear() lets the next call ask both servers again": WIRE,
    "after calls to another database setup() throws, names both without passwords, and changes nothing": "databases of a server",
    "after calls with ioc's own defaults, install() would have to change them, and throws": "defaults of servers",
    "a password without a user is the password of the default user": ACL,
    "no password is said where there is none: with a server that has none, and one that asks for one": ACL,
  },
  "context.spec.js": { "rejections come back in their context too": REFUSED },
  "iterate.spec.js": {
    "iterate rejects once with the server's words*": REFUSED,
    "keys rejects once with the server's words*": REFUSED,
    "values rejects once with the server's words*": REFUSED,
    "a key that vanishes or changes its type between the scan and the read is left out": WIRE,
    "values that are absent are null in RESP3 too": WIRE,
    "toArray rejects as a whole when a page in the middle is refused": REFUSED,
    "an iterator whose server dies rejects with a code and is over; a new one works when it is back": REFUSED,
  },
  "logging.spec.js": {
    "the log comes before the command is sent": WIRE,
    "warn of ioc.loggerService may be replaced*": ACL,
    "every method of ioc.loggerService may be replaced*": ACL,
    "log of ioc.loggerService may be replaced*": ACL,
  },
  "mongo-bulk.spec.js": {
    "createMany makes few operations of many candles": WIRE,
    "createMany knows candles whose timestamps others have stored as long integers, and -0 beside 0": MONGOD,
  },
  "mongo-crud.spec.js": {
    "findAll gives the last updated first, at most 1000, or as many as are asked for": MONGOD,
    "a broken-off iteration leaves no cursor open on the server": MONGOD },
  "mongo-documents.spec.js": { "documents: BaseCRUD update: of all of a list": OPERATORS },
  "mongo-filters.spec.js": {
    "filters take what the original's take: $mod with text": OPERATORS,
    "filters take what the original's take: JavaScript for the server*": OPERATORS,
  },
  "mongo-services.spec.js": {
    "candleDbService: with a cached id absent the row is found, and the id is cached anew": "the store finds a candle's id without a key",
    "softRemove of a row whose payload is null marks the row alone": MONGOD,
  },
  "reentrancy.spec.js": {
    "a logger that closes and calls while it is told of the near cache's refusal loses no call": ACL,
    "every call is settled with its own answer when *": HASH,
    "configuration that * sets after close() is in force for the calls after it": ELSEWHERE,
    "a logger that sets configuration after close() in the middle of a call does not lose it": ELSEWHERE,
  },
  "mongo-update.spec.js": {
    "an update whose reply is lost is done once*": REFUSED,
    "of two increments of one moment*": REFUSED,
  },
  "candle-cache-writes.spec.js": {
    "an adapter writes no ids to Redis unless CC_CANDLE_IDS says so, and ioc's calls write them": "the store writes ids where CC_CANDLE_IDS says so, for both; see store-candles.spec.js",
    "createMany of known candles writes their ids again where Redis has lost them": "the same",
    "a call that leaves out what another one is writing fails with it, and nothing of it is known": REFUSED,
    "a write that is under way when rows are changed is not remembered": MONGOD,
  },
  "scan.spec.js": {
    "a key that SCAN returns several times is seen and counted once": WIRE,
    "* yields each key once while the server's table shrinks under it": "the hash table of Redis",
    "two binary keys that look alike as text are two keys": BYTES,
    "keys of other types are counted and cleared, but have no value": HASH,
    "equal settings keep COUNT fixed, and a bound keeps it below": WIRE,
    "COUNT starts at 100 and doubles with each SCAN up to 1000, whatever the pages bring": WIRE,
  },
  "services.spec.js": { "a read that meets a key of another type rejects with the server's words": HASH },
  "values.spec.js": { "set writes a Buffer is its bytes": BYTES },
};
for (const service of require("../../spec/collections.json").collections.map((row) => row.service)) {
  TESTS["mongo-services.spec.js"][`${service}: a cache key of another type does not stand in the way of a read`] = HASH;
}

// The same for jest's files.
const JEST_FILES = { "setup.spec.ts": "looks into servers by getRedis() and getMongo()" };
const JEST_TESTS = {
  "containers.spec.ts": { "di-kit hands out an object whose prototype is the service": WIRE },
  "drop-in.spec.ts": {
    "errors belong to the realm of the test, so that instanceof holds": HASH,
    "what index.d.ts declares is what there is": "names the server that is connected",
  },
  "fake-timers.spec.ts": { "a deadline passes in real time": REFUSED },
  "golden.spec.ts": { "a Buffer is its bytes": BYTES },
  "isolation-one.spec.ts": {
    "this file talks to its own server": ELSEWHERE,
    "two copies of the package in one file have their own settings and connections": ELSEWHERE,
  },
  "isolation-two.spec.ts": { "this file talks to its own server, not to that of the file before it": ELSEWHERE },
};

/** Variables that a file of the others runs with, because it looks for what the store does not do without them. */
const VARIABLES = {
  // Calls of ioc write the ids of candles to Redis always, to the store where this says so.
  "mongo-bulk.spec.js": { CC_CANDLE_IDS: "on" },
  "mongo-services.spec.js": { CC_CANDLE_IDS: "on" },
};

module.exports = { FILES, TESTS, VARIABLES, JEST_FILES, JEST_TESTS };

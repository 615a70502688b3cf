"use strict";

// Runs spec files on a Redis Cluster of three masters: ava loads this before each of them (ava.cluster.config.mjs). Where they start a
// Redis they get a cluster. Tests of what does not apply there are skipped by name: see not-on-cluster.js, which says why.

const Module = require("node:module");
const path = require("node:path");
const { leavingOut } = require("./left-out.js");
const { TESTS } = require("./not-on-cluster.js");

const support = (name) => path.join(__dirname, name);
let currentSpec = null;
let test = null;
/** The clusters of this process. What is configured by nothing, or by the environment alone, means the first one. */
const servers = [];

async function startRedis(options) {
  const { startClusterServer } = require("./cluster-server.js");
  const server = await startClusterServer(options);
  servers.push(server);
  return server;
}

/** Some tests empty the environment. */
const remember = () => {
  if (servers.length > 0) process.env.CC_REDIS_URL ||= servers[0].url;
};

/** A host and a port name one server, so a copy of the package that is told of those is told of the cluster. */
function meant(config) {
  const server = config && !config.CC_REDIS_URL && servers.find(({ port }) => String(config.CC_REDIS_PORT) === String(port));
  if (!server) return config;
  const { CC_REDIS_HOST: host = server.host, CC_REDIS_USER: user = "default", CC_REDIS_PASSWORD: password } = config;
  const credentials = password === undefined ? "" : `${user}:${password}`;
  return { ...config, CC_REDIS_URL: server.cluster.urlOf({ host, credentials }) };
}

const load = Module._load;
Module._load = function (request, parent, isMain) {
  const exported = load.call(this, request, parent, isMain);
  if (request === "ava" && parent && /\.spec\.js$/.test(parent.filename)) {
    currentSpec ??= path.relative(path.dirname(__dirname), parent.filename);
    return (test ??= leavingOut(exported, TESTS[currentSpec] ?? {}));
  }
  if (/\.js$/.test(request) && parent && parent.filename !== support("redis-cluster.js")) {
    const file = path.resolve(path.dirname(parent.filename), request);
    if (file === support("redis.js")) return { ...exported, startRedis };
    if (file === support("addon.js")) {
      const { loadFor, loadFresh } = exported;
      const before = (load) => (...args) => (remember(), load(...args));
      return { ...exported, loadFor: before((t, config) => loadFor(t, meant(config))), loadFresh: before((config) => loadFresh(meant(config))) };
    }
  }
  return exported;
};

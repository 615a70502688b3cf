"use strict";

// A replica set of several real servers, each behind a proxy: under the proxy's address it is known to clients and to the
// other members, so that a test can cut it off.

const { startMongo } = require("./mongo.js");
const { startProxy } = require("./proxy.js");

const NAME = "rs0";

class ReplicaSet {
  constructor(members) {
    this.members = members;
  }

  /** The connection string of a database; `query` are further parameters. */
  urlOf(database, query = {}) {
    const hosts = this.members.map(({ proxy }) => `127.0.0.1:${proxy.port}`).join(",");
    return `mongodb://${hosts}/${database}?${new URLSearchParams({ replicaSet: NAME, ...query })}`;
  }

  async initiate(electionMs) {
    const members = this.members.map(({ proxy }, _id) => ({ _id, host: `127.0.0.1:${proxy.port}` }));
    const config = { _id: NAME, members, settings: { electionTimeoutMillis: electionMs, heartbeatIntervalMillis: 200 } };
    await this.members[0].server.command({ replSetInitiate: config }, { database: "admin" });
    return this;
  }

  /** The member that accepts writes; waits for an election. `but`: not this one. */
  async primary(but) {
    for (;;) {
      for (const member of this.members.filter((one) => one !== but && one.server.child)) {
        const hello = await member.server.command({ hello: 1 }, { database: "admin" }).catch(() => ({}));
        if (hello.isWritablePrimary) return member;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Until each member has the data, so that any two of them confirm what the third one does not. */
  async whole() {
    const hello = ({ server }) => server.command({ hello: 1 }, { database: "admin" });
    const isThere = ({ isWritablePrimary, secondary }) => isWritablePrimary || secondary;
    while (!(await Promise.all(this.members.map(hello))).every(isThere)) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  async stop() {
    await Promise.all(this.members.map(async ({ server, proxy }) => (await proxy.stop(), server.stop())));
  }
}

/** Starts so many servers, and waits for their primary and until the others follow it. `electionMs`: members that hear nothing of it for so long elect another. */
async function startReplicaSet(count = 3, { electionMs = 1_000 } = {}) {
  const servers = await Promise.all(Array.from({ length: count }, () => startMongo({ replSet: true, initiate: false })));
  const members = await Promise.all(servers.map(async (server) => ({ server, proxy: await startProxy(server) })));
  const set = await new ReplicaSet(members).initiate(electionMs);
  await set.primary();
  await set.whole();
  return set;
}

module.exports = { startReplicaSet };

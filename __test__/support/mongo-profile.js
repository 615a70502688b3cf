"use strict";

// Counts what reached a database, through the server's own profiler: one entry for each operation that it executed.

/** Turns the profiler of one database on; the entries are those since the last `clear()`. */
async function watchOperations(server, database) {
  const profile = (level) => server.command({ profile: level, slowms: 0 }, { database });

  async function clear() {
    await profile(0);
    // The collection can only be dropped while nothing is profiled.
    await server.command({ drop: "system.profile" }, { database }).catch(ignoreAbsent);
    await server.command({ create: "system.profile", capped: true, size: 64 * 1024 * 1024 }, { database });
    await profile(2);
  }

  /** `{ kind, collection, command }` in the order of execution; kind is the command's name. */
  async function operations() {
    const entries = await server.documents("system.profile", { database, filter: { ns: { $not: /system\.|\$cmd$/ } }, sort: { ts: 1 } });
    return entries.map(({ op, ns, command }) => ({
      kind: op === "command" ? Object.keys(command)[0] : op,
      collection: ns.slice(database.length + 1),
      command,
    }));
  }

  async function stop() {
    await profile(0);
  }

  await clear();
  return { operations, clear, stop };
}

function ignoreAbsent(error) {
  if (error.codeName !== "NamespaceNotFound") throw error;
}

module.exports = { watchOperations };

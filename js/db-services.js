"use strict";
// The db service classes, made from the table of collections: rows by their key, through the cache of ids.

const { BaseCRUD } = require("./base-crud.js");
const { listens, log } = require("./logger-service.js");
const { candleMethods } = require("./candles/service.js");
const { REFRESH, instances: caches } = require("./cache-services.js");
const { native } = require("./engine.js");
const { FIND_ALL_LIMIT, limitOf, stored } = require("./given.js");
const { BY_KEY, OPS, ask, onlyRow, rowNow, rowsOf, table } = require("./mongo.js");
const { guarded, owed } = require("./redis-guard.js");

/** Rows of the lists that show the newest. */
const NEWEST = 200;
const OBJECT_ID = /^[0-9a-f]{24}$/i;

/** Arguments by their names. */
function named(names, args) {
  const object = {};
  for (let i = 0; i < names.length; i++) {
    object[names[i]] = args[i];
  }
  return object;
}

/**
 * What a filter is to hold of a call's arguments: parts of a key, checked and cast in Rust, where `by` says which there must
 * be. The codec leaves out functions, and an object in a filter would be taken for operators.
 */
const only = (by, args) => ({ k: named(by, args), by });

/** Milliseconds of a Date, as the original stores it. What is none is refused in Rust, by its name. */
const millis = (when) => (typeof when?.getTime === "function" ? when.getTime() : null);

/** The form of the cache service that names a row, whose arguments are those of our calls. */
function formOf(row) {
  const service = native.table.find(({ service }) => service === row.cache);
  return service.nouns.find(({ noun }) => noun === row.noun).forms[0].args.map((arg) => arg.name);
}

/** The number by which the engine knows the noun of a collection's ids; see src/services/table.rs. */
function nounOf(row) {
  const nouns = native.table.flatMap(({ service, nouns }) => nouns.map(({ noun }) => [service, noun]));
  return nouns.findIndex(([service, noun]) => service === row.cache && noun === row.noun);
}

/** What reads and writes of one collection have in common: its key, and the cache of its ids. */
function accessOf(row, number) {
  const names = formOf(row);
  const cache = caches[row.cache];
  const [has, get, set, remove] = ["has", "get", "set", "delete"].map((verb) => `${verb}${row.noun}Id`);
  const session = row.service === "sessionDbService";
  const noun = nounOf(row);
  const topic = `BaseCRUD findByFilter modelName=${row.collection}`;
  const findByFilter = (service, filterData) => log(service, "info", topic, { filterData, sort: undefined });

  /** The names of a call's key: older code names a session by three parts. */
  function keyNames(count) {
    return session && count < names.length ? names.slice(0, 3) : names;
  }

  const { [get]: ownGet, [set]: ownSet, connectionKey, ttlExpireSeconds } = cache;
  const isText = (arg) => typeof arg === "string" && arg !== "";
  /**
   * The noun by which the embedded store itself notes and looks up the id of a row, with the row and under the key of the cache
   * service; undefined where that is the cache service's to do: on servers, where somebody logs or has changed it, and where it must
   * say what is wrong with the arguments.
   */
  function ownNoun(service, args) {
    const own =
      native.embedded &&
      args.length === names.length &&
      args.every(isText) &&
      cache[get] === ownGet &&
      cache[set] === ownSet &&
      cache.connectionKey === connectionKey &&
      cache.ttlExpireSeconds === ttlExpireSeconds &&
      !listens(service) &&
      !listens(cache);
    return own ? noun : undefined;
  }

  /** Notes the id of a row, for the next read. Redis may be away: the row is written all the same. */
  const store = (identity) => cache[set](identity, REFRESH);
  const remember = (identity) => (identity === null ? null : guarded(() => store(identity), null));

  /** Takes the id of a row that is gone out of the cache, where rows can go: now, or when Redis is back. */
  const forgets = typeof cache[remove] === "function";
  const forget = (args) => owed(JSON.stringify([remove, ...args]), () => cache[remove](...args));

  /** The row of a key, which is asked for; see `read`. */
  async function readAsked(service, args, cached, own) {
    const key = named(keyNames(args.length), args);
    const known = cached && own === undefined ? await guarded(() => cache[get](...args), null) : null;
    const id = typeof known === "string" && OBJECT_ID.test(known) ? known : null;
    findByFilter(service, id === null ? key : { _id: id });
    const answer = await ask(OPS.find, number, own === undefined ? { k: key, id } : { k: key, noun: own });
    if (id !== null && (answer.kind === BY_KEY || answer.bytes.length === 0)) {
      findByFilter(service, key);
    }
    const found = onlyRow(answer);
    if (answer.kind === BY_KEY) {
      await remember(found);
    } else if (found === null && forgets && (id !== null || (own !== undefined && (await cache[has](...args))))) {
      // The row was deleted while Redis was away. If it is written anew meanwhile, its id is cached again by that write.
      await forget(args);
    }
    return found;
  }

  return {
    names,
    keyNames,
    ownNoun,
    remember,
    store,
    has: (args) => guarded(() => cache[has](...args), false),
    forget,

    /**
     * The row of a key: by the id that the cache has of it, or else by the key. What is at hand is the row itself, for which nobody has
     * to wait; anything else is a promise.
     */
    read(service, args, cached = true) {
      const own = cached ? ownNoun(service, args) : undefined;
      const row = own === undefined ? null : rowNow(number, own, args);
      return row === null ? readAsked(service, args, cached, own) : row;
    },

    /** The id that the near cache has of a row. It saves a query when many rows are written at once. */
    known(args) {
      if (native.embedded) {
        return undefined;
      }
      try {
        native.ready();
        return native.engine.idPeek(noun, args.length, ...args);
      } catch {
        // Arguments that have no key: the write itself says so.
        return undefined;
      }
    },

    /** Writes a row; resolves with what names it, or null where it was not there and was not to be made. */
    async write(op, body) {
      return onlyRow(await ask(op, number, body));
    },
  };
}

/** How the adapters of lists write a row, by the name of its service: they do not wait for Redis. */
const writers = {};

/** `upsert`, the find of a key, and what else the table says of a collection. */
function methodsOf(row, number) {
  const { service: name, collection } = row;
  const access = accessOf(row, number);
  const { names, keyNames } = access;
  const values = row.rest.map((field) => field.name).filter((field) => field !== "removed");
  const said = (service, method, entry) => log(service, "log", `${name} ${method}`, ...(entry === undefined ? [] : [entry]));

  /** Writes a row, and resolves with what names it; `known` is its id, where somebody has read it. What cannot be written is thrown. */
  function write(service, args, known) {
    const keys = keyNames(args.length - values.length);
    const given = named(values, args.slice(keys.length));
    const key = named(keys, args);
    if (listens(service)) {
      said(service, "upsert", "when" in given ? { ...key, when: given.when } : key);
    }
    if ("when" in given) {
      given.when = millis(given.when);
    }
    const v = {};
    for (const field of values) {
      if (given[field] !== undefined) {
        v[field] = stored(given[field], `${name}: ${field}`);
      }
    }
    const context = args.slice(0, keys.length);
    const noun = access.ownNoun(service, context);
    if (noun !== undefined) {
      return access.write(OPS.upsert, { k: key, v, noun });
    }
    const id = access.known(context) ?? known ?? null;
    return access.write(OPS.upsert, { k: key, v, id });
  }
  const note = async (identity) => access.remember(identity);
  writers[name] = async (...args) => {
    note(await write(...args)).catch(() => {});
  };

  const methods = {
    async upsert(...args) {
      const identity = await write(this, args);
      if (identity !== null) {
        await access.remember(identity);
      }
    },

    async [row.find](...args) {
      const key = args.slice(0, keyNames(args.length).length);
      if (listens(this)) {
        said(this, row.find, named(keyNames(key.length), key));
      }
      return access.read(this, key);
    },
  };

  if (row.has !== null) {
    methods[row.has] = async function (...args) {
      const key = args.slice(0, names.length);
      said(this, row.has, named(names, key));
      return (await access.has(key)) || (await access.read(this, key, false)) !== null;
    };
  }

  if (row.removes) {
    methods.softRemove = async function (...args) {
      const key = named(names, args);
      said(this, "softRemove", key);
      await access.remember(await access.write(OPS.softRemove, { k: key }));
    };
  }

  for (const list of row.lists) {
    methods[list.method] = async function (...args) {
      const by = named(list.by, args);
      said(this, list.method, list.by.length === 0 ? undefined : by);
      const filter = list.present ? { removed: false } : {};
      const [order, most] = list.newest ? ["createDate", NEWEST] : ["updatedDate", FIND_ALL_LIMIT];
      if (!list.newest) {
        log(this, "info", `BaseCRUD findAll modelName=${collection}`, { filterData: { ...by, ...filter } });
      }
      const limit = limitOf(args[list.by.length], most);
      const rows = rowsOf(await ask(OPS.rows, number, { ...only(list.by, args), filter, sort: { [order]: -1 }, limit }));
      return list.only === null ? rows : rows.map((found) => found[list.only]);
    };
  }

  return methods;
}

/** What only intervals have: all of a bucket goes, rows and ids. */
function clearBucketOf(row, number) {
  const access = accessOf(row, number);
  return async function clearBucket(bucket) {
    log(this, "log", "intervalDbService clearBucket", { bucket });
    log(this, "info", `BaseCRUD findAll modelName=${row.collection}`, { filterData: { bucket } });
    const deleted = await ask(OPS.delete, number, { ...only(["bucket"], [bucket]), fields: { entryKey: 1 } });
    await Promise.all(rowsOf(deleted).map((row) => access.forget([bucket, row.entryKey])));
  };
}

const classes = {};
const instances = {};
table.forEach((row, number) => {
  const Service = class extends BaseCRUD(row.collection) {
    constructor() {
      super();
      this[row.cache] = caches[row.cache];
    }
  };
  Object.defineProperty(Service, "name", { value: row.class });
  const methods = row.service === "candleDbService" ? candleMethods(accessOf(row, number), row) : methodsOf(row, number);
  if (row.service === "intervalDbService") {
    methods.clearBucket = clearBucketOf(row, number);
  }
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(value, "name", { value: name });
    Object.defineProperty(Service.prototype, name, { value, writable: true, configurable: true });
  }
  classes[row.class] = Service;
  instances[row.service] = new Service();
});

module.exports = { classes, instances, writers };

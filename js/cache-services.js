"use strict";
// The cache service classes, made from the table of the addon: a namespace each, and methods that name a context.

const { BaseMap, emit, failed, listens } = require("./base-map.js");
const { native } = require("./engine.js");
const { makeError, withCode } = require("./errors.js");

const { engine, promise, ready, table } = native;
const { has: plainHas, get: plainGet, set: plainSet, delete: plainDelete } = BaseMap.prototype;

/** Verbs, in the order of `VERBS` in src/napi/id_calls.rs. */
const [HAS, GET, DELETE] = [0, 1, 2];

/**
 * Marks a write as the db services' own refresh of an id, which may be left out where the key holds the id already: should
 * somebody else's write be under way, the next read of the row finds out, and writes anew. All other writes are sent.
 */
const REFRESH = Symbol("refresh");

/** The original leaves this field out of its log entry. */
const UNLOGGED = { setCandleId: "exchangeName" };

/** Whether the object's keys are those of its service: nobody has changed its fields. */
function isPlain(service, prefix) {
  return service.connectionKey === prefix && service.ttlExpireSeconds === -1;
}

/** The id of a row: `id`, or else `_id`; of an ObjectId its hexadecimal text. */
function idOf(row) {
  const id = row.id ?? row._id;
  return typeof id === "object" && id !== null && typeof id.toHexString === "function" ? id.toHexString() : id;
}

/** The named arguments of a log entry: those of a form, read from a call's arguments or from a row. */
function named(form, read) {
  return Object.fromEntries(form.args.map((field, i) => [field.name, read(field, i)]));
}

/**
 * The methods of one noun. `number` is the noun's place in the table, by which the engine knows it.
 *
 * `get`, `set` and `delete` go past methods that a subclass overrides, `has` goes through them: so does the original.
 */
function methodsOf(row, noun, number) {
  const { service: name, prefix } = row;
  const { forms, fields } = noun;
  const [f0, f1, f2, f3, f4] = fields;
  const names = { has: `has${noun.noun}Id`, get: `get${noun.noun}Id`, set: `set${noun.noun}Id`, delete: `delete${noun.noun}Id` };

  /** The keys that a call asks for, after its log entry. */
  function find(service, verb, method, args) {
    const [a, b, c, d, e] = args;
    const [form, key, second] = engine.idKeys(number, args.length, a, b, c, d, e, verb);
    if (listens(service)) {
      emit(service, "log", `${name} ${method}`, named(forms[form], (_, i) => args[i]));
    }
    return [key, second];
  }

  /** The answer of `one` to the first key, or where that is nothing to the second. */
  async function either(keys, one) {
    const [first, second] = keys;
    const found = await one(first);
    return second === undefined || (found !== null && found !== false) ? found : one(second);
  }

  const methods = {
    [names.has](a, b, c, d, e) {
      try {
        const overridden = this.has !== plainHas;
        if (overridden && typeof this.has !== "function") {
          throw makeError("INVALID_CONTEXT", "TypeError", `${name}.${names.has} was called on something that is not a map`);
        }
        const plain = isPlain(this, prefix) && !overridden;
        if (!plain || listens(this)) {
          const keys = find(this, HAS, names.has, arguments);
          if (!plain) {
            return either(keys, async (key) => this.has(key));
          }
          emit(this, "info", `BaseMap has key=${keys[0]}`);
        }
        ready();
        return promise(engine.idHas(number, arguments.length, a, b, c, d, e));
      } catch (error) {
        return failed(error);
      }
    },

    [names.get](a, b, c, d, e) {
      try {
        const plain = isPlain(this, prefix);
        if (!plain || listens(this)) {
          const keys = find(this, GET, names.get, arguments);
          if (!plain) {
            return either(keys, (key) => plainGet.call(this, key));
          }
          emit(this, "info", `BaseMap get key=${keys[0]}`);
        }
        ready();
        return promise(engine.idGet(number, arguments.length, a, b, c, d, e));
      } catch (error) {
        return failed(error);
      }
    },

    [names.set](row, mark = undefined) {
      try {
        if (row === null || (typeof row !== "object" && typeof row !== "function")) {
          engine.noRow(number, row == null ? String(row) : `a ${typeof row}`);
        }
        // Properties are read here because that is many times faster than through Node-API. Rust decides which form they fit.
        // Each is read once, because a getter may return something else the second time.
        const a = row[f0];
        const b = row[f1];
        const c = f2 === undefined ? undefined : row[f2];
        const d = f3 === undefined ? undefined : row[f3];
        const e = f4 === undefined ? undefined : row[f4];
        const id = idOf(row);
        const plain = isPlain(this, prefix);
        if (!plain || listens(this)) {
          const [form, key, value] = engine.rowKey(number, a, b, c, d, e, id);
          if (listens(this)) {
            const read = [a, b, c, d, e];
            const entry = named(forms[form], (field) => read[fields.indexOf(field.name)]);
            if (form === 0) {
              delete entry[UNLOGGED[names.set]];
            }
            emit(this, "log", `${name} ${names.set}`, entry);
          }
          if (!plain) {
            return plainSet.call(this, key, value).then(() => value);
          }
          if (key !== "") {
            emit(this, "info", `BaseMap set key=${key}`, { key, value });
          }
        }
        ready();
        return promise(mark === REFRESH ? engine.idRefresh(number, a, b, c, d, e, id) : engine.idSet(number, a, b, c, d, e, id));
      } catch (error) {
        return Promise.reject(withCode(error, "INVALID_ROW", `${name}.${names.set}: reading the row failed`));
      }
    },
  };
  if (noun.delete) {
    methods[names.delete] = function (a, b, c, d, e) {
      try {
        const plain = isPlain(this, prefix);
        if (!plain || listens(this)) {
          const [key] = find(this, DELETE, names.delete, arguments);
          if (!plain) {
            return plainDelete.call(this, key);
          }
          emit(this, "info", `BaseMap delete key=${key}`);
        }
        ready();
        return promise(engine.idDelete(number, arguments.length, a, b, c, d, e));
      } catch (error) {
        return failed(error);
      }
    };
  }
  return methods;
}

const classes = {};
let number = 0;
for (const row of table) {
  const Service = class extends BaseMap(row.prefix, -1) {};
  Object.defineProperty(Service, "name", { value: row.class });
  for (const noun of row.nouns) {
    for (const [method, value] of Object.entries(methodsOf(row, noun, number))) {
      Object.defineProperty(value, "name", { value: method });
      Object.defineProperty(Service.prototype, method, { value, writable: true, configurable: true });
    }
    number++;
  }
  classes[row.class] = Service;
}

/** One instance of each service, in the order of the table. */
const instances = Object.fromEntries(table.map((row) => [row.service, new classes[row.class]()]));

module.exports = { REFRESH, classes, instances };

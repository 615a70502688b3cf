"use strict";
// The operations that every collection has, and the class that they make.

const { makeError } = require("./errors.js");
const { FIND_ALL_LIMIT, bounded, changeOf, filterOf, idOf, pageOf, rowOf, sortOf } = require("./given.js");
const { log, loggerService } = require("./logger-service.js");
const { crudOf, isModel } = require("./model-crud.js");
const { OPS, ask, notFound, onlyRow, rowsOf, table } = require("./mongo.js");
const { RowCursor } = require("./row-cursor.js");

/** The place of a collection in the table, by its name or by an object with that `modelName`: the TargetModel of a service. */
function numberOf(collection) {
  const name = typeof collection === "string" ? collection : collection?.modelName;
  const number = table.findIndex((row) => row.collection === name);
  if (number < 0) {
    const known = table.map((row) => row.collection).join(", ");
    throw makeError("INVALID_CONTEXT", "TypeError", `BaseCRUD: ${String(name)} is no collection; known are ${known}`);
  }
  return number;
}

/** The methods of one collection; what each logs and returns is in index.d.ts. */
function methodsOf(number) {
  const { collection: name, key, rest } = table[number];
  const schema = new Set([...key, ...rest].map((field) => field.name).concat("_id", "createDate", "updatedDate", "__v"));

  const info = (service, method, entry) => log(service, "info", `BaseCRUD ${method} modelName=${name}`, entry);
  const rows = (filter, query) => ask(OPS.rows, number, { filter: filterOf(filter), ...query });

  return class {
    constructor() {
      this.loggerService = loggerService;
    }

    async create(dto) {
      info(this, "create", { dto });
      return onlyRow(await ask(OPS.insert, number, { dto: rowOf(dto, schema) }));
    }

    async update(id, dto) {
      info(this, "update", { id, dto });
      const row = onlyRow(await ask(OPS.change, number, { id: idOf(id), dto: changeOf(dto, schema) }));
      if (row === null) {
        throw notFound(name);
      }
      return row;
    }

    async findById(id) {
      info(this, "findById", { id });
      const row = onlyRow(await rows({ _id: idOf(id) }, { limit: 1 }));
      if (row === null) {
        throw notFound(name);
      }
      return row;
    }

    async findByFilter(filterData, sort) {
      info(this, "findByFilter", { filterData, sort });
      return onlyRow(await rows(filterData, { sort: sortOf(sort), limit: 1 }));
    }

    async findAll(filterData = {}, limit = FIND_ALL_LIMIT) {
      info(this, "findAll", { filterData });
      return rowsOf(await rows(filterData, { sort: { updatedDate: -1 }, limit: limit === null ? 0 : bounded(limit, "limit") }));
    }

    async *iterate(filterData = {}, sort) {
      info(this, "iterate", { filterData, sort });
      const cursor = new RowCursor(number, { filter: filterOf(filterData), sort: sortOf(sort) });
      try {
        for (let page = await cursor.page(); page !== null; page = await cursor.page()) {
          yield* page;
        }
      } finally {
        cursor.close();
      }
    }

    async paginate(filterData, pagination, sort) {
      info(this, "paginate", { filterData, pagination, sort });
      const filter = filterOf(filterData);
      const [page, total] = await Promise.all([
        rows(filter, { sort: sortOf(sort), ...pageOf(pagination) }),
        ask(OPS.count, number, { filter }),
      ]);
      return { rows: rowsOf(page), total: rowsOf(total)[0].n };
    }
  };
}

const classes = new Map();

/** The class of a collection: one for each, however often it is asked for. */
function classOf(collection) {
  const number = numberOf(collection);
  if (!classes.has(number)) {
    const Crud = methodsOf(number);
    const value = { modelName: table[number].collection };
    Object.defineProperty(Crud.prototype, "TargetModel", { value, configurable: true, writable: true });
    classes.set(number, Crud);
  }
  return classes.get(number);
}

/** The class of a collection, by its name, or of a mongoose model; with `new` an instance. */
function BaseCRUD(target) {
  const Crud = isModel(target) ? crudOf(target) : classOf(target);
  Object.defineProperty(Crud, "name", { value: "BaseCRUD" });
  return new.target ? new Crud() : Crud;
}

module.exports = { BaseCRUD };

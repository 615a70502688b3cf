"use strict";
// BaseCRUD for a mongoose model of the project's own: what the original calls on it, whatever its schema and connection.

const { memory } = require("./candles/memory.js");
const { native } = require("./engine.js");
const { makeError } = require("./errors.js");
const { FIND_ALL_LIMIT } = require("./given.js");
const { log, loggerService } = require("./logger-service.js");
const { openDefault } = require("./mongoose.js");

/** Mongoose copies whose default connection was opened here: the promise of that, and whether it is still pending. */
const opened = new Map();
/** Calls that are under way. */
const running = new Set();

/** A change of rows, which may be candles that are held in memory; see `disturbed` in js/mongo.js. */
async function changing(model, call) {
  const empty = model.collection?.collectionName === "candle-items" ? memory.empty : () => {};
  empty();
  try {
    return await run(model, call);
  } finally {
    empty();
  }
}

/** Whether it is a model, and not only named as one. */
function isModel(value) {
  return typeof value === "function" && typeof value.findByIdAndUpdate === "function" && typeof value.countDocuments === "function";
}

/** Opens mongoose's default connection with our configuration, as the original does, where nobody has opened it. */
function connected({ base, db }) {
  if (db === undefined || db !== base?.connection) {
    return undefined;
  }
  if (db.readyState === 0 && !opened.get(base)?.pending) {
    const state = { pending: true, promise: openDefault(base, "BaseCRUD of a mongoose model", (words) => `${words} (mongoose, for a model without a connection of its own)`) };
    opened.set(base, state);
    const over = () => (state.pending = false);
    state.promise.then(over, () => {
      over();
      // A later call tries again.
      opened.delete(base);
    });
  }
  return opened.get(base)?.promise;
}

/** Runs a call on a model. */
async function run(model, call) {
  await connected(model);
  // A query runs each time that somebody waits for it, so only one promise does.
  const answer = Promise.resolve(call(model));
  const settled = answer.catch(() => {});
  running.add(settled);
  settled.then(() => running.delete(settled));
  return answer;
}

/** Whether a connection that was opened here is open. */
const isOpen = () => opened.size > 0;

/** Closes what was opened here, when the calls that are under way are through. Null where there is nothing to close. */
function close() {
  return isOpen() ? closeAll([...opened]) : null;
}

async function closeAll(connections) {
  opened.clear();
  await Promise.all(running);
  const closing = connections.map(async ([base, { promise }]) => {
    await promise;
    await base.connection.close();
  });
  await Promise.allSettled(closing);
}

Object.assign(native.models, { isOpen, close });

/** A row as users see it: a plain object with `id`, the text of `_id`. */
function rowOf(document) {
  const row = document.toJSON();
  if (row._id !== undefined && row._id !== null) {
    row.id = String(row._id);
  }
  return row;
}

/** The class of a model. */
function crudOf(model) {
  const of = (service) => service?.TargetModel ?? model;
  const info = (service, method, entry) => log(service, "info", `BaseCRUD ${method} modelName=${of(service).modelName}`, entry);

  function found(service, document) {
    if (!document) {
      throw makeError("NOT_FOUND", "Error", `${of(service).modelName} not found`);
    }
    return rowOf(document);
  }

  return class {
    constructor() {
      this.loggerService = loggerService;
      this.TargetModel = model;
    }

    async create(dto) {
      info(this, "create", { dto });
      return rowOf(await changing(of(this), (target) => target.create(dto)));
    }

    async update(id, dto) {
      info(this, "update", { id, dto });
      const change = Array.isArray(dto) ? dto : { ...dto };
      delete change.id;
      const options = { new: true, runValidators: true };
      return found(this, await changing(of(this), (target) => target.findByIdAndUpdate(id, change, options)));
    }

    async findById(id) {
      info(this, "findById", { id });
      return found(this, await run(of(this), (target) => target.findById(id)));
    }

    async findByFilter(filterData, sort) {
      info(this, "findByFilter", { filterData, sort });
      const document = await run(of(this), (target) => target.findOne(filterData, null, { sort }));
      return document ? rowOf(document) : null;
    }

    async findAll(filterData = {}, limit = FIND_ALL_LIMIT) {
      info(this, "findAll", { filterData });
      const documents = await run(of(this), (target) => target.find(filterData).sort({ updatedDate: -1 }).limit(limit));
      return documents.map(rowOf);
    }

    async *iterate(filterData = {}, sort) {
      info(this, "iterate", { filterData, sort });
      const target = of(this);
      await connected(target);
      for await (const document of target.find(filterData, null, { sort })) {
        yield rowOf(document);
      }
    }

    async paginate(filterData, pagination, sort) {
      info(this, "paginate", { filterData, pagination, sort });
      const { limit, offset } = pagination;
      const page = (target) => target.find(filterData, null, { sort }).skip(offset).limit(limit);
      const documents = await run(of(this), page);
      const total = await run(of(this), (target) => target.countDocuments(filterData));
      return { rows: documents.map(rowOf), total };
    }
  };
}

module.exports = { crudOf, isModel };

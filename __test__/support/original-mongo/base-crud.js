"use strict";

// BaseCRUD as backtest-kit's TypeScript has it, call for call and log line for log line.

const LIMIT = 1000;

/** A plain object with `id`, as the services return rows. */
function toRow(document) {
  const row = document.toJSON();
  row.id = String(row._id);
  return row;
}

class OriginalCrud {
  constructor(model, logger, release) {
    this.model = model;
    this.logger = logger;
    this.order = release === "newer" ? { updatedDate: -1 } : { date: -1 };
  }

  said(what, args) {
    this.logger.info(`BaseCRUD ${what} modelName=${this.model.modelName}`, args);
  }

  found(document) {
    if (!document) throw new Error(`${this.model.modelName} not found`);
    return toRow(document);
  }

  async create(dto) {
    this.said("create", { dto });
    return toRow(await this.model.create(dto));
  }

  async update(id, dto) {
    this.said("update", { id, dto });
    const fields = { ...dto };
    delete fields.id;
    return this.found(await this.model.findByIdAndUpdate(id, fields, { new: true, runValidators: true }));
  }

  async findById(id) {
    this.said("findById", { id });
    return this.found(await this.model.findById(id));
  }

  async findByFilter(filterData, sort) {
    this.said("findByFilter", { filterData, sort });
    const document = await this.model.findOne(filterData, null, { sort });
    return document ? toRow(document) : null;
  }

  async findAll(filterData = {}, limit = LIMIT) {
    this.said("findAll", { filterData });
    return (await this.model.find(filterData).sort(this.order).limit(limit)).map(toRow);
  }

  async *iterate(filterData = {}, sort) {
    this.said("iterate", { filterData, sort });
    for await (const document of this.model.find(filterData, null, { sort })) yield toRow(document);
  }

  async paginate(filterData, pagination, sort) {
    this.said("paginate", { filterData, pagination, sort });
    const { limit, offset } = pagination;
    const rows = (await this.model.find(filterData).sort(sort).skip(offset).limit(limit)).map(toRow);
    return { rows, total: await this.model.countDocuments(filterData) };
  }
}

module.exports = { OriginalCrud, toRow };

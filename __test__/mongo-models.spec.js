"use strict";

// BaseCRUD of a mongoose model: the original's calls on it, on the connection and with the schema that it has.

const { serial: test } = require("ava");
const { Mongoose, Schema } = require("mongoose");
const { loadFor, outcome, recorder, collect } = require("./support/addon.js");
const { freePort, startMongo } = require("./support/mongo.js");
const { OriginalCrud } = require("./support/original-mongo/base-crud.js");
const { startRedis } = require("./support/redis.js");

let mongo, redis;
test.before(async () => {
  [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
});
test.after.always(() => Promise.all([mongo, redis].map((server) => server && server.stop())));

const ORDERS = () =>
  new Schema(
    { symbol: { type: String, required: true, uppercase: true }, price: { type: Number, min: 0 }, tags: [String], note: Schema.Types.Mixed },
    { timestamps: { createdAt: "createDate", updatedAt: "updatedDate" } },
  );

/** The package, and an own copy of mongoose; nothing is connected yet. */
function scene(t, { database = "models", ...config } = {}) {
  const lib = loadFor(t, { CC_MONGO_CONNECTION_STRING: mongo.urlOf(database), CC_REDIS_URL: redis.url, ...config });
  const mongoose = new Mongoose();
  t.teardown(() => mongoose.disconnect());
  t.teardown(() => mongo.drop(database));
  return { lib, mongoose };
}

/** Rows without what differs between two runs. */
const comparable = (value) => JSON.parse(JSON.stringify(value, (name, one) => (["_id", "id", "createDate", "updatedDate"].includes(name) ? typeof one : one)));

test("each operation does on a model what the original does: results, errors, log calls", async (t) => {
  const { lib, mongoose } = scene(t);
  await mongoose.connect(mongo.urlOf("models"));
  const Order = mongoose.model("order", ORDERS());
  const logger = recorder();
  lib.setLogger(logger);
  const theirs = { logger: recorder() };
  theirs.crud = new OriginalCrud(Order, theirs.logger, "newer");
  const ours = new (lib.BaseCRUD(Order))();
  const runs = [];
  for (const crud of [theirs.crud, ours]) {
    await Order.deleteMany({});
    const results = [];
    const note = async (call) => results.push(await outcome(call()));
    let id;
    await note(async () => {
      const row = await crud.create({ symbol: "btc", price: "5", tags: ["a"], unknown: 1 });
      id = row.id;
      return row;
    });
    await note(() => crud.create({ price: 1 }));
    await note(() => crud.update(id, { $inc: { price: 2 }, $push: { tags: "b" }, "note.x": 1, id: "ignored" }));
    await note(() => crud.update(id, { price: -1 }));
    await note(() => crud.update("000000000000000000000000", { price: 1 }));
    await note(() => crud.findById(id));
    await note(() => crud.findById("000000000000000000000000"));
    await note(() => crud.findById("garbage"));
    for (const price of [1, 3, 2]) await note(() => crud.create({ symbol: "eth", price }));
    await note(() => crud.findByFilter({ symbol: "ETH" }, { price: -1 }));
    await note(() => crud.findByFilter({ symbol: "none" }));
    await note(() => crud.findByFilter());
    await note(async () => (await crud.findAll({ price: { $gte: "2" } })).map((row) => row.price).sort());
    await note(async () => (await crud.findAll({}, 2)).length);
    await note(() => collect(crud.iterate({ symbol: "ETH" }, { price: 1 })));
    await note(() => crud.paginate({ symbol: "ETH" }, { limit: 2, offset: 1 }, { price: 1 }));
    await note(() => crud.paginate({ symbol: "ETH" }, { limit: 2 }, { price: 1 }));
    runs.push(results.map(({ value, error }) => (error ? [error.name, error.message.replaceAll(id, "<id>")] : comparable(value))));
  }
  lib.setLogger(null);
  t.deepEqual(runs[1], runs[0]);
  const lines = (calls) => comparable(calls);
  t.deepEqual(lines(logger.calls), lines(theirs.logger.calls));
  t.true(runs[0].length > 15);
});

test("a row of a model is a plain object with the text of its id, whatever the id is", async (t) => {
  const { lib, mongoose } = scene(t);
  await mongoose.connect(mongo.urlOf("models"));
  const crud = new (lib.BaseCRUD(mongoose.model("named", new Schema({ _id: String, n: Number }))))();
  const row = await crud.create({ _id: "a", n: 1 });
  t.deepEqual([row.id, row._id, Object.getPrototypeOf(row)], ["a", "a", Object.prototype]);
  t.is((await crud.update("a", { n: 2 })).n, 2);
});

test("TargetModel is the model itself, in instances, subclasses, copies and with new", async (t) => {
  const { lib, mongoose } = scene(t);
  await mongoose.connect(mongo.urlOf("models"));
  const Order = mongoose.model("order", ORDERS());
  class Orders extends lib.BaseCRUD(Order) {
    async cheapest() {
      return super.findByFilter({}, { price: 1 });
    }
  }
  const orders = new Orders();
  const copy = Object.assign(Object.create(Orders.prototype), orders);
  for (const crud of [orders, copy, Object.setPrototypeOf({}, orders), new lib.BaseCRUD(Order)]) t.is(crud.TargetModel, Order);
  for (const price of [2, 1]) await orders.create({ symbol: "a", price });
  t.is((await copy.cheapest()).price, 1);
  const { findAll } = orders;
  t.is((await findAll()).length, 2);
  t.is(orders.loggerService, lib.ioc.loggerService);
});

test("a model that has the name of a collection runs on its own connection with its own schema, and the services beside it natively", async (t) => {
  const { lib, mongoose } = scene(t);
  t.teardown(() => mongo.drop("elsewhere"));
  const connection = await mongoose.createConnection(mongo.urlOf("elsewhere")).asPromise();
  t.teardown(() => connection.close());
  const Risk = connection.model("risk-items", new Schema({ riskName: String, level: Number }));
  const crud = new (lib.BaseCRUD(Risk))();
  const row = await crud.create({ riskName: "mine", level: 5 });
  t.is(row.level, 5);
  t.is(await mongo.count("risk-items", {}, "elsewhere"), 1);
  t.is(await mongo.count("risk-items", {}, "models"), 0);
  await lib.ioc.riskDbService.create({ riskName: "theirs", exchangeName: "e", when: 5 });
  t.is(await mongo.count("risk-items", {}, "elsewhere"), 1);
  t.deepEqual((await lib.ioc.riskDbService.findAll()).map((one) => one.riskName), ["theirs"]);
  t.deepEqual((await crud.findAll()).map((one) => one.riskName), ["mine"]);
});

test("the name of a collection, and a service's own TargetModel, run natively", async (t) => {
  const { lib } = scene(t);
  const { riskDbService } = lib.ioc;
  t.is(riskDbService.TargetModel.modelName, "risk-items");
  await riskDbService.create({ riskName: "r", exchangeName: "e", when: 5 });
  for (const target of ["risk-items", riskDbService.TargetModel]) {
    const before = lib.stats().mongo.requests;
    t.is((await new (lib.BaseCRUD(target))().findAll()).length, 1);
    t.is(lib.stats().mongo.requests, before + 1);
    t.is(new lib.BaseCRUD(target).TargetModel.modelName, "risk-items");
  }
});

test("mongoose's default connection, where nobody has opened it, is opened with our configuration and closed by close()", async (t) => {
  const { lib, mongoose } = scene(t, { database: "default-of-ours" });
  const crud = new (lib.BaseCRUD(mongoose.model("order", ORDERS())))();
  t.is(mongoose.connection.readyState, 0);
  await Promise.all([crud.create({ symbol: "a" }), crud.create({ symbol: "b" }), collect(crud.iterate())]);
  t.is(mongoose.connection.name, "default-of-ours");
  t.throws(() => lib.setConfig({ CC_MONGO_TIMEOUT_MS: 5000 }), { code: "INVALID_CONFIG" });
  const late = crud.create({ symbol: "c" });
  await new Promise((resolve) => setImmediate(resolve));
  await lib.close();
  t.is((await late).symbol, "C");
  t.is(mongoose.connection.readyState, 0);
  t.is((await crud.findAll()).length, 3);
  await mongoose.disconnect();
  t.is((await crud.findAll()).length, 3);
});

test("a connection that the project has opened is used as it is, and left open", async (t) => {
  const { lib, mongoose } = scene(t);
  t.teardown(() => mongo.drop("own-choice"));
  await mongoose.connect(mongo.urlOf("own-choice"));
  await new (lib.BaseCRUD(mongoose.model("order", ORDERS())))().create({ symbol: "a" });
  await lib.close();
  t.is(mongoose.connection.readyState, 1);
  t.is(await mongo.count("orders", {}, "own-choice"), 1);
});

test("a default connection that cannot be opened is MONGO_UNAVAILABLE at the deadline, with mongoose's reason, and tried anew", async (t) => {
  const port = await freePort();
  const uri = `mongodb://user:s3cret@127.0.0.1:${port}/models`;
  const { lib, mongoose } = scene(t, { CC_MONGO_CONNECTION_STRING: uri, CC_MONGO_TIMEOUT_MS: 300 });
  const crud = new (lib.BaseCRUD(mongoose.model("order", ORDERS())))();
  for (let i = 0; i < 2; i++) {
    const { error } = await outcome(crud.findAll());
    t.is(error?.code, "MONGO_UNAVAILABLE");
    t.regex(error.message, /ECONNREFUSED/);
    t.is(error.cause.name, "MongooseServerSelectionError");
    t.false(error.message.includes("s3cret"));
  }
  const other = scene(t, { CC_MONGO_CONNECTION_STRING: "mongodb://user:s3cret@127.0.0.1/models?loadBalanced=true&directConnection=true" });
  const { error } = await outcome(new (other.lib.BaseCRUD(other.mongoose.model("order", ORDERS())))().findAll());
  t.is(error?.code, "INVALID_CONFIG");
  t.false(`${error.message}${error.cause?.message}`.includes("s3cret"));
});

test("mongoose is left as it is: a model's required text may not be empty", async (t) => {
  const { lib, mongoose } = scene(t);
  await mongoose.connect(mongo.urlOf("models"));
  const crud = new (lib.BaseCRUD(mongoose.model("order", ORDERS())))();
  const { error } = await outcome(crud.create({ symbol: "" }));
  t.is(error?.name, "ValidationError");
  mongoose.Schema.Types.String.checkRequired((value) => value !== null && value !== undefined);
  t.teardown(() => mongoose.Schema.Types.String.checkRequired((value) => (value instanceof String || typeof value === "string") && value.length > 0));
  t.is((await crud.create({ symbol: "" })).symbol, "");
});

test("what is no model and no collection is refused by name", (t) => {
  const { lib } = scene(t);
  for (const target of ["orders", "", null, undefined, {}, { modelName: "orders" }, () => {}, class Order {}]) {
    t.is(t.throws(() => lib.BaseCRUD(target)).code, "INVALID_CONTEXT");
  }
});

// A project that used @backtest-kit/mongo, with only the name in its import changed, under a test runner that evaluates
// modules anew for each file.

import { BaseMap, close, getMongo, getRedis, health, setConfig, setLogger, setup, waitForInit } from "backtest-kit-native";
import mongoose from "mongoose";
import { freshLib, recorder, startRedis, type RedisServer } from "./support";

const kit = require("backtest-kit");
const { startMongo } = require("../support/mongo.js");

const own = { redis: undefined as unknown as RedisServer, mongo: undefined as any };

beforeAll(async () => {
  [own.redis, own.mongo] = await Promise.all([startRedis(), startMongo({ database: "backtest-kit" })]);
});

afterAll(async () => {
  await close();
  await Promise.all([own.redis.stop(), own.mongo.stop()]);
});

test("setup() makes it the kit's persistence: rows are written, read, and lie where getMongo() finds them", async () => {
  const logger = recorder();
  setLogger(logger);
  setConfig({ CC_REDIS_PORT: own.redis.port });
  setup({ CC_MONGO_CONNECTION_STRING: own.mongo.url });
  await waitForInit();
  expect(health().kit).toMatchObject([{ from: "require" }]);
  expect(health().kit[0].adapters.length).toBe(17);

  const when = new Date(1767225600000);
  const position = [["TRXUSDT:strategy", { minuteEstimatedTime: Infinity, openedAt: when, note: null }]];
  await kit.PersistRiskAdapter.writePositionData(position, "risk", "binance", when);
  expect(await kit.PersistRiskAdapter.readPositionData("risk", "binance", when)).toEqual(position);

  const { connection } = await getMongo();
  expect(connection).toBe(mongoose.connection);
  const row = await connection.collection("risk-items").findOne({ riskName: "risk" });
  expect(row?.positions).toEqual(position);
  expect(row?.when).toBe(when.getTime());
  const redis = getRedis();
  expect(await redis.get("risk_cache:binance:risk")).toBe(String(row?._id));
  expect(logger.calls.map(([, topic]) => topic)).toContain("riskDbService upsert");

  class PriceMap extends BaseMap("price", 60) {}
  await new PriceMap().set("TRXUSDT", 0.29);
  expect(await redis.get("price:TRXUSDT")).toBe("0.29");
});

test("rows are written and read by a copy that is loaded while timers are fake", async () => {
  jest.useFakeTimers();
  try {
    const copy = freshLib();
    copy.setConfig({ CC_REDIS_PORT: own.redis.port, CC_MONGO_CONNECTION_STRING: own.mongo.url });
    await copy.ioc.logDbService.upsert("loaded late", { a: 1 });
    expect((await copy.ioc.logDbService.findByEntryId("loaded late"))?.payload).toEqual({ a: 1 });
    await copy.close();
  } finally {
    jest.useRealTimers();
  }
});

test("errors of setup() belong to the realm of the test", () => {
  expect(() => setup({ CC_REDIS_PORT: "abc" })).toThrow(Error);
  expect(() => setup({ CC_MONGO_CONNECTION_STRING: "mongodb://127.0.0.1:1/elsewhere" })).toThrow(/elsewhere/);
});

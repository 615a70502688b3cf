// The golden cases (spec/*.json) through the public API, with keys and values as Redis sees them.

import * as lib from "backtest-kit-native";
import { collect, evaluate, freshLib, loadSpec, rawKeys, recorder, useRedis } from "./support";

// What is held here is which commands a call leads to; the near cache would answer some of them itself.
process.env.CC_NEAR_CACHE = "off";

const own = useRedis(() => lib);
beforeEach(async () => {
  await own.monitor.calls();
  own.monitor.clear();
});

const call = (service: string, method: string, args: unknown[]): Promise<unknown> =>
  (lib.ioc as any)[service][method](...args);

async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    (value) => `resolved with ${String(value)}`,
    (error: lib.BacktestKitError) => (error instanceof Error ? error.code : "not an Error"),
  );
}

/** Commands in upper case, without those of a handshake. */
async function commands(): Promise<string[][]> {
  return (await own.monitor.calls()).map(([name, ...args]) => [name.toUpperCase(), ...args]);
}

const keys = loadSpec("keys");
// What JSON cannot hold stands in lists of its own, as JavaScript.
const expressionReads = keys.expressionReads.map((one: any) => ({ ...one, args: evaluate(one.args) }));
const expressionRows = keys.expressionRows.map((one: any) => ({ ...one, row: evaluate(one.row) }));

describe("keys.json: calls", () => {
  for (const one of [...keys.reads, ...expressionReads.filter((read: any) => read.itemKeys)]) {
    test(one.name, async () => {
      const { args } = one;
      expect(await call(one.service, `has${one.noun}Id`, args)).toBe(false);
      expect(await call(one.service, `get${one.noun}Id`, args)).toBeNull();
      expect(await commands()).toEqual([
        ["EXISTS", ...one.itemKeys],
        [one.itemKeys.length > 1 ? "MGET" : "GET", ...one.itemKeys],
      ]);
      // The last key first, so that each further one must win over those after it.
      for (const key of [...one.itemKeys].reverse()) {
        await own.server.command("SET", key, `id of ${key}`);
        expect(await call(one.service, `has${one.noun}Id`, args)).toBe(true);
        expect(await call(one.service, `get${one.noun}Id`, args)).toBe(`id of ${key}`);
      }
    });
  }
});

describe("keys.json: rows", () => {
  for (const one of [...keys.rows, ...expressionRows.filter((row: any) => row.itemKey)]) {
    test(one.name, async () => {
      expect(await call(one.service, `set${one.noun}Id`, [one.row])).toBe(one.id);
      expect(await rawKeys(own.server)).toEqual({ [one.itemKey]: one.id });
      expect(await own.server.command("TTL", one.itemKey)).toBe(-1);
    });
  }
});

describe("keys.json: refused calls", () => {
  for (const one of [...keys.refusedReads, ...expressionReads.filter((read: any) => read.code)]) {
    test(one.name, async () => {
      expect(await codeOf(call(one.service, `has${one.noun}Id`, one.args))).toBe(one.code);
      expect(await codeOf(call(one.service, `get${one.noun}Id`, one.args))).toBe(one.code);
      expect(await commands()).toEqual([]);
    });
  }
});

describe("keys.json: refused rows", () => {
  for (const one of [...keys.refusedRows, ...expressionRows.filter((row: any) => row.code)]) {
    test(one.name, async () => {
      expect(await codeOf(call(one.service, `set${one.noun}Id`, [one.row]))).toBe(one.code);
      expect(await commands()).toEqual([]);
    });
  }
});

describe("values.json", () => {
  for (const one of loadSpec("values").cases) {
    test(one.name, async () => {
      const map = new lib.BaseMap("values", -1);
      if (one.code) {
        expect(await codeOf(map.set("k", evaluate(one.js)))).toBe(one.code);
        expect(await commands()).toEqual([]);
        return;
      }
      await map.set("k", evaluate(one.js));
      const bytes: Buffer = await own.server.command("GET", "values:k");
      expect(bytes.toString("hex")).toBe(one.hex ?? Buffer.from(one.text).toString("hex"));
      expect(await map.get("k")).toBe(one.get ?? one.text);
    });
  }
});

describe("logs.json", () => {
  for (const one of loadSpec("logs").cases) {
    test(one.name, async () => {
      const logger = recorder();
      lib.setLogger(logger);
      const target = one.on === "map" ? new lib.BaseMap("logs", -1) : (lib.ioc as any)[one.on];
      const result = (target as any)[one.method](...one.args);
      if (one.generator) {
        expect(logger.calls).toEqual([]);
        await collect(result);
      } else if (one.code) {
        expect(await codeOf(result)).toBe(one.code);
      } else {
        await result;
      }
      expect(logger.calls).toEqual(one.logs);
    });
  }
});

describe("ttl.json", () => {
  for (const one of loadSpec("ttl").cases) {
    test(one.name, async () => {
      const args = one.omitted ? [] : [one.js === undefined ? one.ttl : evaluate(one.js)];
      const BaseMap = lib.BaseMap as any;
      if (one.code) {
        for (const make of [() => BaseMap("ttl", ...args), () => new BaseMap("ttl", ...args)]) {
          let error: unknown = null;
          try {
            make();
          } catch (thrown) {
            error = thrown;
          }
          expect(error).toBeInstanceOf(RangeError);
          expect((error as lib.BacktestKitError).code).toBe(one.code);
        }
        return;
      }
      await new (BaseMap("ttl", ...args))().set("k", "v");
      const left: number = await own.server.command("TTL", "ttl:k");
      // A second may have passed between the two commands.
      if (one.seconds === null) expect(left).toBe(-1);
      else expect([one.seconds, one.seconds - 1]).toContain(left);
    });
  }
});

describe("glob.json", () => {
  for (const one of loadSpec("glob").cases) {
    test(one.name, async () => {
      const map = new lib.BaseMap(one.connectionKey, -1);
      for (const key of one.own) await own.server.command("SET", `${one.connectionKey}:${key}`, "own");
      for (const key of one.foreign) await own.server.command("SET", key, "foreign");
      expect((await collect(map.keys())).sort()).toEqual([...one.own].sort());
      expect(await map.size()).toBe(one.own.length);
      expect((await map.toArray()).map(([, value]) => value)).toEqual(one.own.map(() => "own"));
      await map.clear();
      expect(Object.keys(await rawKeys(own.server))).toEqual([...one.foreign].sort());
      const scans = (await commands()).filter(([name]) => name === "SCAN");
      expect(scans).not.toEqual([]);
      for (const scan of scans) expect(scan[scan.indexOf("MATCH") + 1]).toBe(one.match);
    });
  }
});

describe("config.json", () => {
  const before = { ...process.env };
  afterAll(() => {
    process.env = before;
  });
  for (const one of loadSpec("config").cases) {
    test(one.name, async () => {
      process.env = { ...one.variables };
      const fresh = freshLib();
      if (one.code) {
        const error = await fresh.ioc.signalCacheService.size().catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(Error);
        expect((error as lib.BacktestKitError).code).toBe(one.code);
        expect((error as Error).message.startsWith(one.variable)).toBe(true);
      } else {
        expect(fresh.getConfig()).toMatchObject(one.shown ?? {});
      }
      await fresh.close();
    });
  }
});

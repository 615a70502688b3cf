// What the spec files share: a Redis of their own, golden cases, the package loaded once more.

import type * as Native from "backtest-kit-native";

export type Lib = typeof Native;

export interface Monitor {
  readonly commands: string[][];
  /** The commands so far, without those of a handshake. */
  calls(): Promise<string[][]>;
  clear(): void;
  stop(): Promise<string[][]>;
}

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  readonly env: Record<string, string>;
  command(...args: (string | number | Buffer)[]): Promise<any>;
  monitor(): Promise<Monitor>;
  kill(signal?: string): Promise<void>;
  restart(): Promise<RedisServer>;
  stop(): Promise<void>;
}

const harness = require("../../support/redis.js") as {
  startRedis(options?: { args?: string[]; password?: string }): Promise<RedisServer>;
};
const spec = require("../../support/spec.js") as {
  loadSpec(name: string): any;
  evaluate(expression: string): any;
};

export const { startRedis } = harness;
export const { loadSpec, evaluate } = spec;

/** A server for the file, empty before each test. The package finds it through the environment on its first call. */
export function useRedis(lib: () => Lib): { server: RedisServer; monitor: Monitor } {
  const own = { server: undefined as unknown as RedisServer, monitor: undefined as unknown as Monitor };
  beforeAll(async () => {
    own.server = await startRedis();
    own.monitor = await own.server.monitor();
    Object.assign(process.env, own.server.env);
  });
  beforeEach(async () => {
    await own.server.command("FLUSHALL");
  });
  afterAll(async () => {
    await lib().close();
    await own.monitor.stop();
    await own.server.stop();
  });
  return own;
}

/** The package evaluated anew, as jest does for every test file: its own settings and its own connection. */
export function freshLib(): Lib {
  let lib: Lib | undefined;
  jest.isolateModules(() => {
    lib = require("backtest-kit-native");
  });
  return lib!;
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** All keys with their values, as Redis holds them. */
export async function rawKeys(server: RedisServer): Promise<Record<string, string>> {
  const keys = ((await server.command("KEYS", "*")) as Buffer[]).map(String).sort();
  const entries: [string, string][] = [];
  for (const key of keys) entries.push([key, String(await server.command("GET", key))]);
  return Object.fromEntries(entries);
}

/** A logger that keeps what it is told. */
export function recorder(): Native.ILogger & { calls: unknown[][] } {
  const calls: unknown[][] = [];
  const keep =
    (level: string) =>
    (...args: unknown[]): void =>
      void calls.push([level, ...args]);
  return { calls, log: keep("log"), debug: keep("debug"), info: keep("info"), warn: keep("warn") };
}

// The few globals of jest that are used here; @types/jest would be one more dependency for four names.

interface Matchers {
  not: Matchers;
  resolves: Matchers;
  rejects: Matchers;
  toBe(expected: unknown): any;
  toEqual(expected: unknown): any;
  toStrictEqual(expected: unknown): any;
  toMatchObject(expected: object): any;
  toBeInstanceOf(expected: unknown): any;
  toBeNull(): any;
  toContain(expected: unknown): any;
  toHaveLength(expected: number): any;
  toBeGreaterThan(expected: number): any;
  toBeGreaterThanOrEqual(expected: number): any;
  toBeLessThan(expected: number): any;
  toMatch(expected: RegExp | string): any;
  toThrow(expected?: unknown): any;
}

declare const expect: ((value: unknown) => Matchers) & { any(type: unknown): any; arrayContaining(items: unknown[]): any };
declare function describe(name: string, body: () => void): void;
declare function beforeAll(body: () => Promise<void> | void): void;
declare function afterAll(body: () => Promise<void> | void): void;
declare function beforeEach(body: () => Promise<void> | void): void;
declare function afterEach(body: () => Promise<void> | void): void;
declare const test: (name: string, body: () => Promise<void> | void) => void;
declare const jest: {
  isolateModules(body: () => void): void;
  useFakeTimers(options?: object): void;
  useRealTimers(): void;
  resetModules(): void;
};

import { BaseMap } from "backtest-kit-native";

export interface Position {
  symbol: string;
  side: "long" | "short";
  priceOpen: number;
}

/** Open positions as JSON; overrides what it reads and writes, and leaves the rest to the map. */
export class PositionCacheService extends BaseMap("position_cache", -1) {
  public reads = 0;

  public override async get(key: string | null): Promise<Position | null> {
    this.reads += 1;
    const text = await super.get(key);
    return text === null ? null : (JSON.parse(text as string) as Position);
  }

  public override async set(key: string, value: Position): Promise<void> {
    await super.set(key, JSON.stringify(value));
  }

  public override async has(key: string): Promise<boolean> {
    return (await super.has(key)) && (await this.get(key)) !== null;
  }

  public async close(key: string): Promise<void> {
    await super.delete(key);
  }

  public async symbols(): Promise<string[]> {
    const symbols: string[] = [];
    for await (const key of this.keys()) symbols.push(key);
    return symbols.sort();
  }
}

export default PositionCacheService;

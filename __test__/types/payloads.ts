// A project that says what it stores. An augmentation holds for a whole program, so this has a tsconfig of its own.

import { ioc, PersistRiskInstance, PersistSignalInstance, PersistStorageInstance } from "backtest-kit-native";
import type { PayloadOf, SignalDbRow } from "backtest-kit-native";
import { expectType } from "./expect.js";

interface Signal {
  id: string;
  priceOpen: number;
}

declare module "backtest-kit-native" {
  interface Payloads {
    signal: Signal;
    risk: [key: string, position: { price: number }][];
    storage: Signal;
    measure: { value: number; removed: boolean };
  }
}

export async function rows(signal: Signal, when: Date): Promise<void> {
  await ioc.signalDbService.upsert("S", "st", "ex", signal);
  // The kit says by null that there is no signal.
  await ioc.signalDbService.upsert("S", "st", "ex", null);
  // @ts-expect-error priceOpen is missing
  await ioc.signalDbService.upsert("S", "st", "ex", { id: "1" });
  const row: SignalDbRow | null = await ioc.signalDbService.findByContext("S", "st", "ex");
  expectType<Signal | null | undefined>()(row?.payload);
  // @ts-expect-error it may be null
  void row!.payload.priceOpen;
  await ioc.riskDbService.upsert("risk", "ex", [["k", { price: 1 }]], when);
  // @ts-expect-error positions are pairs
  await ioc.riskDbService.upsert("risk", "ex", [{ price: 1 }], when);
  expectType<number | undefined>()((await ioc.measureDbService.findByKey("b", "k"))?.payload.value);
  expectType<Signal[]>()((await ioc.storageDbService.listByMode(true)).map((one) => one.payload));
  // What the project says nothing of stays open.
  expectType<any>()((await ioc.stateDbService.findAll())[0]!.payload);
  expectType<Signal>()(signal satisfies PayloadOf<"signal">);
}

export async function adapters(): Promise<void> {
  const signals = new PersistSignalInstance("S", "st", "ex");
  expectType<Signal | null>()(await signals.readSignalData());
  await signals.writeSignalData(null);
  // @ts-expect-error no signal
  await signals.writeSignalData({ position: "long" });
  expectType<[key: string, position: { price: number }][]>()(await new PersistRiskInstance("risk", "ex").readPositionData(new Date()));
  expectType<Signal[]>()(await new PersistStorageInstance(true).readStorageData());
}

"use strict";
// The copies of backtest-kit in this process, and which of them have our adapters.
//
// The kit ships two builds, for `require` and for `import`, each with registries of its own, and its command-line tool
// brings a copy along. Adapters that are registered with a copy that nobody runs are of no effect, and nobody is told. So
// they go to every copy that can be seen.

const { fileURLToPath } = require("node:url");

const { makeError } = require("./errors.js");
const { packageOf, required } = require("./project.js");

/** The kit's names: the one it has, and the one it was renamed to. */
const NAMES = ["backtest-kit", "tradeforge"];
/** A module that exports one of these names is a kit. */
const MARKS = ["Candle", "Signal", "Storage", "Log"].map((noun) => `Persist${noun}Adapter`);
const HOW = 'npm install backtest-kit, or pass the copy that runs: install(kit), after import * as kit from "backtest-kit"';

/** Copies that were imported. */
const imported = [];
/** The first copy that is there and could not be imported: `{ name, error }`. */
let failure = null;
/** Whether somebody has required this package. */
let isRequired = false;
/** The copies that the last install() has registered with. */
let registered = [];

/** A copy of the kit that was imported from `url`. */
function offer(kit, url) {
  imported.push({ kit, file: url?.startsWith("file:") ? fileURLToPath(url) : null });
}

/** A copy that is there and could not be imported; install() says so. */
function refuse(name, error) {
  failure ??= { name, error };
}

/** This package was required, so the copy of the kit that `require` finds may be the one that runs. */
function requireIt() {
  isRequired = true;
}

/** The adapters of a kit by the nouns of their names. */
function adaptersOf(kit) {
  const found = new Map();
  if ((typeof kit === "object" && kit !== null) || typeof kit === "function") {
    for (const name of Object.getOwnPropertyNames(kit)) {
      const noun = /^Persist(\w+)Adapter$/.exec(name)?.[1];
      if (noun !== undefined && typeof kit[name]?.[`usePersist${noun}Adapter`] === "function") {
        found.set(noun, kit[name]);
      }
    }
  }
  return found;
}

/** What an object is as a kit, itself or as the default of a namespace; null where it is none. */
function copyOf(object, from, file = null) {
  for (const kit of [object, object?.default]) {
    const adapters = adaptersOf(kit);
    if (adapters.size > 0) {
      return { kit, from, file, adapters };
    }
  }
  return null;
}

/**
 * The modules of `require.cache` that are a kit, its own ones first: others may export the same adapters once more. There
 * are thousands, so only those are looked at that have an adapter's name.
 */
function loaded() {
  const found = [];
  for (const [file, module] of Object.entries(require.cache)) {
    try {
      const { exports: exported } = module;
      if (typeof exported === "object" && exported !== null && MARKS.some((name) => Object.hasOwn(exported, name))) {
        found.push(copyOf(exported, "require", file));
      }
    } catch {
      // A module whose properties cannot be read, because of a proxy or a getter, is no kit.
    }
  }
  const isOwn = (copy) => NAMES.includes(packageOf(copy.file)?.name);
  return found.filter((copy) => copy !== null).sort((a, b) => Number(isOwn(b)) - Number(isOwn(a)));
}

/** The copies that `require` finds. */
function requireThem() {
  return NAMES.flatMap((name) => {
    try {
      return [...required(name)].map(({ exports: exported, file }) => copyOf(exported, "require", file));
    } catch (error) {
      throw broken(name, error);
    }
  });
}

function broken(name, error) {
  const why = error instanceof Error ? error.message : String(error);
  return makeError("KIT_UNUSABLE", "Error", `${name} is installed and cannot be loaded: ${why}`, error);
}

/** Each copy once: two names for one (a global, a module) have the same adapters. */
function distinct(copies) {
  const byAdapter = new Map();
  const all = new Set();
  for (const copy of copies.filter((one) => one !== null)) {
    const adapters = [...copy.adapters.values()];
    const known = byAdapter.get(adapters.find((adapter) => byAdapter.has(adapter)));
    if (known !== undefined) {
      known.file ??= copy.file;
    } else {
      all.add(copy);
      adapters.forEach((adapter) => byAdapter.set(adapter, copy));
    }
  }
  return [...all];
}

/** Every copy that can be seen. */
function visible() {
  if (failure !== null) {
    throw broken(failure.name, failure.error);
  }
  const copies = distinct([
    copyOf(globalThis.BacktestKit, "global"),
    ...imported.map(({ kit, file }) => copyOf(kit, "import", file)),
    ...(isRequired ? requireThem() : []),
    ...loaded(),
  ]);
  if (copies.length === 0) {
    throw makeError("KIT_NOT_FOUND", "Error", `neither ${NAMES.join(" nor ")} is there: ${HOW}`);
  }
  return copies;
}

/** The copy that somebody hands over. */
function given(kit) {
  let copy = null;
  try {
    copy = copyOf(kit, "argument");
  } catch (error) {
    throw makeError("KIT_UNUSABLE", "TypeError", "install: reading the kit failed", error);
  }
  if (copy === null) {
    throw makeError("KIT_UNUSABLE", "TypeError", `install: this is no kit, because it has no Persist…Adapter; ${HOW}`);
  }
  const others = [...imported.map((one) => copyOf(one.kit, "import", one.file)), ...loaded()];
  return distinct([copy, ...others])[0];
}

/**
 * Registers a class with each adapter of these copies that has one, by its noun. Returns the nouns of adapters that stay
 * as they are.
 */
function register(copies, classOf) {
  const others = new Set();
  for (const { adapters } of copies) {
    for (const [noun, adapter] of adapters) {
      const Class = classOf(noun);
      if (Class === undefined) {
        others.add(noun);
      } else {
        adapter[`usePersist${noun}Adapter`](Class);
      }
    }
  }
  registered = copies.map((copy) => ({ ...copy, ours: [...copy.adapters.keys()].filter((noun) => classOf(noun) !== undefined) }));
  return [...others];
}

/** The copies with our adapters, for health(). */
function seen() {
  return registered.map(({ from, file, ours }) => {
    const { name = null, version = null } = (file === null ? null : packageOf(file)) ?? {};
    return { name, version, from, adapters: ours };
  });
}

/** The largest value that a variable of the kits has; 0 where none says. */
function setting(name) {
  const values = registered.map(({ kit }) => {
    try {
      return Number(kit.getConfig()[name]);
    } catch {
      return 0;
    }
  });
  return Math.max(0, ...values.filter(Number.isFinite));
}

module.exports = { NAMES, given, offer, refuse, register, requireIt, seen, setting, visible };

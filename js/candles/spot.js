"use strict";
// Windows of the embedded store, read on the spot: a block is a call of some microseconds, and no promise waits for it.

const { Columns, ID, NUMBERS } = require("./columns.js");
const { BLOCK, stretches } = require("./grid.js");
const { Block } = require("./block.js");
const { native } = require("../engine.js");

const { engine } = native;

/** Bytes of a block as src/store/columns.rs fills it, without and with ids and dates. */
const PLAIN = BLOCK / 8 + NUMBERS.length * BLOCK * 8;
const WHOLE = PLAIN + BLOCK * (2 * 8 + ID);
/** A window of which more blocks must be read is a request, because the loop must not wait for so much. */
const MOST = 64;

/** Reads a block; null where the store must be asked by a request: something waits there, or there are rows beside the block. */
function readBlock({ symbol, interval, exchangeName }, index, rows) {
  const buffer = new ArrayBuffer(rows ? WHOLE : PLAIN);
  return engine.storeBlock(symbol, interval, exchangeName, index, rows, Buffer.from(buffer)) === null ? null : buffer;
}

/** Copies a window into its columns. How many candles were there; null as above. */
function copyColumns({ symbol, interval, exchangeName }, first, limit, columns) {
  const memory = NUMBERS.map((name) => Buffer.from(columns[name].buffer));
  return engine.storeColumns(symbol, interval, exchangeName, first, limit, ...memory);
}

/**
 * The blocks of a window, by their index; null where one of them cannot be read on the spot. What the cache holds is taken from
 * there, what is read is remembered, unless `cache` is null.
 */
function blocksOf(cache, names, first, limit, rows) {
  const [blocks, missing] = [new Map(), []];
  const series = cache?.find(names.symbol, names.interval, names.exchangeName);
  const isLarge = stretches(first, limit, (index, from, to) => {
    const held = series?.blocks.get(index);
    if (held !== undefined && held.holds(from, to, rows) && !held.isOdd(from, to, rows)) {
      blocks.set(index, held);
    } else {
      // What it has of rows is not lost.
      missing.push({ index, whole: rows || held?.hasRows === true });
    }
    return missing.length > MOST;
  });
  if (isLarge) {
    return null;
  }
  for (const { index, whole } of missing) {
    const buffer = readBlock(names, index, whole);
    if (buffer === null) {
      return null;
    }
    if (cache === null) {
      const block = new Block(null, index);
      block.adopt(buffer, whole);
      blocks.set(index, block);
    } else {
      cache.counters.queries++;
      blocks.set(index, cache.replace(cache.open(names.symbol, names.interval, names.exchangeName), index, buffer, whole));
    }
  }
  return blocks;
}

/** The columns of a window of which something is missing. */
function partOf(blocks, first, limit, rows) {
  const columns = new Columns(limit);
  stretches(first, limit, (index, from, to) => columns.copy(index * BLOCK + from - first, blocks.get(index), from, to, rows));
  return columns;
}

module.exports = { MOST, blocksOf, copyColumns, partOf };

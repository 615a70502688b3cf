"use strict";
// The rows of a query that come page by page, from a cursor that the server keeps meanwhile.

const { native } = require("./engine.js");
const { OPS, PAGE, ask, rowsOf } = require("./mongo.js");

/** Lets a cursor go. Nobody waits for the answer; close() has ended all cursors, and asking would open a new connection. */
function forget({ number, cursor }) {
  if (native.engine.mongoIsOpen()) {
    ask(OPS.close, number, { cursor }).catch(() => {});
  }
}

/** Cursors whose iterator was dropped in the middle are let go when it is collected. */
const dropped = new FinalizationRegistry(forget);

class RowCursor {
  /** `number` is the collection's place in the table, `query` is what `Op::Open` in src/mongo/wire.rs takes. */
  constructor(number, query) {
    this.number = number;
    this.query = query;
    /** What the engine knows it by, once there is more than one page. */
    this.cursor = null;
    this.over = false;
  }

  /** The rows of the next page; null at the end. */
  async page() {
    if (this.over) {
      return null;
    }
    const { number, cursor, query } = this;
    // A page that fails is the last.
    this.over = true;
    const page = await (cursor === null ? ask(OPS.open, number, query) : ask(OPS.next, number, { cursor }));
    this.over = page.kind !== PAGE;
    if (this.over) {
      dropped.unregister(this);
      this.cursor = null;
    } else if (cursor === null) {
      this.cursor = page.call;
      dropped.register(this, { number, cursor: page.call }, this);
    }
    return rowsOf(page);
  }

  /** Lets the rest go. */
  close() {
    if (this.cursor !== null) {
      dropped.unregister(this);
      forget(this);
      this.cursor = null;
    }
    this.over = true;
  }
}

module.exports = { RowCursor };

"use strict";
// The rows of a query that come page by page, from a cursor that the server keeps meanwhile.

const { native } = require("./engine.js");
const { OPS, PAGE, ask, rowsOf } = require("./mongo.js");

/** Closes a cursor, without waiting for the answer. After close() there is none any more, and asking would open a new connection. */
function forget({ number, cursor }) {
  if (native.engine.mongoIsOpen()) {
    ask(OPS.close, number, { cursor }).catch(() => {});
  }
}

/** A cursor whose iterator was dropped in the middle is closed when the iterator is collected. */
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

  /** Closes the cursor. */
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

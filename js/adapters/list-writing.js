"use strict";
// One call that writes a list: which of its entries go out, and when.

const { afterwards, pushAhead } = require("../mongo.js");
const { copyOf } = require("./order.js");
const { Known, idOf } = require("./remembered.js");

/** So many entries are compared before anything is sent; of longer lists, what is surely to be sent goes first. */
const AT_ONCE = 32;

const allSucceeded = (outcomes) => outcomes.every(({ status }) => status === "fulfilled");

class ListWriting {
  /** `upsert(id, entry, row)` writes one entry; `final`: an entry never changes. */
  constructor(list, objects, final, upsert) {
    this.list = list;
    this.objects = objects;
    this.final = final;
    this.upsert = upsert;
    this.call = ++list.calls;
    /** Whether earlier calls are still writing. */
    this.follows = list.writing.size > 0;
    /** What is known of each object. */
    this.entries = new Array(objects.length);
    /** What goes out: new, or known otherwise. By place. */
    this.surely = new Map();
    /** Places of objects that were as they are known when they were last compared. */
    this.doubtful = [];
    /** An object that is known has another id than it had. */
    this.renamed = false;
    /** What the call waits for. */
    this.waits = new Set();
  }

  /**
   * Looks each object up; false where an id comes twice, and nothing has changed then. Lists slide, so an object is first looked
   * for behind the one before it, where it was in the last list.
   */
  sort() {
    const { list, objects } = this;
    const { objects: before, entries: beside } = list;
    const seen = new Uint8Array(before.length);
    const added = new Set();
    let next = 0;
    for (let place = 0; place < objects.length; place++) {
      const object = objects[place];
      if (next >= before.length || before[next] !== object) {
        const id = idOf(object);
        const one = list.known.get(id);
        if (one === undefined) {
          if (added.has(id)) {
            return false;
          }
          added.add(id);
          this.add(place, undefined);
          continue;
        }
        next = one.place;
      }
      if (seen[next] === 1) {
        return false;
      }
      seen[next] = 1;
      this.entries[place] = beside[next];
      this.take(place, before[next] === object);
      next++;
    }
    this.forget(seen);
    return true;
  }

  /** An object whose id is known; whether it is the very one that was handed over before. */
  take(place, same) {
    if (this.final) {
      this.leave(this.entries[place]);
    } else if (same) {
      this.doubtful.push(place);
    } else {
      this.compare(place);
    }
  }

  compare(place) {
    const object = this.objects[place];
    const one = this.entries[place];
    if (one.fits(object)) {
      this.leave(one);
    } else if (idOf(object) === one.id) {
      this.add(place, one.row);
    } else {
      this.renamed = true;
    }
  }

  /** Notes an entry that goes out. */
  add(place, row) {
    const object = this.objects[place];
    const one = new Known(idOf(object), object, this.final, row);
    this.entries[place] = one;
    this.surely.set(place, one);
  }

  /** Leaves an entry out. If an earlier call is still writing it, that one's outcome is ours. */
  leave(one) {
    const { writing } = this.list;
    if (this.follows && writing.has(one.id)) {
      this.waits.add(writing.get(one.id));
    }
  }

  /** Forgets what was in the last list and is not in this one. */
  forget(seen) {
    const { known, entries } = this.list;
    for (let place = seen.indexOf(0); place >= 0; place = seen.indexOf(0, place + 1)) {
      const one = entries[place];
      if (known.get(one.id) === one) {
        known.delete(one.id);
      }
    }
  }

  /** Writes what was noted, in one tick and so in one command: at once, or when what is under way of the same ids is through. */
  send() {
    const { list, surely, waits } = this;
    const { writing } = list;
    const before = [...surely.values()].map((one) => writing.get(one.id)).filter((write) => write !== undefined);
    const through = before.length === 0 ? null : Promise.allSettled(before).then(allSucceeded);
    for (const [place, one] of surely) {
      const { id, row } = one;
      const object = this.objects[place];
      one.place = place;
      list.known.set(id, one);
      const kept = through === null ? object : copyOf(object);
      const write = through === null ? this.upsert(id, object, row) : afterwards(through, () => this.upsert(id, kept, row));
      writing.set(id, write);
      waits.add(write);
      const end = () => {
        if (writing.get(id) === write) {
          writing.delete(id);
        }
      };
      write.then(end, () => {
        end();
        list.lose(one);
      });
    }
    surely.clear();
    return through === null;
  }

  /** The same list, given anew. */
  again(objects) {
    return new ListWriting(this.list, objects, this.final, this.upsert).run();
  }

  /** Resolves or rejects when all that it waits for has: with the first failure in the order of the list. */
  async run() {
    const { list, objects } = this;
    if (!this.sort()) {
      list.loseRenamed();
      // The last one of an id counts.
      return this.again([...new Map(objects.map((object) => [idOf(object), object])).values()]);
    }
    if (this.surely.size > 0 && this.doubtful.length > AT_ONCE && this.send()) {
      // The server works on it while the others are compared.
      pushAhead();
    }
    list.turnTo(objects, this.entries, this.call);
    this.doubtful.forEach((place) => this.compare(place));
    this.send();
    if (this.renamed) {
      const given = [...objects];
      list.loseRenamed();
      this.waits.add(this.again(given));
    }
    const failed = (await Promise.allSettled(this.waits)).find(({ status }) => status === "rejected");
    if (failed !== undefined) {
      throw failed.reason;
    }
  }
}

/**
 * Writes a list; the arguments are those of `ListWriting`. User code may be called meanwhile, a logger or a getter, and may write the
 * same list: that call comes behind, with what it was given, and so do those that are made before it is through.
 */
function writeList(list, objects, final, upsert) {
  const { order } = list;
  const write = (given) => {
    order.isAtWork = true;
    try {
      // What is sent only after this has returned is in `writing` by then, so who is called by it waits for it.
      return new ListWriting(list, given, final, upsert).run();
    } finally {
      order.isAtWork = false;
    }
  };
  const { last } = order.behind;
  if (!order.isAtWork && last === null) {
    return write(objects);
  }
  return order.behind.take(last, () => {
    const kept = objects.map(copyOf);
    return afterwards(last ?? Promise.resolve(true), () => write(kept));
  });
}

module.exports = { writeList };

"use strict";
// Whether an object is as it was, told without encoding it.
//
// The kit hands over whole lists, of which one entry has changed. To encode five hundred costs milliseconds; to walk through
// them beside a picture of each, taken when it was last written or read, a fraction of that. Only what is plain data throughout
// has a picture: of anything else a hash of its bytes is kept.
//
// Most of a walk's time goes by until memory has answered, because between two events a list leaves the processor's cache. So a
// picture is small: its keys lie in a layout, which it has in common with the pictures of all objects that have the same ones,
// its numbers side by side in one place, and everything else in another.

const { sameOf } = require("./straight.js");

/** Kinds of places in a layout that hold no value: where an object or a list begins, and where one ends. */
const [OBJECT, LIST, END] = [-1, -2, -3];
/** Places of values hold where the value lies: of numbers the index, of everything else this number less the index. */
const OTHERS = -4;
const KINDS = { OBJECT, LIST, END, OTHERS };
/** After so many comparisons a layout gets code of its own. */
const OFTEN = 2_000;
/** So many layouts are looked through for one that is there already, those that were asked for last. */
const LAYOUTS = 64;

/** What a comparison comes to: UNSURE, where only the bytes can tell. */
const [SAME, DIFFERENT, UNSURE] = [0, 1, 2];

/** Undefined within values is stored as null. */
const asStored = (value) => (value === undefined ? null : value);

/** Whether a value is left out of what is stored, or nobody knows what it is stored as. */
const isOdd = (value) => typeof value === "function" || typeof value === "symbol" || typeof value === "bigint";

const isPlainPrototype = (prototype) => prototype === Object.prototype || prototype === null;

/** Neither an instance of a class nor something that has its own way into BSON. */
function isPlain(object) {
  return isPlainPrototype(Object.getPrototypeOf(object)) && object.toBSON === undefined && object._bsontype === undefined;
}

/** The keys and values of a plain object, in their order. */
class Picture {
  constructor() {
    /** Of each place its key, null in a list and at an end, and its kind or where its value lies. */
    this.keys = [];
    this.places = [];
    this.numbers = [];
    this.others = [];
  }

  place(key, kind) {
    this.keys.push(key);
    this.places.push(kind);
  }

  /** What is in an object, up to its end; false where something is not plain. */
  draw(object) {
    if (!isPlain(object)) {
      return false;
    }
    for (const key in object) {
      if (!this.drawValue(key, object[key])) {
        return false;
      }
    }
    this.place(null, END);
    return true;
  }

  drawValue(key, value) {
    if (typeof value === "number") {
      this.place(key, this.numbers.length);
      this.numbers.push(value);
      return true;
    }
    if (typeof value !== "object" || value === null) {
      this.place(key, OTHERS - this.others.length);
      this.others.push(asStored(value));
      return !isOdd(value);
    }
    if (!Array.isArray(value)) {
      this.place(key, OBJECT);
      return this.draw(value);
    }
    this.place(key, LIST);
    return this.drawList(value);
  }

  drawList(list) {
    if (list.toBSON !== undefined) {
      return false;
    }
    for (const item of list) {
      if (!this.drawValue(null, item)) {
        return false;
      }
    }
    this.place(null, END);
    return true;
  }
}

/** Layouts, the one that was asked for last at the end. */
const layouts = [];

const hasThat = (list, other) => list.length === other.length && list.every((item, at) => item === other[at]);

/** The layout with these keys and places: one for all that have the same. */
function layoutOf(keys, places) {
  const found = layouts.findLastIndex((one) => hasThat(one.places, places) && hasThat(one.keys, keys));
  if (found === layouts.length - 1 && found >= 0) {
    return layouts[found];
  }
  const layout = found < 0 ? { keys, places, compared: 0, same: null } : layouts.splice(found, 1)[0];
  layouts.push(layout);
  if (layouts.length > LAYOUTS) {
    layouts.shift();
  }
  return layout;
}

/** The picture of an object, or null where it has none. */
function pictureOf(object) {
  const picture = new Picture();
  try {
    if (!picture.draw(object)) {
      return null;
    }
  } catch {
    // A getter that throws, or an end that is not reached: its encoding will tell.
    return null;
  }
  const { keys, places, numbers, others } = picture;
  return { layout: layoutOf(keys, places), numbers: Float64Array.from(numbers), others };
}

/** Whether the difference that was found is one of the bytes too. */
let sure = false;

// Compared are five hundred objects for each event. So each kind of value has its own line: V8 compares two numbers, or two
// texts, in a third of the time that it takes for any two values.

/** The place behind an object in a picture, whose first key is at `at`; -1 where they differ. */
function placeAfter(object, picture, at) {
  if (!isPlain(object)) {
    return -1;
  }
  const { layout, numbers, others } = picture;
  const { keys, places } = layout;
  for (const key in object) {
    const value = object[key];
    if (keys[at] !== key) {
      sure = typeof value !== "object" && !isOdd(value);
      return -1;
    }
    const place = places[at++];
    if (typeof value === "number") {
      if (place < 0 || numbers[place] !== value || value === 0) {
        if (!isSame(value, place, picture)) {
          return -1;
        }
      }
    } else if (typeof value === "string" && place <= OTHERS && value === others[OTHERS - place]) {
      // The same text.
    } else {
      at = placeAfterValue(value, place, picture, at);
      if (at < 0) {
        return -1;
      }
    }
  }
  if (places[at] === END) {
    return at + 1;
  }
  // It has fewer keys than before.
  sure = true;
  return -1;
}

/** The place behind a value, which lies or begins at `place`; -1 where they differ. */
function placeAfterValue(value, place, picture, at) {
  if (typeof value !== "object" || value === null) {
    return isSame(value, place, picture) ? at : -1;
  }
  if (Array.isArray(value)) {
    return place === LIST ? placeAfterList(value, picture, at) : -1;
  }
  return place === OBJECT ? placeAfter(value, picture, at) : -1;
}

function isSame(value, place, { numbers, others }) {
  if (place > OTHERS && place < 0) {
    // It was an object, or a list, or is an item more.
    sure = place !== END && !isOdd(value);
    return false;
  }
  const before = place < 0 ? others[OTHERS - place] : numbers[place];
  const now = asStored(value);
  if (Object.is(before, now)) {
    return true;
  }
  // Halves of a pair of UTF-16 are all stored as the same sign.
  sure = !isOdd(value) && (typeof before !== "string" || typeof now !== "string" || (before.isWellFormed() && now.isWellFormed()));
  return false;
}

function placeAfterList(list, picture, at) {
  if (list.toBSON !== undefined) {
    return -1;
  }
  const { places } = picture.layout;
  for (const item of list) {
    at = placeAfterValue(item, places[at], picture, at + 1);
    if (at < 0) {
      return -1;
    }
  }
  return places[at] === END ? at + 1 : -1;
}

/** How an object compares with the one that a picture was taken of. */
function compare(object, picture) {
  const { layout, numbers, others } = picture;
  sure = false;
  try {
    if (layout.compared < OFTEN && ++layout.compared === OFTEN) {
      layout.same = sameOf(layout, KINDS);
    }
    if ((layout.same !== null && layout.same(object, numbers, others)) || placeAfter(object, picture, 0) >= 0) {
      return SAME;
    }
    return sure ? DIFFERENT : UNSURE;
  } catch {
    return UNSURE;
  }
}

/** An object that is stored as the one that a picture was taken of. */
function objectOf({ layout: { keys, places }, numbers, others }) {
  let at = 0;
  const value = () => {
    const place = places[at++];
    if (place === OBJECT) {
      return fields();
    }
    if (place === LIST) {
      return items();
    }
    return place < 0 ? others[OTHERS - place] : numbers[place];
  };
  const items = () => {
    const list = [];
    while (places[at] !== END) {
      list.push(value());
    }
    at++;
    return list;
  };
  const fields = () => {
    // Without a prototype, so that a field may have any name.
    const object = Object.create(null);
    while (places[at] !== END) {
      object[keys[at]] = value();
    }
    at++;
    return object;
  };
  return fields();
}

module.exports = { DIFFERENT, SAME, UNSURE, compare, objectOf, pictureOf };

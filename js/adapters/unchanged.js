"use strict";
// Whether an object is as it was, told without encoding it.
//
// The kit hands over whole lists, of which one entry has changed. To encode five hundred costs milliseconds; to walk through
// them beside a picture of each, taken when it was last written or read, a fraction of that. Only what is plain data throughout
// has a picture: of anything else a hash of its bytes is kept.

/** Where a list or an object begins, and where an object ends. */
const [LIST, OBJECT, END] = [Symbol("list"), Symbol("object"), Symbol("end")];

/** What a comparison comes to: UNSURE, where only the bytes can tell. */
const [SAME, DIFFERENT, UNSURE] = [0, 1, 2];

/** Undefined within values is stored as null. */
const asStored = (value) => (value === undefined ? null : value);

/** Whether a value is left out of what is stored, or nobody knows what it is stored as. */
const isOdd = (value) => typeof value === "function" || typeof value === "symbol" || typeof value === "bigint";

/** The keys and values of a plain object in their order, one level within the other; false where something is not plain. */
function draw(object, picture) {
  if (!isPlain(object)) {
    return false;
  }
  picture.push(OBJECT);
  for (const key in object) {
    picture.push(key);
    if (!drawValue(object[key], picture)) {
      return false;
    }
  }
  picture.push(END);
  return true;
}

function drawValue(value, picture) {
  if (typeof value !== "object" || value === null) {
    picture.push(asStored(value));
    return !isOdd(value);
  }
  if (!Array.isArray(value)) {
    return draw(value, picture);
  }
  if (value.toBSON !== undefined) {
    return false;
  }
  picture.push(LIST, value.length);
  for (const item of value) {
    if (!drawValue(item, picture)) {
      return false;
    }
  }
  return true;
}

const isPlainPrototype = (prototype) => prototype === Object.prototype || prototype === null;

/** Neither an instance of a class nor something that has its own way into BSON. */
function isPlain(object) {
  return isPlainPrototype(Object.getPrototypeOf(object)) && object.toBSON === undefined && object._bsontype === undefined;
}

/** The picture of an object, or null where it has none. */
function pictureOf(object) {
  const picture = [];
  try {
    return draw(object, picture) ? picture : null;
  } catch {
    // A getter that throws, or an end that is not reached: its encoding will tell.
    return null;
  }
}

/** Whether the difference that was found is one of the bytes too. */
let sure = false;

// Compared are five hundred objects for each event. So each kind of value has its own line: V8 compares two numbers, or two
// texts, in a third of the time that it takes for any two values.

/** The place behind an object in a picture, where it begins at `at`; -1 where they differ. */
function placeAfter(object, picture, at) {
  if (picture[at++] !== OBJECT || !isPlain(object)) {
    return -1;
  }
  for (const key in object) {
    const value = object[key];
    if (picture[at++] !== key) {
      sure = typeof value !== "object" && !isOdd(value);
      return -1;
    }
    const before = picture[at];
    if (typeof value === "number" && typeof before === "number" && value === before && value !== 0) {
      at++;
    } else if (typeof value === "string" && typeof before === "string" && value === before) {
      at++;
    } else {
      at = placeAfterValue(value, picture, at);
      if (at < 0) {
        return -1;
      }
    }
  }
  if (picture[at] === END) {
    return at + 1;
  }
  // It has fewer keys than before.
  sure = true;
  return -1;
}

function placeAfterValue(value, picture, at) {
  if (typeof value === "object" && value !== null) {
    return Array.isArray(value) ? placeAfterList(value, picture, at) : placeAfter(value, picture, at);
  }
  const before = picture[at];
  const now = asStored(value);
  if (Object.is(before, now)) {
    return at + 1;
  }
  // Halves of a pair of UTF-16 are all stored as the same sign.
  sure = !isOdd(value) && (typeof before !== "string" || typeof now !== "string" || (before.isWellFormed() && now.isWellFormed()));
  return -1;
}

function placeAfterList(list, picture, at) {
  if (picture[at++] !== LIST || picture[at++] !== list.length || list.toBSON !== undefined) {
    return -1;
  }
  for (const item of list) {
    at = placeAfterValue(item, picture, at);
    if (at < 0) {
      return -1;
    }
  }
  return at;
}

/** How an object compares with the one that a picture was taken of. */
function compare(object, picture) {
  sure = false;
  try {
    if (placeAfter(object, picture, 0) >= 0) {
      return SAME;
    }
    return sure ? DIFFERENT : UNSURE;
  } catch {
    return UNSURE;
  }
}

/** An object that is stored as the one that a picture was taken of. */
function objectOf(picture) {
  let place = 0;
  const next = () => {
    const value = picture[place++];
    if (value === LIST) {
      return Array.from({ length: picture[place++] }, next);
    }
    return value === OBJECT ? fields() : value;
  };
  const fields = () => {
    // Without a prototype, so that a field may have any name.
    const object = Object.create(null);
    for (let key = picture[place++]; key !== END; key = picture[place++]) {
      object[key] = next();
    }
    return object;
  };
  return next();
}

module.exports = { DIFFERENT, SAME, UNSURE, compare, objectOf, pictureOf };

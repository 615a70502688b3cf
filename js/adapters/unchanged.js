"use strict";
// Whether an object is as it was, told without encoding it.
//
// The kit hands over whole lists, of which one entry has changed. To encode five hundred costs milliseconds; to walk through
// them beside a picture of each, taken when it was last encoded, a fraction of that. Only what is plain data throughout has
// a picture: anything else is encoded each time.

const END = Symbol("end");

/** The keys and values of a plain object in their order, one level within the other; false where something is not plain. */
function draw(object, picture) {
  for (const key in object) {
    const value = object[key];
    picture.push(key);
    if (typeof value !== "object" || value === null) {
      if (typeof value === "function") {
        return false;
      }
      picture.push(value);
    } else if (!drawNested(value, picture)) {
      return false;
    }
  }
  picture.push(END);
  return true;
}

function drawNested(value, picture) {
  if (!Array.isArray(value)) {
    return isPlain(value) && draw(value, picture);
  }
  picture.push(value.length);
  return value.every((item) => {
    if (typeof item === "object" && item !== null) {
      return drawNested(item, picture);
    }
    picture.push(item);
    return typeof item !== "function";
  });
}

/** Neither an instance of a class nor something that has its own way into BSON. */
function isPlain(object) {
  const prototype = Object.getPrototypeOf(object);
  return (prototype === Object.prototype || prototype === null) && object.toBSON === undefined && object._bsontype === undefined;
}

/** The picture of an object, or null where it has none. */
function pictureOf(object) {
  const picture = [];
  try {
    return isPlain(object) && draw(object, picture) ? picture : null;
  } catch {
    // A getter that throws, or an end that is not reached: its encoding will tell.
    return null;
  }
}

/** The picture that is compared with, and the place in it. */
let beside = [];
let at = 0;

function same(object) {
  for (const key in object) {
    const value = object[key];
    if (beside[at] !== key) {
      return false;
    }
    at++;
    if (typeof value === "object" && value !== null) {
      if (!sameNested(value)) {
        return false;
      }
    } else if (beside[at] === value && (value !== 0 || Object.is(beside[at], value))) {
      at++;
    } else {
      return false;
    }
  }
  return beside[at++] === END;
}

function sameNested(value) {
  if (!Array.isArray(value)) {
    const prototype = Object.getPrototypeOf(value);
    return (prototype === Object.prototype || prototype === null) && same(value);
  }
  if (beside[at++] !== value.length) {
    return false;
  }
  for (const item of value) {
    if (typeof item === "object" && item !== null) {
      if (!sameNested(item)) {
        return false;
      }
    } else if (!Object.is(beside[at++], item)) {
      return false;
    }
  }
  return true;
}

/** Whether an object is as it was when the picture was taken. */
function isUnchanged(object, picture) {
  beside = picture;
  at = 0;
  try {
    return sameNested(object);
  } catch {
    return false;
  }
}

module.exports = { isUnchanged, pictureOf };

"use strict";
// The comparison of objects with the pictures of one layout, as code of its own.
//
// A walk has one place in its code where values are read, for all keys: V8 looks each of them up, and makes an object of every number
// that it finds. In a line of code of its own each key is found where it was before, in a third of the time. What is made into
// code is how many keys, lists and kinds of values there are: no text of a user's stands in it.

const { Script } = require("node:vm");

/** A layout of more places is walked through. */
const MOST = 400;

/** Writes the code of one layout, whose kinds of places are `kinds`. It says what `placeAfter` in unchanged.js says. */
class Writer {
  constructor({ keys, places }, kinds) {
    this.keys = keys;
    this.places = places;
    this.kinds = kinds;
    /** How far it has come in the layout. */
    this.at = 0;
    this.lines = [];
    this.names = 0;
    /** The keys of each object in it. */
    this.keyLists = [];
  }

  newName() {
    return `v${this.names++}`;
  }

  refuseIf(condition) {
    this.lines.push(`if (${condition}) return false;`);
  }

  isAtEnd() {
    return this.places[this.at] === this.kinds.END;
  }

  /** The fields of an object, up to its end. */
  object(name) {
    // In this order: of what it has looked into, V8 knows the prototype.
    this.refuseIf(`${name}.toBSON !== undefined || ${name}._bsontype !== undefined`);
    const prototype = this.newName();
    this.lines.push(`const ${prototype} = Object.getPrototypeOf(${name});`);
    this.refuseIf(`${prototype} !== plain && ${prototype} !== null`);
    const keys = this.keysHere();
    const own = `keys[${this.keyLists.push(keys) - 1}]`;
    const count = this.newName();
    this.lines.push(`let ${count} = 0;`);
    this.lines.push(`for (const key in ${name}) if (key !== ${own}[${count}++]) return false;`);
    this.refuseIf(`${count} !== ${keys.length}`);
    for (let i = 0; i < keys.length; i++) {
      this.value(`${name}[${own}[${i}]]`);
    }
    this.at++;
  }

  /** The keys of the object that begins here. */
  keysHere() {
    const { OBJECT, LIST, END } = this.kinds;
    const keys = [];
    let depth = 0;
    for (let at = this.at; depth > 0 || this.places[at] !== END; at++) {
      if (depth === 0) {
        keys.push(this.keys[at]);
      }
      const place = this.places[at];
      depth += Number(place === OBJECT || place === LIST) - Number(place === END);
    }
    return keys;
  }

  value(read) {
    const { OBJECT, LIST, OTHERS } = this.kinds;
    const [place, name] = [this.places[this.at++], this.newName()];
    this.lines.push(`const ${name} = ${read};`);
    if (place === OBJECT) {
      this.refuseIf(`typeof ${name} !== "object" || ${name} === null || Array.isArray(${name})`);
      this.object(name);
    } else if (place === LIST) {
      this.list(name);
    } else if (place >= 0) {
      const before = `numbers[${place}]`;
      this.refuseIf(`typeof ${name} !== "number" || ${name} !== ${before} || (${name} === 0 && 1 / ${name} !== 1 / ${before})`);
    } else {
      this.refuseIf(`(${name} === undefined ? null : ${name}) !== others[${OTHERS - place}]`);
    }
  }

  /** The items of a list, up to its end. */
  list(name) {
    this.refuseIf(`!Array.isArray(${name}) || ${name}.toBSON !== undefined`);
    let length = 0;
    while (!this.isAtEnd()) {
      this.value(`${name}[${length++}]`);
    }
    this.at++;
    this.refuseIf(`${name}.length !== ${length}`);
  }
}

/**
 * `same(object, numbers, others)`: true where an object is as the picture that these are of; false where it may be another. Null where
 * the code would be long.
 */
function sameOf(layout, kinds) {
  if (layout.places.length > MOST) {
    return null;
  }
  const writer = new Writer(layout, kinds);
  writer.object("object");
  const body = writer.lines.join("\n");
  const text = `(keys, plain) => function same(object, numbers, others) {\n"use strict";\n${body}\nreturn true;\n}`;
  // As a script of its own and not by `new Function`, which processes may forbid.
  return new Script(text, { filename: "same.js" }).runInThisContext()(writer.keyLists, Object.prototype);
}

module.exports = { sameOf };

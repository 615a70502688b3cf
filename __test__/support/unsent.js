"use strict";

/** In the place of the commands that a server got. What is made of it is such a list too. */
class Unsent extends Array {}

/** What was sent to servers, or an object with nothing else. There are none here, so what a test says of it is passed over. */
function isUnsent(value) {
  if (value instanceof Unsent) return true;
  return typeof value === "object" && value !== null && Object.keys(value).length > 0 && Object.values(value).every((part) => part instanceof Unsent);
}

module.exports = { Unsent, isUnsent };

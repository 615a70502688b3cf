"use strict";

let codec = null;

/** MongoDB's own codec. It is loaded with the first call that needs it: who uses Redis alone pays nothing for it. */
module.exports = () => (codec ??= require("bson"));

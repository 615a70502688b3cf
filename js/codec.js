"use strict";

let codec = null;

/** MongoDB's own codec. It is loaded with the first call that needs it, so that Redis alone costs nothing for it. */
module.exports = () => (codec ??= require("bson"));

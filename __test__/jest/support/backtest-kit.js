"use strict";

// The kit, as far as persistence goes: its registries of adapters.
module.exports = require("../../support/stand-in-kit.js").standInKit();

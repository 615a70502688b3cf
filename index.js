"use strict";
// The entry for CommonJS: whoever requires this package has the copy of the kit that is required.

require("./js/kits.js").requireIt();

module.exports = require("./js/api.js");

"use strict";

// Faults of names and resolvers, those that take seconds; `npm run test:faults` plays the others too.

const { serial: test } = require("ava");
const { declare } = require("./faults/scene.js");

declare(test, require("./faults/cases/names.js"));

"use strict";

// Faults of the server under load, those that take seconds; `npm run test:faults` plays the others too.

const { serial: test } = require("ava");
const { declare } = require("./faults/scene.js");

declare(test, require("./faults/cases/server.js"));

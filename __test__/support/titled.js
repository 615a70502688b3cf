"use strict";

// The process of a spec file bears the file's name, so that whoever looks at a run that hangs sees which it is.

const path = require("node:path");
const test = require("ava");

process.title = `ava ${path.basename(test.meta.file)}`;

"use strict";
// `import "backtest-kit-native/global"` puts ioc where the original has it, for REPL users.

const { ioc } = require("./js/api.js");

globalThis.ioc = ioc;

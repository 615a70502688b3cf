"use strict";

const ts = require("typescript");

/** As strict as projects are that import this package. */
const OPTIONS = {
  ...{ module: ts.ModuleKind.Node16, moduleResolution: ts.ModuleResolutionKind.Node16, target: ts.ScriptTarget.ES2022 },
  ...{ strict: true, noEmit: true, skipLibCheck: true, noImplicitOverride: true },
};

/** What the compiler says of files that are nowhere but here, by their paths; `types` are packages whose globals they see. */
function problemsOf(files, types = []) {
  const options = { ...OPTIONS, types };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists } = host;
  host.fileExists = (one) => files.has(one) || fileExists(one);
  host.getSourceFile = (one, ...rest) => (files.has(one) ? ts.createSourceFile(one, files.get(one), ...rest) : getSourceFile(one, ...rest));
  const problems = ts.getPreEmitDiagnostics(ts.createProgram([...files.keys()], options, host));
  return problems.map((one) => `${one.file?.fileName}: ${ts.flattenDiagnosticMessageText(one.messageText, "\n")}\n${one.file?.text}`);
}

module.exports = { problemsOf };

"use strict";

/** The C library of this Linux: `gnu`, or `musl` as on Alpine. */
function libc() {
  const { report } = process;
  report.excludeNetwork = true;
  return report.getReport().header.glibcVersionRuntime ? "gnu" : "musl";
}

/** The file name of the addon's binary for this platform. */
function binaryName() {
  const parts = [process.platform, process.arch];
  if (process.platform === "linux") {
    parts.push(libc());
  }
  return `backtest-kit-native.${parts.join("-")}.node`;
}

module.exports = { binaryName };

"use strict";

/** The C library of this Linux: `gnu`, or `musl` as on Alpine. */
function libc() {
  const { report } = process;
  // With the network, a report looks up the name of every open connection's other end. Node before 20.13 has no such switch.
  const switchable = "excludeNetwork" in report;
  const before = report.excludeNetwork;
  try {
    if (switchable) {
      report.excludeNetwork = true;
    }
    return report.getReport().header.glibcVersionRuntime ? "gnu" : "musl";
  } finally {
    // The reports of the program itself are its own business.
    if (switchable) {
      report.excludeNetwork = before;
    }
  }
}

/** This platform as napi-rs names it: `linux-x64-gnu`, `linux-arm64-musl`, `darwin-arm64`, `win32-x64-msvc`. */
function platformName() {
  const parts = [process.platform, process.arch];
  if (process.platform === "linux") {
    parts.push(libc());
  }
  if (process.platform === "win32") {
    // Node's own builds for Windows are made with this compiler's library; what another one makes loads there too.
    parts.push("msvc");
  }
  return parts.join("-");
}

/** The file name of the addon's binary for a platform, by default this one. */
function binaryName(platform = platformName()) {
  return `backtest-kit-native.${platform}.node`;
}

/** The npm package that brings the binary for a platform. */
function packageName(platform) {
  return `backtest-kit-native-${platform}`;
}

module.exports = { binaryName, packageName, platformName };

"use strict";

// The platforms that get a package with a binary, by napi-rs's names. `os`, `cpu` and `libc` are what npm compares with the
// machine; `triple` is Rust's name. A musl binary must not be installed under glibc, nor the other way round, so both say so.

const TARGETS = [
  { platform: "linux-x64-gnu", triple: "x86_64-unknown-linux-gnu", os: "linux", cpu: "x64", libc: "glibc" },
  { platform: "linux-arm64-gnu", triple: "aarch64-unknown-linux-gnu", os: "linux", cpu: "arm64", libc: "glibc" },
  { platform: "linux-x64-musl", triple: "x86_64-unknown-linux-musl", os: "linux", cpu: "x64", libc: "musl" },
  { platform: "linux-arm64-musl", triple: "aarch64-unknown-linux-musl", os: "linux", cpu: "arm64", libc: "musl" },
  { platform: "darwin-x64", triple: "x86_64-apple-darwin", os: "darwin", cpu: "x64" },
  { platform: "darwin-arm64", triple: "aarch64-apple-darwin", os: "darwin", cpu: "arm64" },
  { platform: "win32-x64-msvc", triple: "x86_64-pc-windows-msvc", os: "win32", cpu: "x64" },
];

/** Built to prove the port to Windows on a machine that has none, and published never. */
const MINGW = { platform: "win32-x64-gnu", triple: "x86_64-pc-windows-gnu", os: "win32", cpu: "x64" };

/** The newest version of glibc that a published binary may ask for: that of CentOS 7 and of Node's own builds' early days. */
const GLIBC_FLOOR = "2.17";

module.exports = { TARGETS, MINGW, GLIBC_FLOOR };

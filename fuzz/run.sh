#!/bin/sh
# Fuzzes one parser: sh fuzz/run.sh decoder [seconds] [libFuzzer's options]. README.md says more.
set -eu
cd "$(dirname "$0")"
target=${1:?decoder, handshake or store}
seconds=${2:-60}
[ $# -ge 2 ] && shift 2 || shift 1
host=$(rustc -vV | sed -n 's/^host: //p')
# Instrumentation is an unstable option of the compiler; this lets the stable one take it. The flags are those of cargo-fuzz.
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="--cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cforce-frame-pointers"
cargo build --release --target "$host" --bin "$target"
program="${CARGO_TARGET_DIR:-target}/$host/release/$target"
for last in "" "$@"; do :; done
# One input again.
if [ -f "$last" ]; then exec "$program" "$@"; fi
mkdir -p "corpus/$target" "artifacts/$target"
exec "$program" -artifact_prefix="artifacts/$target/" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
  -dict=resp.dict "$@" "corpus/$target" "seeds/$target"

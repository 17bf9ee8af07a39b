#!/usr/bin/env bash
# `make fuzz`: throws bytes at every reader of files, guided by what the bytes reach. Two targets at a time.
#
#   scripts/fuzz.sh [SECONDS of each target; default 600] [TARGET…; default all]
#
# Starts from fuzz/seeds, keeps what reaches further in fuzz/corpus (not in the repository), and leaves an input that breaks a
# promise in fuzz/artifacts/TARGET: fix the reader, then move the input to fuzz/seeds/TARGET/found-NAME, where `make test` reads it.
# At the end a line for each target: executions, coverage (edges, features), largest memory. The
# repository's own compiler will do, as no sanitizer is used (FUZZ_TOOLCHAIN names another).
#
# Exit codes: 0 nothing found, 1 something found or a target does not build, 2 there is no such compiler.
set -euo pipefail
export LC_ALL=C
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

seconds=${1:-600}
shift || true
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "error: FUZZ_SECONDS: expected a whole number ≥ 1, got $seconds" >&2; exit 2; }
if [[ -n ${FUZZ_TOOLCHAIN:-} ]]; then
    export RUSTUP_TOOLCHAIN=$FUZZ_TOOLCHAIN
    cargo --version >/dev/null 2>&1 || { echo "error: FUZZ_TOOLCHAIN: expected a compiler that rustup has, got $FUZZ_TOOLCHAIN" >&2; exit 2; }
fi
scripts/tools.sh cargo-fuzz
export PATH=$PWD/.tools/bin:$PATH
# cargo-fuzz sets RUSTFLAGS, which take the place of the rpath in .cargo/config.toml.
export LD_LIBRARY_PATH=$PWD/.libtorch/lib OMP_NUM_THREADS=1
target_dir=${CARGO_TARGET_DIR:-$PWD/target}/fuzz

# Every target's name, in the order of fuzz/Cargo.toml.
mapfile -t targets < <(sed -n 's/^path = "fuzz_targets\/\(.*\)\.rs"/\1/p' fuzz/Cargo.toml)
(($# == 0)) || targets=("$@")
# No AddressSanitizer: libtorch is not built with it, and containers that cross between its C++ and an instrumented wrapper can be
# reported as overflows that they are not. Our own code has no `unsafe` beside that wrapper. What the sanitizer's allocator would bound
# (-malloc_limit_mb) the targets count themselves, against the size of the input (tests/src/readers/meter.rs).
cargo fuzz build --fuzz-dir fuzz --sanitizer none --target-dir "$target_dir"
host=$(rustc -vV | sed -n 's/^host: //p')
programs=$target_dir/$host/release

# The files that the targets write for the readers go to memory where there is such a folder.
memory=/dev/shm
[[ -w $memory ]] || memory=${TMPDIR:-/tmp}
scratch=$(mktemp -d -p "$memory")
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch
logs=fuzz/artifacts/logs
mkdir -p "$logs"
rm -f "$logs"/*.line

fuzz() {
    local target=$1
    mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
    # Ten seconds for one input are ten thousand times what it takes.
    "$programs/$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -artifact_prefix="fuzz/artifacts/$target/" \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=8192 -print_final_stats=1 >"$logs/$target.log" 2>&1 || true
    # #12345 DONE cov: 678 ft: 901 corp: 23/4567b …
    awk -v target="$target" '
        / cov: / { for (i = 1; i < NF; i++) { if ($i == "cov:") cov = $(i + 1); if ($i == "ft:") ft = $(i + 1) } }
        /^stat::number_of_executed_units:/ { runs = $2 }
        /^stat::peak_rss_mb:/ { rss = $2 }
        /\tDONE / { done = 1 }
        /ERROR: libFuzzer/ { found = 1 }
        END {
            verdict = found ? "FOUND" : done ? "nothing found" : "DID NOT END"
            printf "%-12s %10d executions  %6d edges  %6d features  %5d MB  %s\n", target, runs, cov, ft, rss, verdict
        }' "$logs/$target.log" | tee "$logs/$target.line"
}

echo "fuzz: ${#targets[@]} targets, $seconds s each, two at a time; logs in $logs" >&2
for target in "${targets[@]}"; do
    while (($(jobs -pr | wc -l) >= 2)); do wait -n || true; done
    fuzz "$target" &
done
wait

if grep -q FOUND "$logs"/*.line; then
    echo "error: a reader broke a promise; the input is in fuzz/artifacts, the story in $logs" >&2
    exit 1
elif grep -q "DID NOT END" "$logs"/*.line; then
    echo "error: a target was stopped before its time; the story is in $logs" >&2
    exit 1
fi

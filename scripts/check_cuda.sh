#!/usr/bin/env bash
# `make check-cuda`: does this machine's NVIDIA GPU train as the CPU does? Set-up with the CUDA set, a release build, the same
# configuration and seed on both, a comparison of the curves, and the tests that need a GPU. Leaves nothing behind.
#
#   scripts/check_cuda.sh [CONFIG]      (default: experiments/configs/first.json)
#
#   STEPS   length of the two runs (200)
#   TRAIN   a built `train` to check instead of building one: for a machine to which only the program was brought
#
# Exit codes: 0 the curves agree, 1 they do not, or a run failed, 2 there is no GPU to check.
set -euo pipefail
export LC_ALL=C
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

config=${1:-experiments/configs/first.json}
steps=${STEPS:-200}

has_gpu() {
    python3 -c '
import ctypes, sys
try:
    driver = ctypes.CDLL("libcuda.so.1")
except OSError:
    sys.exit("libcuda.so.1 cannot be loaded, so there is no NVIDIA driver")
count = ctypes.c_int(0)
if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
    sys.exit("there is an NVIDIA driver, and it finds no GPU")' 2>&1
}
reason=$(has_gpu) || {
    echo "check-cuda: nothing to check here: $reason" >&2
    exit 2
}

if [[ -z ${TRAIN:-} ]]; then
    # A CPU set that was asked for once would leave the GPU out; a folder of the user's own stays.
    [[ -n ${ELBO_LIBTORCH:-} || -d $(cat .setup/choice 2>/dev/null) ]] || export ELBO_LIBTORCH=auto
    scripts/setup.sh
    cargo build --release -p elbo-experiments --bins
    TRAIN=target/release/train
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for device in cpu cuda; do
    echo "check-cuda: $steps steps on $device" >&2
    "$TRAIN" "$config" --run-dir "$work/$device" --device "$device" --quiet --set "train.steps=$steps" \
        --set "train.log_every=$(((steps + 9) / 10))" --set train.images_every=0 --set train.evaluate_every=0 >"$work/$device.out" ||
        { echo "check-cuda: the run on $device failed" >&2; exit 1; }
done
verdict=0
python3 scripts/compare_runs.py "$work/cpu" "$work/cuda" || verdict=1

if [[ -f tests/tests/cuda.rs && -f .setup/stamp ]]; then
    cargo test --release -p elbo-tests --test cuda --test capture --test bfloat16 --test ranks -- --nocapture || verdict=1
fi
if ((verdict == 0)); then echo "check-cuda: the GPU trains as the CPU does"; else echo "check-cuda: FAILED"; fi
exit "$verdict"

#!/usr/bin/env bash
# `make check-faults`: what goes wrong on long runs, on purpose and often: killed at random moments, told to stop, started twice, a clock
# that goes back, no memory, a full disk, a disk that cannot be written, damaged checkpoints, data and caches. About ten minutes.
#
#   scripts/check_faults.sh [FAULT]      (kill, terminate, two-processes, clock, memory, disk-full, read-only, checkpoints, data,
#                                         picture-cache, sprite-cache)
#
# Full and read-only disks are small file systems in memory, which take root to mount; the clock takes the program faketime. What this
# machine cannot try says so and fails: nothing is passed over in silence.
#
#   TRAIN, CHECK_FAULTS   the built programs, to try instead of building them
#
# Exit codes: 0 every claim holds, 1 one does not.
set -euo pipefail
export LC_ALL=C
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

if [[ -z ${TRAIN:-} ]]; then
    cargo build --release -p elbo-experiments --bins
    cargo build --release -p elbo-tests --bin check-faults
    TRAIN=$PWD/target/release/train CHECK_FAULTS=$PWD/target/release/check-faults
fi
export LD_LIBRARY_PATH=$PWD/.libtorch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
exec "${CHECK_FAULTS:-target/release/check-faults}" "$TRAIN" "$@"

#!/usr/bin/env bash
# `make check-ranks`: do several processes draw the curves of one, under every launcher that this machine has? A shell loop that sets the
# environment variables by hand, torchrun, mpirun, srun: two processes and four, each against the run of a single one. Leaves nothing
# behind.
#
#   TRAIN      a built `train` to check instead of building one
#   TORCHRUN   torchrun, where it is not on the PATH (it comes with PyTorch in Python)
#   LAUNCHERS  which to try (shell torchrun mpirun srun)
#   STEPS      length of the runs (50: rounding grows along the steps, after 100 as far as between one thread and two)
#
# Exit codes: 0 all agree, 1 one does not.
set -euo pipefail
export LC_ALL=C OMP_NUM_THREADS=1
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

steps=${STEPS:-50}
if [[ -z ${TRAIN:-} ]]; then
    scripts/setup.sh
    cargo build --release -p elbo-experiments --bins
    TRAIN=$PWD/target/release/train
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export LD_LIBRARY_PATH=$PWD/.libtorch/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export MASTER_ADDR=127.0.0.1

arguments=(experiments/configs/beta_tcvae_sprites.json --device cpu --quiet --set "train.steps=$steps" --set train.log_every=10
    --set train.images_every=0 --set "train.evaluate_every=$steps" --set train.evaluate_subset=500 --set train.evaluate_samples=200
    --set 'data.subset={"orientation":"0..40/10","position_x":"0..32/4","position_y":"0..32/4"}')

free_port() { .venv/bin/python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# shellcheck disable=SC2317  # called by its name, as a launcher
by_hand() {
    local size=$1 rank pids=() status=0
    shift
    for ((rank = 0; rank < size; rank++)); do
        RANK=$rank WORLD_SIZE=$size "$@" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
    return "$status"
}

compare='
import csv, sys
def curves(run):
    with open(f"{run}/metrics.csv", newline="", encoding="utf-8") as rows:
        return [(row["step"], row["tag"], float(row["value"])) for row in csv.DictReader(rows) if not row["tag"].startswith("speed/")]
one, other = map(curves, sys.argv[1:3])
if [row[:2] for row in one] != [row[:2] for row in other]:
    sys.exit("the curves have other points")
apart = max(abs(a[2] - b[2]) / (1 + abs(a[2])) for a, b in zip(one, other))
print(f"{len(one)} points, at most {apart:.1e} apart")
sys.exit(apart > float(sys.argv[3]))'

"$TRAIN" "${arguments[@]}" --run-dir "$folder/one" >/dev/null
failed=0
check() {
    local name=$1 run=$folder/${1//[^a-z0-9]/-} said
    shift
    MASTER_PORT=$(free_port)
    export MASTER_PORT
    if ! "$@" "$TRAIN" "${arguments[@]}" --run-dir "$run" >"$run.log" 2>&1; then
        echo "FAILED  $name: $(grep -m 1 '^error' "$run.log" || tail -n 1 "$run.log")"
        failed=1
    # Above what rounding makes in so many steps, and far below what another loss would.
    elif said=$(.venv/bin/python -c "$compare" "$folder/one" "$run" 1e-5); then
        echo "agrees  $name: $said"
    else
        echo "DIFFERS $name: $said"
        failed=1
    fi
}

launchers=${LAUNCHERS:-shell torchrun mpirun srun}
wanted() { [[ " $launchers " == *" $1 "* ]]; }
torchrun=${TORCHRUN:-$(command -v torchrun || true)}
for size in 2 4; do
    ! wanted shell || check "shell loop, $size processes" by_hand "$size"
    if wanted torchrun && [[ -n $torchrun ]]; then
        check "torchrun, $size processes" "$torchrun" --no-python --nproc-per-node "$size" --master-port "$(free_port)"
    fi
    if wanted mpirun && command -v mpirun >/dev/null; then
        root=()
        ((EUID != 0)) || root=(--allow-run-as-root)
        check "mpirun, $size processes" mpirun "${root[@]}" --oversubscribe -n "$size"
    fi
    if wanted srun && command -v srun >/dev/null && sinfo >/dev/null 2>&1; then
        check "srun, $size processes" srun --overcommit -n "$size"
    fi
done
there() {
    case $1 in
    torchrun) [[ -n $torchrun ]] ;;
    srun) command -v srun >/dev/null && sinfo >/dev/null 2>&1 ;;
    *) command -v "$1" >/dev/null ;;
    esac
}
for launcher in torchrun mpirun srun; do
    ! wanted $launcher || there $launcher || echo "not run $launcher: it is not on this machine, or does not run (srun: make check-slurm)"
done
exit $failed

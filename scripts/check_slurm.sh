#!/usr/bin/env bash
# `make check-slurm`: a sweep as a job array of a real Slurm. Installs Debian's slurm-wlm where it is missing, starts one node on loopback
# with a configuration, keys, ports and folders of its own (nothing below /etc is touched), submits a 4-member array, cancels one member
# while it trains, submits the array again, collects, and compares the cancelled member with a run that was left alone. Stops what it
# started, also when it fails.
#
#   scripts/check_slurm.sh
#
#   SWEEP   a built `sweep`, with `train` beside it, to check instead of building them
#   STEPS   length of each member's run (6000)
#
# Exit codes: 0 all steps hold, 1 one does not, 2 this machine cannot run it.
set -euo pipefail
export LC_ALL=C
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
steps=${STEPS:-6000}

cannot() {
    echo "check-slurm: cannot be run here: $*" >&2
    exit 2
}

install_slurm() {
    local program missing=()
    for program in munged slurmctld slurmd sbatch scancel squeue; do
        type -P "$program" >/dev/null || missing+=("$program")
    done
    ((${#missing[@]})) || { echo "slurm: $(slurmctld -V), installed already"; return; }
    [[ $EUID == 0 ]] || cannot "${missing[*]} missing, and only root may install them (apt-get install slurm-wlm)"
    type -P apt-get >/dev/null || cannot "${missing[*]} missing, and there is no apt-get to install slurm-wlm with"
    local log
    log=$(mktemp)
    # RUNLEVEL: Debian's scripts then leave the system's own services alone.
    if ! { DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -q --no-install-recommends slurm-wlm munge ||
        { apt-get update -q && DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -q --no-install-recommends slurm-wlm munge; }; } \
        >"$log" 2>&1; then
        local last
        last=$(grep -v '^$' "$log" | tail -n 1)
        rm -f "$log"
        cannot "apt-get install slurm-wlm: $last"
    fi
    rm -f "$log"
    echo "slurm: $(slurmctld -V), just installed (apt-get remove slurm-wlm munge takes it away)"
}

[[ $EUID == 0 ]] || cannot "Slurm's daemons are started as root, and this is $(id -un)"
install_slurm
if [[ -z ${SWEEP:-} ]]; then
    scripts/setup.sh
    cargo build --release -p elbo-experiments --bin sweep --bin train
    SWEEP=${CARGO_TARGET_DIR:-target}/release/sweep
fi
SWEEP=$(realpath "$SWEEP")

# ---------------------------------------------------------------------------------------------------- one node, and its end

work=$(mktemp -d)
chmod 755 "$work" # munged wants its socket where everyone may look
mkdir "$work/state" "$work/spool"
started=() # pids, the last one stopped first

alive() { kill -0 "$1" 2>/dev/null; }

stop_all() {
    local code=$? pid i waited
    trap - EXIT INT TERM
    # Jobs first: nobody would end them once slurmd is gone.
    if ((${#started[@]} >= 3)); then
        timeout 10 scancel --user root >/dev/null 2>&1 || true
        for ((waited = 0; waited < 200; waited++)); do
            [[ -n $(timeout 10 squeue --noheader 2>/dev/null) ]] || break
            sleep 0.2
        done
    fi
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do
        pid=${started[i]}
        kill -TERM "$pid" 2>/dev/null || continue
        for ((waited = 0; waited < 100; waited++)); do alive "$pid" || break; sleep 0.1; done
        ! alive "$pid" || kill -KILL "$pid" 2>/dev/null || true
    done
    if ((code != 0)) && [[ -s $work/slurmctld.log ]]; then
        echo "check-slurm: last lines of slurmctld and slurmd:" >&2
        tail -n 5 "$work/slurmctld.log" "$work/slurmd.log" >&2 2>/dev/null || true
    fi
    # Processes of jobs that Slurm could not end name the scratch folder, which no other process does.
    for pid in $(pgrep -f -- "$work/" || true); do kill -KILL "$pid" 2>/dev/null || true; done
    sleep 0.2
    local left
    left=$(for pid in "${started[@]}" $(pgrep -f -- "$work/" || true); do ! alive "$pid" || echo "$pid"; done)
    rm -rf "$work"
    if [[ -z $left ]]; then echo "stopped: everything that was started"; else echo "FAILED: still running: $left"; code=1; fi
    exit "$code"
}
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
    echo "FAILED: $*"
    echo "check-slurm: FAILED"
    exit 1
}
holds() { echo "holds: $*"; }

# until SECONDS COMMAND…: whether the command succeeds within that time.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.2
    done
}

# daemon NAME PROGRAM ARGUMENTS…: in the background, its pid kept.
daemon() {
    local name=$1
    shift
    "$@" >"$work/$name.out" 2>&1 </dev/null &
    started+=($!)
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
host=$(hostname)
cpus=$(nproc)
((cpus <= 2)) || cpus=2
sed -e "s|@DIR@|$work|g; s|@HOST@|$host|g; s|@CPUS@|$cpus|g; s|@CTLD_PORT@|$(free_port)|; s|@D_PORT@|$(free_port)|" \
    tests/slurm/slurm.conf.in >"$work/slurm.conf"
export SLURM_CONF=$work/slurm.conf

dd if=/dev/urandom of="$work/munge.key" bs=128 count=1 status=none
chmod 400 "$work/munge.key"
daemon munged munged --foreground --force --num-threads=2 --socket="$work/munge.socket" --key-file="$work/munge.key" \
    --pid-file="$work/munged.pid" --log-file="$work/munged.log" --seed-file="$work/munged.seed"
until_true 15 test -S "$work/munge.socket" || fail "munged does not start: $(tail -n 1 "$work/munged.out")"
daemon slurmctld slurmctld -D -c
daemon slurmd slurmd -D -N "$host"
is_idle() { [[ $(sinfo --noheader --format=%T 2>/dev/null) == idle ]]; }
until_true 60 is_idle || fail "the node is not idle but $(sinfo --noheader --format='%T %E' 2>&1 | head -n 1)"
holds "munged, slurmctld and slurmd run; node $host with $cpus CPUs is idle"

# ------------------------------------------------------------------------------------------------------------ the job array

export OMP_NUM_THREADS=1 ELBO_CUDA=0
cat >"$work/grid.json" <<JSON
{ "name": "array",
  "base": { "name": "base", "seed": 1, "device": "cpu", "precision": "float32",
            "data": { "source": "sprites", "batch_size": 16,
                      "subset": { "orientation": "0..40/10", "position_x": "0..32/8", "position_y": "0..32/8" } },
            "model": { "network": "mlp", "latent": 3, "likelihood": "bernoulli", "encoder_hidden": [64], "encoder_activation": "relu",
                       "decoder_hidden": [64], "decoder_activation": "relu" },
            "method": { "name": "beta-tcvae", "mi_weight": 1, "dw_kl_weight": 1, "estimator": "mws", "tc_weight": 1 },
            "optimizer": { "name": "adam", "learning_rate": 0.001 },
            "train": { "steps": $steps, "log_every": 50, "images_every": 0, "evaluate_every": 1000, "checkpoint_every": 500,
                       "evaluate_subset": 64, "evaluate_samples": 32, "capture": "auto" } },
  "grids": [ { "product": { "method.tc_weight": [1, 4], "seed": [0, 1] } } ] }
JSON
out=$work/out
sweep() { "$SWEEP" "$work/grid.json" --out "$out" "$@"; }
"$SWEEP" "$work/grid.json" --out "$work/alone" --index 0 2>"$work/alone.log" || fail "the run that is left alone: $(tail -n 1 "$work/alone.log")"
victim=tc_weight-1_seed-0
holds "member 0, $victim, has run alone and without Slurm, to compare with"

echo "step 1: sweep GRID --slurm"
sweep --slurm "$work/jobs" --jobs "$cpus"
sed -n 's/^/    /p' "$work/jobs/array.sbatch"

submit() { (cd "$work" && sbatch --parsable "$work/jobs/array.sbatch"); }
in_queue() { [[ -n $(squeue --noheader --array --jobs="$1" 2>/dev/null) ]]; }
is_over() { ! in_queue "$1"; }
step_of() { tail -n 1 "$out/$victim/metrics.csv" 2>/dev/null | cut -d, -f1; }
trains() { local step; step=$(step_of); [[ ${step:-0} =~ ^[0-9]+$ ]] && ((step >= steps / 10)); }
finished() { sweep --list --json 2>/dev/null | grep -c '"standing": "finished"' || true; }
state_of() { scontrol show job "$1" 2>/dev/null | sed -n 's/.*JobState=\([A-Z]*\).*Reason=\([^ ]*\).*/\1/p' | head -n 1; }

echo "step 2: sbatch, and scancel of one member while it trains"
job=$(submit)
until_true 120 trains || fail "the member $victim does not train: $(tail -n 2 "$out"/sweep/slurm-* 2>/dev/null | tr '\n' ' ')"
at=$(step_of)
scancel "${job}_0"
until_true 60 is_over "${job}_0" || fail "the cancelled member is still there after a minute"
[[ ! -e $out/$victim/summary.json ]] || ! grep -q '"status": "finished"' "$out/$victim/summary.json" ||
    fail "the member was finished before it was cancelled; STEPS=$((steps * 2)) makes runs longer"
newest=$(find "$out/$victim/checkpoints" -name 'step-*.safetensors' -printf '%f\n' | sed 's/[^0-9]//g' | sort -n | tail -n 1)
if grep -q '"status": "interrupted"' "$out/$victim/summary.json" 2>/dev/null; then
    how="ended by SIGTERM and saved"
else
    how="ended by SIGKILL"
fi
echo "    job ${job}_0: $(state_of "${job}_0"); scancel after step $at; $how; newest checkpoint: step ${newest:-none}"
[[ -n $newest ]] || fail "the cancelled member left no checkpoint"
holds "the cancelled member left a checkpoint of step $newest of $steps"

echo "step 3: the other members"
until_true 600 is_over "$job" || fail "the array is not over after ten minutes"
sweep --list
[[ $(finished) == 3 ]] || fail "expected 3 finished members, got $(finished)"
holds "the other three are finished"
before=$(stat --format=%Y%s "$out"/tc_weight-4_seed-*/summary.json | tr '\n' ' ')

echo "step 4: sbatch of the same file again"
job=$(submit)
until_true 600 is_over "$job" || fail "the second array is not over after ten minutes"
sweep --list
[[ $(finished) == 4 ]] || fail "expected 4 finished members, got $(finished)"
holds "all four are finished"
[[ $before == "$(stat --format=%Y%s "$out"/tc_weight-4_seed-*/summary.json | tr '\n' ' ')" ]] || fail "a finished member has run again"
holds "finished members were left alone"
resumed=$(grep -h 'resumed after step' "$out/sweep/logs/$victim.log") || fail "the log of $victim does not say that it was resumed"
echo "    $resumed"
[[ $resumed == *"resumed after step $newest of $steps" ]] || fail "it was not resumed at step $newest"
holds "the cancelled member went on at step $newest"

echo "step 5: sweep GRID --collect"
sweep --collect --columns train/elbo 2>&1 | sed 's/^/    /'
rows=$(tail -n +2 "$out/sweep.csv" | wc -l)
names=$(tail -n +2 "$out/sweep.csv" | cut -d, -f2 | sort -u | wc -l)
done_rows=$(tail -n +2 "$out/sweep.csv" | cut -d, -f3 | grep -cx finished || true)
[[ $rows == 4 && $names == 4 && $done_rows == 4 ]] || fail "expected 4 rows, 4 names, 4 finished; got $rows, $names, $done_rows"
holds "4 rows, none twice, all finished"
same=$(python3 "$root/scripts/tests/same_runs.py" "$work/alone/$victim" "$out/$victim") || fail "the cancelled member and the one left alone $same"
holds "the cancelled member and the run that was left alone are $same"
echo "step 6: srun starts the processes of one run"
ranks=$(LAUNCHERS=srun TRAIN=$(dirname "$SWEEP")/train "$root/scripts/check_ranks.sh" 2>&1) || fail "$ranks"
[[ $(grep -c '^agrees  srun' <<<"$ranks") == 2 ]] || fail "expected srun's two runs, got $ranks"
echo "    ${ranks//$'\n'/$'\n    '}"
holds "two and four tasks of srun draw the curves of one process"
echo "check-slurm: all steps hold"

#!/usr/bin/env bash
# `make check-sweep`: a sweep of 24 members, 200 steps each, two at once, that is stopped three times on its way: SIGKILL of its whole
# process group, Ctrl-C (SIGINT of the group), SIGKILL of the sweep alone. Each time the same command goes on. At the end there must be 24
# rows, none twice, no run that did a finished member again, and a member that was killed must equal a run that was left alone.
#
#   scripts/check_sweep.sh
#
#   SWEEP   a built `sweep`, with `train` beside it, to check instead of building them
#   STEPS   length of each member's run (200)
#
# Exit codes: 0 all holds, 1 something does not.
set -euo pipefail
export LC_ALL=C
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
steps=${STEPS:-200}

if [[ -z ${SWEEP:-} ]]; then
    scripts/setup.sh
    cargo build --release -p elbo-experiments --bin sweep --bin train
    SWEEP=${CARGO_TARGET_DIR:-target}/release/sweep
fi
SWEEP=$(realpath "$SWEEP")

work=$(mktemp -d)
group=
clean_up() {
    # Only the group that was started below, and runs that follow it.
    [[ -z $group ]] || kill -KILL -- "-$group" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
    echo "FAILED: $*"
    tail -n 3 "$work/sweep.log" 2>/dev/null || true
    echo "check-sweep: FAILED"
    exit 1
}
holds() { echo "holds: $*"; }

cat >"$work/grid.json" <<JSON
{ "name": "killed", "base": "$root/experiments/configs/beta_tcvae_sprites.json",
  "set": { "device": "cpu", "data.subset": { "orientation": "0..40/4", "position_x": "0..32/2", "position_y": "0..32/2" },
           "train.steps": $steps, "train.log_every": 10, "train.images_every": 0, "train.evaluate_every": $steps, "train.evaluate_subset": 200,
           "train.evaluate_samples": 100, "train.checkpoint_every": 50 },
  "grids": [ { "product": { "method.tc_weight": [1, 2, 4, 8], "seed": { "from": 1, "to": 6 } } } ] }
JSON
# As many threads in every session, so that sums are taken in the same order.
export OMP_NUM_THREADS=1 ELBO_CUDA=0
out=$work/out
sweep() { "$SWEEP" "$work/grid.json" --out "$out" "$@"; }
count() { sweep --list --json 2>/dev/null | grep -c "\"standing\": \"$1\"" || true; }
counts() { sweep --list | tail -n 1; }

# In a process group of its own: `set -m` gives it one.
begin() {
    set -m
    "$SWEEP" "$work/grid.json" --out "$out" --run --jobs 2 >>"$work/sweep.log" 2>&1 </dev/null &
    group=$!
    set +m
}
wait_for() { # wait_for FINISHED: until so many members are finished, and others under way
    local end=$((SECONDS + 1200))
    until (($(count finished) >= $1 && $(count running) >= 1)); do
        kill -0 "$group" 2>/dev/null || fail "the sweep ended before $1 members were finished"
        ((SECONDS < end)) || fail "fewer than $1 members are finished after 20 minutes"
        sleep 0.5
    done
    sleep 2 # into the runs that have just begun
}
ended() { # ended WANTED: the sweep's exit code
    local code=0
    wait "$group" 2>/dev/null || code=$?
    group=
    [[ $code == "$1" ]] || fail "the sweep ended with $code, not $1"
}

started=$SECONDS
begin
wait_for 6
kill -KILL -- "-$group"
ended 137
echo "SIGKILL of the process group: $(counts)"

begin
wait_for 12
kill -INT -- "-$group"
ended 130
echo "SIGINT of the process group:  $(counts)"
[[ $(count running) == 0 ]] || fail "runs outlive the interrupted sweep"
saved=$(grep -l '"status": "interrupted"' "$out"/*/summary.json | wc -l)
((saved >= 1 && saved == $(count begun))) || echo "    (of $(count begun) begun members $saved saved at the signal; the others were killed before)"

begin
wait_for 18
kill -KILL "$group"
ended 137
echo "SIGKILL of the sweep alone:   $(counts)"

begin # at once: the runs of the killed sweep are still saving
ended 0
echo "to its end:                   $(counts) ($((SECONDS - started)) s in all)"

[[ $(count finished) == 24 ]] || fail "expected 24 finished members"
sweep --collect --columns train/elbo 2>&1 | head -n 9
table=$out/sweep.csv
rows=$(tail -n +2 "$table" | wc -l)
names=$(tail -n +2 "$table" | cut -d, -f2 | sort -u | wc -l)
finished=$(tail -n +2 "$table" | cut -d, -f3 | grep -cx finished || true)
at_end=$(grep -l "\"steps\": $steps," "$out"/*/summary.json | wc -l)
echo "$rows rows, $names names, $finished finished, $at_end with $steps steps"
[[ $rows == 24 && $names == 24 && $finished == 24 && $at_end == 24 ]] || fail "expected 24 of each"
holds "24 rows, none twice"

ends=$(cat "$out"/sweep/logs/*.log | grep -c "^step $steps/$steps" || true)
[[ $ends == 24 ]] || fail "$ends sessions reached step $steps, and 24 should have: a finished member was run again, or none was"
holds "each member reached its end once: $(cat "$out"/sweep/logs/*.log | grep -c '^data: ') sessions, \
$(cat "$out"/sweep/logs/*.log | grep -c 'resumed after step') of them resumed, \
$(($(cat "$out"/sweep/logs/*.log | grep -c 'nothing to resume') - 24)) begun again for want of a checkpoint"

victims=$(grep -l 'resumed after step' "$out"/sweep/logs/*.log | head -n 2)
[[ -n $victims ]] || fail "no member was resumed, so nothing was killed while it trained"
for log in $victims; do
    name=$(basename "$log" .log)
    index=$(tail -n +2 "$table" | grep ",$name," | cut -d, -f1)
    "$SWEEP" "$work/grid.json" --out "$work/alone" --index "$index" 2>"$work/alone.log" || fail "$name, left alone: $(tail -n 1 "$work/alone.log")"
    same=$(python3 scripts/tests/same_runs.py "$work/alone/$name" "$out/$name") || fail "$name and a run that was left alone $same"
    holds "$name ($(grep -h -o 'resumed after step [0-9]*' "$log" | tr '\n' ' ')) and a run that was left alone: $same"
done
echo "check-sweep: all holds"

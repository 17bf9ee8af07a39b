#!/usr/bin/env bash
# `make check-unchanged BEFORE=COMMIT`: does the working tree train as COMMIT did? Builds COMMIT's `train` from a copy of its files in
# target/before, and the working tree's, and compares 500 steps of every kind of method (scripts/check_unchanged.py says how).
#
#   scripts/check_unchanged.sh COMMIT [KIND …]
#
# Exit codes: 0 every curve agrees, 1 one does not, or a run failed, 2 there is no such commit.
set -euo pipefail
export LC_ALL=C
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

wanted=${1:-}
commit=$(git rev-parse --verify --quiet "$wanted^{commit}") || {
    echo "error: BEFORE: expected a commit of this repository, got \"$wanted\" (make check-unchanged BEFORE=HEAD~1)" >&2
    exit 2
}
shift

cargo build --release -p elbo-experiments --bin train
before=target/before/$commit
if [[ ! -x $before/target/release/train ]]; then
    rm -rf "$before"
    mkdir -p "$before"
    git archive "$commit" | tar -x -C "$before"
    ln -s "$PWD/.libtorch" "$PWD/.venv" "$before/"
    echo "check-unchanged: building ${commit:0:12}" >&2
    (cd "$before" && env -u CARGO_TARGET_DIR cargo build --release -p elbo-experiments --bin train)
fi
python3 scripts/check_unchanged.py "$before/target/release/train" "${CARGO_TARGET_DIR:-target}/release/train" "$@"

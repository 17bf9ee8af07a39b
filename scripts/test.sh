#!/usr/bin/env bash
# `make test`: the set-up script's tests, then cargo's, documentation included, then a crate of a user's own outside the repository, and
# at the end one line with the sum.
#
#   scripts/test.sh [ARGUMENTS of cargo test; default: --workspace]
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

whole=no
(($# > 0)) || whole=yes
[[ $whole == no ]] || scripts/tests/setup_test.sh
(($# > 0)) || set -- --workspace

log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [[ -t 1 ]]; then export CARGO_TERM_COLOR=always; fi

code=0
cargo test --no-fail-fast "$@" 2>&1 | tee "$log" || code=$?
[[ $whole == no ]] || scripts/check-extension.sh 2>&1 | tee -a "$log" || code=$?
# The sum counts every test program's own closing line: `test result: ok. 12 passed; 0 failed; 0 ignored; …`.
sed 's/\x1b\[[0-9;]*m//g' "$log" | awk '
    /^test result: / {
        for (i = 2; i <= NF; i++) { if ($i ~ /^passed/) passed += $(i - 1); if ($i ~ /^failed/) failed += $(i - 1) }
        programs++
    }
    END { if (programs) printf "%d passed, %d failed\n", passed, failed }'
exit "$code"

#!/usr/bin/env bash
# `make lint`: everything that can be said about the sources without running them. Stops at the first part that is not clean.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

part() {
    echo "lint: $1" >&2
    shift
    "$@"
}

shell_scripts() {
    local files=(scripts/*.sh scripts/tests/*.sh .ci/run)
    local file
    for file in "${files[@]}"; do bash -n "$file"; done
    if command -v shellcheck >/dev/null; then shellcheck -x "${files[@]}"; fi
}

python_scripts() {
    .venv/bin/python -I -c 'import sys; [compile(open(path, encoding="utf-8").read(), path, "exec") for path in sys.argv[1:]]' \
        scripts/*.py scripts/tests/*.py
}

part "order of the crates, unsafe code, lengths" scripts/check-layers.sh
part "shell scripts" shell_scripts
part "Python scripts" python_scripts
part "format" cargo fmt --all --check
part "clippy" cargo clippy --workspace --all-targets --all-features -- -D warnings
RUSTDOCFLAGS='-D warnings' part "documentation" cargo doc --workspace --no-deps

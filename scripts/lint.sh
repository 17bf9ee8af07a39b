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

# Licenses, second versions and sources of what is linked; deny.toml has the exceptions, each with its reason.
dependencies() {
    scripts/tools.sh cargo-deny
    .tools/bin/cargo-deny --locked --log-level error check --hide-inclusion-graph licenses bans sources
}

part "order of the crates, unsafe code, lengths" scripts/check-layers.sh
part "shell scripts" shell_scripts
part "Python scripts" python_scripts
part "dependencies" dependencies
part "format" cargo fmt --all --check
part "format of the fuzz targets" cargo fmt --manifest-path fuzz/Cargo.toml --check
part "format of the extension" cargo fmt --manifest-path experiments/extension/Cargo.toml --check
part "clippy" cargo clippy --workspace --all-targets --all-features -- -D warnings
# A workspace of its own, whose dependencies are the same and lie compiled in the same folder.
part "clippy of the extension" cargo clippy --manifest-path experiments/extension/Cargo.toml \
    --target-dir "${CARGO_TARGET_DIR:-target}" --all-targets --locked -- -D warnings
RUSTDOCFLAGS='-D warnings' part "documentation" cargo doc --workspace --no-deps

#!/usr/bin/env bash
# What the compiler does not check: which crate may depend on which, that unsafe code is in crates/native alone, and that files
# stay short enough to read in one go. Part of `make lint`; prints one line for each thing wrong.
set -euo pipefail
export LC_ALL=C
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

longest=400 # lines of a file: one idea each
wrong=0
complain() {
    echo "error: $*" >&2
    wrong=$((wrong + 1))
}

# native ← core ← objectives ← adversarial; core ← data; core, data ← evaluation; core, data, evaluation ← runner.
may_use() {
    case $1 in
    native) echo "" ;;
    core) echo "native" ;;
    data | objectives) echo "native core" ;;
    adversarial) echo "native core objectives" ;;
    evaluation) echo "native core data objectives" ;;
    runner) echo "native core data evaluation" ;;
    experiments | tests) echo "native core data objectives adversarial evaluation runner experiments" ;;
    *) return 1 ;;
    esac
}

manifests=(crates/*/Cargo.toml experiments/Cargo.toml tests/Cargo.toml)
for manifest in "${manifests[@]}"; do
    name=$(sed -n 's/^name *= *"elbo-\(.*\)"/\1/p' "$manifest" | head -n 1)
    if ! allowed=$(may_use "$name"); then
        complain "$manifest: elbo-$name has no place in the order of the crates: give it one in scripts/check-layers.sh"
        continue
    fi
    used=$(awk '/^\[/ { inside = /dependencies/ } inside && match($0, /elbo-[a-z-]+/) { print substr($0, RSTART + 5, RLENGTH - 5) }' \
        "$manifest" | sort -u)
    for dependency in $used; do
        [[ " $allowed " == *" $dependency "* ]] ||
            complain "$manifest: elbo-$name must not depend on elbo-$dependency (only on: ${allowed:-none of ours})"
    done
    [[ $name == native ]] || grep -A 1 '^\[lints\]' "$manifest" | grep -q '^workspace = true' ||
        complain "$manifest: expected [lints] workspace = true, which forbids unsafe code"
done

# What stands for a user's crate gets by with three of ours and nothing of the workspace.
extension=experiments/extension/Cargo.toml
while read -r dependency; do
    [[ " core objectives runner " == *" $dependency "* ]] ||
        complain "$extension: a user's crate needs elbo-core, elbo-objectives and elbo-runner, not elbo-$dependency"
done < <(sed -n 's/^elbo-\([a-z-]*\).*/\1/p' "$extension")
if grep -n 'workspace *= *true' "$extension" >&2; then complain "$extension: inherits from a workspace that a user's crate has not"; fi
grep -q '^unsafe_code = "forbid"' "$extension" || complain "$extension: expected unsafe_code = \"forbid\" in its lints"

# A build script or a macro could allow for itself what the lint forbids. Comments and strings do not count.
while IFS=: read -r file line _; do
    complain "$file:$line: unsafe code belongs in crates/native"
done < <(grep -rnE '(^|[^"/a-z_])unsafe[[:space:]]*(\{|fn|impl|trait|extern|\()' --include='*.rs' crates experiments tests |
    grep -vE '^crates/native/|^[^:]*:[0-9]+:[[:space:]]*//' || true)

while read -r lines file; do
    ((lines <= longest)) || complain "$file: $lines lines; split it where a second idea begins (up to $longest)"
done < <(find crates experiments tests scripts -name target -prune -o -type f \
    \( -name '*.rs' -o -name '*.cpp' -o -name '*.h' -o -name '*.sh' -o -name '*.py' \) -print0 | xargs -0 wc -l | grep -v ' total$')

((wrong == 0))

#!/usr/bin/env bash
# Does a crate outside this repository build on ours with what its README says, and nothing else? Copies experiments/extension to a
# temporary folder, points its dependencies and its .cargo/config.toml, taken from the README, at this checkout, and builds and tests
# it there; then starts its program without cargo's help. Part of `make test`; the last line is the verdict.
set -euo pipefail
export LC_ALL=C
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
extension=experiments/extension
placeholder=/path/to/elbo # what the README writes for this checkout

fail() {
    echo "extension: FAILED: $*" >&2
    exit 1
}

# block NAME [README]: the fenced block of the README below the line that holds `NAME` and nothing else.
block() {
    awk -v heading="\`$1\`" '
        inside && /^```/ { exit }
        inside { print }
        $0 == heading { found = 1; next }
        found && /^```/ { inside = 1; found = 0 }' "${2:-$extension/README.md}"
}

# The README shows the crate whole: word for word.
for file in Cargo.toml src/lib.rs src/main.rs tests/conformance.rs renyi_sprites.json; do
    shown=$(block "$file" | sed "s|$placeholder/|../../|")
    [[ -n $shown ]] || fail "$extension/README.md does not show $file"
    diff <(echo "$shown") "$extension/$file" >&2 || fail "$extension/README.md shows another $file than there is (above)"
done
# So does this repository's, in part.
for file in src/lib.rs src/main.rs .cargo/config.toml; do
    diff <(block "$file" README.md) <(block "$file") >&2 || fail "README.md shows another $file than $extension/README.md (above)"
done
code=$(grep -cvE '^[[:space:]]*(//.*)?$' "$extension/src/main.rs")
((code <= 30)) || fail "$extension/src/main.rs has $code lines of code, more than the 30 that are promised"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$extension" "$work/vae"
rm -rf "$work/vae/target"
sed -i "s|\.\./\.\./|$root/|" "$work/vae/Cargo.toml"
mkdir -p "$work/vae/.cargo"
block .cargo/config.toml | sed "s|$placeholder|$root|" >"$work/vae/.cargo/config.toml"
grep -q LIBTORCH "$work/vae/.cargo/config.toml" || fail "$extension/README.md does not say what .cargo/config.toml needs"

# The user's crate has a target folder of its own; this one is kept between calls, so that what it depends on is compiled once.
CARGO_TARGET_DIR=$(cd "${CARGO_TARGET_DIR:-.}" && pwd)
[[ $CARGO_TARGET_DIR != "$root" ]] || CARGO_TARGET_DIR=$root/target
export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/extension
# Nothing but the crate's own configuration says where libtorch is.
unset LIBTORCH LIBTORCH_LIB LIBTORCH_INCLUDE LD_LIBRARY_PATH RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
# The compiler is this checkout's: whether another one does is another question.
if command -v rustup >/dev/null; then
    RUSTUP_TOOLCHAIN=$(rustup show active-toolchain)
    export RUSTUP_TOOLCHAIN=${RUSTUP_TOOLCHAIN%% *}
fi
cd "$work/vae"
started=$SECONDS
# What this workspace was built from is at hand already; on another machine the registry is asked once.
host=$(rustc -vV | sed -n 's/^host: //p')
cargo fetch --quiet --locked --target "$host" --offline 2>/dev/null || cargo fetch --quiet --locked --target "$host" ||
    fail "its dependencies cannot be fetched"
cargo test --locked --offline || fail "its tests do not pass outside the repository"
"$CARGO_TARGET_DIR/debug/renyi" --help >/dev/null || fail "its program does not start without cargo: the rpath of the README is wrong"
cd "$root"
echo "extension: built and tested outside the repository with the README's lines ($((SECONDS - started)) s)"

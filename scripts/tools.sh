#!/usr/bin/env bash
# Brings a cargo subcommand of the one version that this repository uses into .tools (not the user's ~/.cargo), from crates.io.
#
#   scripts/tools.sh cargo-deny|cargo-fuzz
#
# In place already: it only looks. Exit codes: 0 in place, 1 it could not be built, 2 no such tool.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

tool=${1:-}
case $tool in
# Needs rustc 1.88; no features to leave out.
cargo-deny) version=0.20.2 ;;
cargo-fuzz) version=0.13.2 ;;
*)
    echo "error: ${tool:-nothing}: expected cargo-deny or cargo-fuzz" >&2
    exit 2
    ;;
esac

stamp=.tools/$tool-$version
[[ -f $stamp && -x .tools/bin/$tool ]] && exit 0

echo "tools: building $tool $version, once (a minute or two)" >&2
mkdir -p .tools
# Unoptimised: both wait for other programs, and the build is most of what they cost. Quiet, but for errors.
if ! CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 CARGO_PROFILE_RELEASE_LTO=off \
    CARGO_TARGET_DIR=$PWD/.tools/target RUSTFLAGS='' \
    cargo install --quiet --locked --force --root .tools --version "=$version" "$tool"; then
    echo "error: $tool $version cannot be built; it comes from crates.io, which needs the network once" >&2
    exit 1
fi
rm -rf .tools/target
touch "$stamp"

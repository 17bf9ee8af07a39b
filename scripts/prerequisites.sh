# shellcheck shell=bash
# shellcheck disable=SC2034 # setup.sh reads `python`
# Sourced by setup.sh: what this machine must have before anything is fetched. Each thing that is missing is one line that
# names it and says how to get it; all of them are said at once.

oldest_python=10 newest_python=14 # of 3.x: those that torch 2.11.0 has wheels for
missing_count=0
# The interpreter to make .venv with: what need_python found.
python=""

# install_hint PACKAGE-OF-APT PACKAGE-OF-DNF
install_hint() {
    if command -v apt-get >/dev/null; then
        echo "sudo apt-get install $1"
    elif command -v dnf >/dev/null; then
        echo "sudo dnf install $2"
    else
        echo "install your distribution's package of it (Debian: $1; Fedora: $2)"
    fi
}

missing() {
    echo "error: missing: $1" >&2
    missing_count=$((missing_count + 1))
}

need_linux() {
    local system glibc
    system=$(uname -sm)
    [[ $system == "Linux x86_64" ]] || missing "x86-64 Linux, which libtorch's wheels are for (this is $system)"
    glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null) || glibc=""
    if [[ ! $glibc =~ ^glibc\ 2\.([0-9]+) ]]; then
        missing "glibc 2.28 or later, which libtorch's wheels are linked to (this system has another C library)"
    elif ((BASH_REMATCH[1] < 28)); then
        missing "glibc 2.28 or later, which libtorch's wheels are linked to (this is $glibc): a newer distribution"
    fi
}

need_flock() {
    command -v flock >/dev/null || missing "flock: $(install_hint util-linux util-linux)"
}

need_compiler() {
    local compiler=${CXX:-c++}
    if ! command -v "${compiler%% *}" >/dev/null; then
        missing "a C++ compiler ($compiler): $(install_hint g++ gcc-c++)"
    elif ! $compiler -std=c++17 -fsyntax-only -x c++ - <<<'#include <vector>' 2>/dev/null; then
        missing "a C++17 compiler with its standard library ($compiler cannot compile #include <vector>): $(install_hint g++ gcc-c++)"
    fi
    command -v cc >/dev/null || missing "the C compiler cc, which Rust links with: $(install_hint gcc gcc)"
}

# The toolchain that rust-toolchain.toml names; rustup fetches it where it is not there yet.
need_rust() {
    local version wanted
    wanted=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)
    if ! command -v cargo >/dev/null; then
        missing "Rust (cargo): install rustup from https://rustup.rs, or with your distribution's package rustup"
        return
    fi
    if version=$(cargo --version 2>/dev/null) && [[ $version =~ ^cargo\ 1\.([0-9]+) ]]; then
        local minor=${wanted#1.}
        ((BASH_REMATCH[1] >= ${minor%%.*})) ||
            missing "Rust $wanted (${version%% (*} is too old): install rustup from https://rustup.rs"
    elif ! command -v rustup >/dev/null; then
        missing "a working Rust $wanted (cargo does not start): install rustup from https://rustup.rs"
    else
        say "fetching Rust $wanted (rustup)"
        rustup toolchain install "$wanted" --profile minimal --component rustfmt --component clippy --no-self-update \
            >.setup/rustup.log 2>&1 ||
            missing "Rust $wanted, which rustup could not fetch: check the network; its words are in .setup/rustup.log"
    fi
}

# The first interpreter that can build a virtual environment; the best of the others says what is wrong.
need_python() {
    local candidate state found best="" name="" any_python
    any_python=$(install_hint "python3 python3-venv" python3)
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.10 python3.14; do
        command -v "$candidate" >/dev/null || continue
        # The shim of a version manager can be there and still not start.
        state=$("$candidate" -I -c '
import importlib.util, sys
found = all(importlib.util.find_spec(name) for name in ("venv", "ensurepip", "ssl", "ctypes"))
print(sys.version_info[0] * 100 + sys.version_info[1], "whole" if found else "parts")' 2>/dev/null) || continue
        local number=${state% *}
        if ((number < 300 + oldest_python || number > 300 + newest_python)); then
            found="$candidate is $((number / 100)).$((number % 100))"
            best=${best:-"Python 3.$oldest_python to 3.$newest_python ($found): $any_python, or set PYTHON to another"}
        elif [[ $state == *parts ]]; then
            name=python3.$((number - 300))
            best="$name's venv module: $(install_hint "$name-venv" python3)"
        else
            python=$candidate
            return
        fi
    done
    missing "${best:-"python3, 3.$oldest_python or later, with its venv module: $any_python"}"
}

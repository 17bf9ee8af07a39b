#!/usr/bin/env bash
# Brings what the build needs beside Rust: libtorch and TensorBoard, in .venv, and the link .libtorch that cargo builds against.
#
#   scripts/setup.sh [--verify]
#
# Every target of the Makefile calls it. When all is in place it only looks (under 0.1 s); --verify looks at every file. It may
# be stopped at any moment, killed too: the next call keeps what is whole and does the rest. Calls at the same time take turns.
#
#   ELBO_LIBTORCH   auto (CUDA set where there is an NVIDIA driver, else CPU set), cpu, cuda, or the folder of a libtorch
#                   2.11.0 (also a Python `torch` package). The choice is remembered until another is made.
#   PYTHON          the interpreter to make .venv with (default: python3, else the first that serves).
#
# Exit codes: 0 done, 1 something failed on the way, 2 something is missing that only the user can bring.
set -euo pipefail
export LC_ALL=C
if [[ -d ${ELBO_LIBTORCH:-} ]]; then ELBO_LIBTORCH=$(realpath -- "$ELBO_LIBTORCH"); fi
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD

export PATH=$PATH:${HOME:-}/.cargo/bin
# Settings for other installations of pip's must not redirect this one.
unset PIP_TARGET PIP_PREFIX PIP_ROOT PIP_REQUIREMENT PIP_CONSTRAINT PIP_NO_BINARY PIP_REQUIRE_HASHES PIP_DRY_RUN
export PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_DISABLE_PIP_VERSION_CHECK=1

stamp=.setup/stamp
tools=scripts/requirements.txt
cpu_set=scripts/libtorch-cpu.txt
cuda_set=scripts/libtorch-cuda.txt

say() { echo "set-up: $*" >&2; }
fail() {
    local code=$1
    shift
    echo "error: $*" >&2
    exit "$code"
}

# ---------------------------------------------------------------------------------------------------------- the quick look
# The stamp: `name value` lines, then `files` and below it the size and path of what the build and the programs open first.

requirements_key() { cat scripts/requirements.txt scripts/libtorch-*.txt | cksum; }

# look_around INTERPRETER prints where its version keeps packages, and whether an NVIDIA driver can be loaded.
look_around() {
    "$1" -IS -c '
import ctypes, sys
try:
    found = bool(ctypes.CDLL("libcuda.so.1")) and "driver"
except OSError:
    found = "none"
print(".venv/lib/python%d.%d/site-packages" % sys.version_info[:2], found)' 2>/dev/null
}

key_files() {
    local site=$1
    printf '%s\n' .venv/bin/python .libtorch/lib/*.so* .libtorch/include/ATen/ATen.h \
        .libtorch/include/torch/csrc/api/include/torch/torch.h "$site"/tensorboard/version.py \
        "$site"/tensorboard/webfiles.zip "$site"/nvidia/cu13/lib/*.so* "$site"/nvidia/cu13/include/crt/host_defines.h
    if [[ -f .libtorch/version.py ]]; then echo .libtorch/version.py; else echo .libtorch/build-version; fi
}

sizes() { xargs -d '\n' stat -L -c '%s %n' -- 2>/dev/null; }

in_place() {
    local name value files now packages driver
    local -A stamped=()
    {
        while read -r name value && [[ $name != files ]]; do stamped[$name]=$value; done
        files=$(cat)
    } 2>/dev/null <$stamp || return 1
    [[ -n $files && ${stamped[root]:-} == "$root" && ${ELBO_LIBTORCH:-${stamped[choice]:-}} == "${stamped[choice]:-}" ]] || return 1
    [[ $(readlink .libtorch) == "${stamped[link]:-}" && $(requirements_key) == "${stamped[key]:-}" ]] || return 1
    now=$(cut -d' ' -f2- <<<"$files" | sizes) && [[ $now == "$files" ]] || return 1
    command -v cargo >/dev/null && command -v "${CXX:-c++}" >/dev/null || return 1
    # A base Python that was replaced by another version still starts, and does not see the packages; an NVIDIA driver that
    # came later asks for the CUDA set.
    read -r packages driver < <(look_around .venv/bin/python) && [[ -d $packages ]] || return 1
    [[ ${stamped[choice]:-} != auto || ${stamped[flavour]:-} != cpu || $driver == none ]]
}

# ------------------------------------------------------------------------------------------------------------- pip, watched

ticker=""
stop_ticker() {
    [[ -n $ticker ]] || return 0
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    ticker=""
    printf '\r\033[K' >&2
}
# On a terminal, a line with what has arrived so far; it ends with this script, whatever ends it.
start_ticker() {
    [[ -t 2 ]] || return 0
    (
        exec 9>&-
        while sleep 1 && kill -0 $$ 2>/dev/null; do
            arrived=""
            [[ ! -d .setup/incoming ]] ||
                arrived="$(du -sm .setup/tmp .setup/incoming 2>/dev/null | awk '{ n += $1 } END { print n + 0 }') MB, "
            printf '\r\033[Kset-up: … %s%s s' "$arrived" "$SECONDS" >&2
        done
    ) &
    ticker=$!
}

pip() {
    local code=0
    rm -rf .setup/tmp && mkdir -p .setup/tmp
    start_ticker
    TMPDIR=$root/.setup/tmp .venv/bin/python -I -m pip --no-input --no-color --retries 3 "$@" \
        >.setup/pip.log 2>&1 || code=$?
    stop_ticker
    return "$code"
}

# What pip's log says, by the first pattern that it matches.
said() { grep -qiE "$1" .setup/pip.log; }
broken_line='Read timed out|Connection (reset|aborted|broken)|IncompleteRead|DO NOT MATCH'
no_line='NewConnectionError|NameResolution|ConnectTimeout|Connection refused|ProxyError|Network is unreachable|Max retries'

explain_pip() {
    local what=$1 log=.setup/pip.log
    # On a full disk pip's log, too, may end before the reason: Python says then that it could not write there.
    if said 'No space left on device|--- Logging error ---'; then
        fail 1 "$what: the disk is full; while it is unpacked the CPU set needs about 2 GB here, the CUDA set 8 GB"
    elif said 'certificate verify failed|SSLCertVerification'; then
        fail 1 "$what: the package index's certificate is not trusted here; PIP_CERT names the authority that signed it"
    elif said "$no_line|$broken_line"; then
        fail 1 "$what: pip cannot reach the package index: check the network and the proxy, then type the command again;" \
            "what has arrived is kept"
    elif said 'No matching distribution'; then
        fail 1 "$what: the package index that pip uses here has no wheel of it for $(.venv/bin/python --version)"
    fi
    fail 1 "$what: $(grep -m 1 '^ERROR' $log || tail -n 1 $log) (all of it: $log)"
}

# fetch MEGABYTES NAME==VERSION…: into .setup/wheels, which a rename fills, so that it only ever holds whole wheels.
fetch() {
    local megabytes=$1 attempt
    shift
    local what=$*
    (($# < 3)) || what="$# smaller packages"
    say "fetching $what ($((megabytes > 0 ? megabytes : 1)) MB)"
    for attempt in 1 2 3; do
        rm -rf .setup/incoming && mkdir -p .setup/incoming .setup/wheels
        if pip download --quiet --no-deps --only-binary=:all: --dest .setup/incoming "$@"; then
            mv -f .setup/incoming/*.whl .setup/wheels/
            rm -rf .setup/incoming
            return
        fi
        # A line that breaks off half-way is worth another try; one that is not there has been tried by pip already.
        said "$broken_line" || break
        ((attempt == 3)) || say "the connection broke; trying again"
    done
    explain_pip "$what"
}

# ---------------------------------------------------------------------------------------------------------------- the parts

state() { .venv/bin/python -I scripts/venv_state.py "$@"; }

venv_stands() {
    [[ -x .venv/bin/python ]] && .venv/bin/python -I -c "
import os, sys
here = os.path.realpath(sys.prefix) == os.path.realpath('.venv')
sys.exit(not (here and (3, $oldest_python) <= sys.version_info[:2] <= (3, $newest_python)))" 2>/dev/null &&
        state pip 2>/dev/null && .venv/bin/python -I -m pip --version >/dev/null 2>&1
}

make_venv() {
    if [[ ! -e .venv && ! -L .venv ]]; then
        say "making .venv ($("$python" --version))"
    else
        say "making .venv again: it is not whole, or its Python is gone"
        rm -rf .setup/old-venv && mv .venv .setup/old-venv
    fi
    rm -rf .setup/old-venv
    "$python" -I -m venv .venv >.setup/venv.log 2>&1 ||
        fail 1 "$python cannot make a virtual environment here: $(tail -n 1 .setup/venv.log) (all of it: .setup/venv.log)"
}

# enough_room WHAT MEGABYTES: whether what is fetched and, beside it, what it unpacks to will find a place.
enough_room() {
    local needed=$(($2 * 7 / 2)) free
    free=$(df -Pm . | awk 'NR == 2 { print $4 }') || return 0
    [[ ! $free =~ ^[0-9]+$ ]] || ((free >= needed)) ||
        fail 1 "$1: expected about $needed MB of free disk here, found $free MB"
}

# install_all WHAT FILE…: brings what of the files is missing.
install_all() {
    local what=$1 list name megabytes where specs=() small=() large=() total=0 small_total=0
    shift
    list=$(state missing .setup/wheels "$@")
    [[ -n $list ]] || return 0
    while IFS=$'\t' read -r name megabytes where; do
        specs+=("$name")
        [[ $where == fetch ]] || continue
        total=$((total + megabytes))
        if ((megabytes < 20)); then
            small+=("$name")
            small_total=$((small_total + megabytes))
        else
            large+=("$name $megabytes")
        fi
    done <<<"$list"
    say "$what: $( ((total > 0)) && echo "$total MB to fetch" || echo "to install")"
    enough_room "$what" "$total"
    ((${#small[@]} == 0)) || fetch "$small_total" "${small[@]}"
    for name in ${large[@]+"${large[@]}"}; do fetch "${name#* }" "${name% *}"; done
    ((${#large[@]} == 0)) || say "unpacking"
    pip install --quiet --no-deps --no-index --find-links .setup/wheels --no-compile "${specs[@]}" || explain_pip "$what"
    [[ -z $(state missing .setup/wheels "$@") ]] ||
        fail 1 "$what: pip reports success, yet files are missing: is something else changing .venv?"
}

version_of() {
    if [[ -f $1/build-version ]]; then
        cat "$1/build-version"
    else
        sed -n "s/^__version__ = '\(.*\)'/\1/p" "$1/version.py" 2>/dev/null
    fi
}

check_libtorch() {
    local folder=$1 version
    version=$(version_of "$folder") || version=""
    [[ -n $version && -f $folder/lib/libtorch_cpu.so && -f $folder/include/ATen/ATen.h ]] ||
        fail 2 "$folder is no libtorch: expected lib/libtorch_cpu.so, include/ATen/ATen.h and build-version or version.py in it"
    [[ ${version%%+*} == "$libtorch_version" ]] ||
        fail 2 "$folder is libtorch $version; tch needs $libtorch_version exactly"
}

link_libtorch() {
    local target=$1
    [[ ! -e .libtorch || -L .libtorch ]] ||
        fail 2 ".libtorch is in the way: set-up makes a link of that name; move it elsewhere and name that in ELBO_LIBTORCH"
    [[ $(readlink .libtorch) == "$target" ]] && return
    ln -sfn "$target" .setup/libtorch-link && mv -T .setup/libtorch-link .libtorch
}

write_stamp() {
    local choice=$1 flavour=$2 link=$3 site=$4
    {
        printf '%s\n' "key $(requirements_key)" "root $root" "choice $choice" "flavour $flavour" "link $link" \
            "libtorch $(version_of .libtorch)" files
        key_files "$site" | sizes
    } >"$stamp.new" ||
        fail 1 "set-up ended, and a file is missing: $(key_files "$site" | xargs -d '\n' ls -d 2>&1 >/dev/null | head -n 1)"
    mv "$stamp.new" "$stamp"
}

# ----------------------------------------------------------------------------------------------------------------- all of it

check_prerequisites() {
    need_linux
    need_flock
    need_compiler
    need_rust
    venv_stands || need_python
    ((missing_count == 0)) || exit 2
}

# Sets choice, flavour, folder (of a libtorch of the user's own) and reason, from what is wanted and `driver`.
choose() {
    choice=${ELBO_LIBTORCH:-$(cat .setup/choice 2>/dev/null || echo auto)}
    case $choice in
    cpu | cuda) flavour=$choice reason="as ELBO_LIBTORCH says" ;;
    auto)
        if [[ $driver == driver ]]; then
            flavour=cuda reason="an NVIDIA driver is here"
        else
            flavour=cpu reason="no NVIDIA driver here"
        fi
        ;;
    *)
        flavour=folder folder=$choice
        [[ -d $choice ]] ||
            fail 2 "ELBO_LIBTORCH (now or at an earlier call): expected auto, cpu, cuda or a folder with libtorch" \
                "$libtorch_version, got $choice"
        [[ ! -d $folder/torch/lib ]] || folder+=/torch
        check_libtorch "$folder"
        ;;
    esac
    [[ -z ${ELBO_LIBTORCH:-} ]] || { echo "$choice" >.setup/choice.new && mv .setup/choice.new .setup/choice; }
}

main() {
    # shellcheck source=scripts/prerequisites.sh
    source scripts/prerequisites.sh
    libtorch_version=$(sed -n 's/^torch==\([0-9.]*\).*/\1/p' "$cpu_set")
    { [[ -w . ]] && mkdir -p .setup 2>/dev/null; } || fail 2 "$root cannot be written: set-up keeps libtorch there"
    check_prerequisites

    # pip, should it outlive this script, keeps the lock until it ends.
    exec 9>.setup/lock
    flock -n 9 || { say "another set-up is at work here; waiting for it"; flock 9; } || true
    if [[ $verify == no ]] && in_place; then return; fi

    local standing=no choice flavour folder="" reason="" site driver
    if venv_stands; then
        standing=yes python=.venv/bin/python
    elif [[ -z $python ]]; then
        need_python
        ((missing_count == 0)) || exit 2
    fi
    read -r site driver < <(look_around "$python")
    choose
    rm -f "$stamp"

    [[ $standing == yes ]] || make_venv
    state relocate "$root"
    install_all "TensorBoard" "$tools"
    case $flavour in
    cpu) install_all "libtorch $libtorch_version, CPU set ($reason)" "$cpu_set" ;;
    cuda) install_all "libtorch $libtorch_version, CUDA set ($reason)" "$cpu_set" "$cuda_set" ;;
    folder)
        grep -v '^torch==' "$cpu_set" >.setup/headers.txt
        install_all "CUDA's headers" .setup/headers.txt
        ;;
    esac
    folder=${folder:-$site/torch}
    check_libtorch "$folder"
    link_libtorch "$folder"
    write_stamp "$choice" "$flavour" "$folder" "$site"
    rm -rf .setup/wheels .setup/incoming .setup/tmp .setup/old-venv .setup/*.log .setup/headers.txt
    local which="${flavour^^} set"
    [[ $flavour != folder ]] || which=$folder
    say "ready after $SECONDS s: libtorch $(version_of .libtorch) ($which) and TensorBoard"
}

verify=no
case ${1:-} in
"") ;;
--verify) verify=yes ;;
*)
    sed -n '2,/^set -/{/^set -/d; s/^# \{0,1\}//; p}' "${BASH_SOURCE[0]}"
    [[ $1 == --help ]] && exit 0 || exit 2
    ;;
esac
trap stop_ticker EXIT
trap 'stop_ticker; echo >&2; say "interrupted; the next call goes on from here"; exit 130' INT TERM
if [[ $verify == yes ]] || ! in_place; then main; fi

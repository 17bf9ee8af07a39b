#!/usr/bin/env bash
# Tests of scripts/setup.sh in a few seconds and without a network: virtual environments are real, pip is fake_pip.py, the
# packages are tiny. Each test is a function that works in a folder of its own below $work and says what it expects.
set -euo pipefail
export LC_ALL=C
scripts=$(cd -P "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset ELBO_LIBTORCH PYTHON CXX FAKE_PIP_SAYS
export FAKE_INDEX=$work/index
# The interpreter itself: a version manager's python3 is a script that wants its own PATH.
python3=$(python3 -c 'import os, sys; print(os.path.realpath(sys.executable))')
"$python3" "$scripts/tests/fake_pip.py" index "$FAKE_INDEX"

# A program that prints a line: the tests need no Rust, and must not have rustup fetch one.
stub() { rm -f "$1" && printf '#!/bin/sh\necho "%s"\n' "$2" >"$1" && chmod +x "$1"; }
mkdir "$work/bin"
stub "$work/bin/cargo" "cargo 1.95.0 (0 2026-01-01)"
cat >"$work/bin/python3" <<PYTHON3
#!/bin/sh
[ "\$*" != "-I -m venv .venv" ] || {
    "$python3" -I -m venv --without-pip .venv && exec "$python3" "$scripts/tests/fake_pip.py" environment .venv
}
exec "$python3" "\$@"
PYTHON3
chmod +x "$work/bin/python3"
export PATH=$work/bin:$PATH
passed=0
failed=0

# ------------------------------------------------------------------------------------------------------------------- helpers

# A folder with what set-up needs of a clone; the rest is links to the real scripts' copies.
new_clone() {
    local clone=$work/$1
    mkdir -p "$clone/scripts"
    cp "$scripts"/setup.sh "$scripts"/prerequisites.sh "$scripts"/venv_state.py "$clone/scripts/"
    echo 'tensorboard==1.0' >"$clone/scripts/requirements.txt"
    printf '%s\n' 'torch==2.11.0  # 531 MB' 'nvidia-base==1.0' >"$clone/scripts/libtorch-cpu.txt"
    echo 'nvidia-more==1.0  # 25 MB' >"$clone/scripts/libtorch-cuda.txt"
    printf '[toolchain]\nchannel = "1.95.0"\n' >"$clone/rust-toolchain.toml"
    echo "$clone"
}

# One finished clone, copied for every test that starts from one: a copy is also a folder that was moved.
finished_clone() {
    local clone=$work/$1
    cp -a "$work/finished" "$clone"
    echo "$clone"
}

# set_up CLONE [ARGUMENT…]: leaves code and output.
set_up() {
    code=0
    local clone=$1
    shift
    output=$("$clone/scripts/setup.sh" "$@" 2>&1 </dev/null) || code=$?
}

check() { # check WHAT CONDITION…
    local what=$1
    shift
    if "$@"; then return; fi
    echo "  not so: $what"
    [[ -z ${output:-} ]] || printf '  | %s\n' "${output//$'\n'/$'\n  | '}"
    bad=1
}

succeeded() { ((code == 0)); }
refused() { ((code == 2)); }
silent() { [[ -z $output ]]; }
says() { [[ $output == *"$1"* ]]; }
lines_are() { [[ $(grep -c . <<<"$output") == "$1" ]]; }
whole() {
    local clone=$1 site
    site=$(echo "$clone"/.venv/lib/python3.*/site-packages)
    [[ $(stat -L -c %s "$clone/.libtorch/lib/libtorch_cpu.so" 2>/dev/null) == 400 && -s $site/torch/part99.txt &&
        -s $site/tensorboard/webfiles.zip && -x $clone/.venv/bin/python ]]
}

run() {
    local started=$SECONDS bad=0
    "$1" || bad=1
    if ((bad == 0)); then
        passed=$((passed + 1))
        echo "ok: ${1//_/ } ($((SECONDS - started)) s)"
    else
        failed=$((failed + 1))
        echo "FAILED: ${1//_/ }"
    fi
}

# Programs of this machine under a PATH of their own, without those named.
path_without() {
    local folder=$work/path-$1 program
    rm -rf "$folder" && mkdir -p "$folder"
    for program in bash env sed cat cksum cut xargs stat readlink realpath dirname mkdir rm mv ln grep awk getconf uname flock \
        apt-get cc c++ python3 cargo tail head du sleep; do
        [[ " $* " == *" $program "* ]] || ln -s "$(type -P "$program" || echo /bin/true)" "$folder/$program"
    done
    echo "$folder"
}

# --------------------------------------------------------------------------------------------------------------------- tests

a_new_clone_is_set_up_and_a_second_call_only_looks() {
    local clone
    clone=$(new_clone finished)
    set_up "$clone"
    check "set up" succeeded
    check "says how much" says "531 MB"
    check "everything is there" whole "$clone"
    check "the link is relative" test "$(readlink "$clone/.libtorch")" != "${clone}"*
    check "the wheels are gone" test ! -e "$clone/.setup/wheels"
    local before
    before=$(date +%s%N)
    set_up "$clone"
    local milliseconds=$((($(date +%s%N) - before) / 1000000))
    check "nothing to say" silent
    check "at once (took $milliseconds ms)" test "$milliseconds" -lt 1000
    set_up "$clone" --verify
    check "verified" succeeded
}

what_is_gone_is_brought_back() {
    local clone site
    clone=$(finished_clone gone)
    site=$(echo "$clone"/.venv/lib/python3.*/site-packages)
    set_up "$clone"
    check "a copied folder is repaired" whole "$clone"
    check "its scripts name the new folder" grep -q "$clone/.venv" "$clone/.venv/bin/activate"
    rm "$site/torch/lib/libtorch_cpu.so"
    set_up "$clone"
    check "a deleted library" whole "$clone"
    echo cut >"$site/tensorboard/webfiles.zip"
    set_up "$clone"
    check "a file cut short" test "$(cat "$site/tensorboard/webfiles.zip")" == zip
    rm "$site/torch/part7.txt"
    set_up "$clone" --verify
    check "any file, with --verify" test -f "$site/torch/part7.txt"
    ln -sfn nowhere "$clone/.libtorch"
    set_up "$clone"
    check "a broken link" whole "$clone"
    rm "$clone/.setup/stamp"
    set_up "$clone"
    check "a lost stamp" whole "$clone"
    : >"$clone/.setup/stamp"
    set_up "$clone"
    check "an empty stamp" whole "$clone"
    rm -r "$clone/.venv/bin"
    set_up "$clone"
    check "an environment without its Python" whole "$clone"
    check "said so" says "making .venv again"
}

a_set_up_that_was_killed_is_finished_by_the_next() {
    local clone delay
    clone=$(new_clone killed)
    for delay in 0.2 0.5 0.7 0.9 1.0 1.1 1.2; do
        setsid "$clone/scripts/setup.sh" >/dev/null 2>&1 </dev/null &
        sleep "$delay"
        kill -KILL -- "-$!" 2>/dev/null || true
        wait "$!" 2>/dev/null || true
    done
    set_up "$clone"
    check "finished" succeeded
    check "everything is there" whole "$clone"
}

a_package_cut_off_by_a_kill_is_installed_anew() {
    local clone site
    clone=$(finished_clone torn)
    site=$(echo "$clone"/.venv/lib/python3.*/site-packages)
    rm "$clone/.setup/stamp" "$site"/torch-2.11.0.dist-info/RECORD "$site"/torch/part2*.txt
    mkdir "$site/~orch"
    set_up "$clone"
    check "everything is there" whole "$clone"
    check "pip's leftovers are gone" test ! -e "$site/~orch"
}

calls_at_the_same_time_take_turns() {
    local clone call calls=()
    clone=$(finished_clone together)
    rm -r "$clone/.venv" "$clone/.setup"
    for call in 1 2 3; do
        "$clone/scripts/setup.sh" >"$work/together-$call.log" 2>&1 </dev/null &
        calls+=("$!")
    done
    for call in "${calls[@]}"; do wait "$call" || check "call $call" false; done
    output=$(cat "$work"/together-*.log)
    check "one of them worked" test "$(grep -c "ready after" <<<"$output")" == 1
    check "everything is there" whole "$clone"
}

the_sets_and_a_folder_of_ones_own_are_chosen_and_remembered() {
    local clone site
    clone=$(finished_clone choices)
    site=$(echo "$clone"/.venv/lib/python3.*/site-packages)
    ELBO_LIBTORCH=cuda set_up "$clone"
    check "the CUDA set adds to the CPU set" test -f "$site/nvidia/more/lib.so"
    check "torch stayed" test -z "$(grep "torch==" <<<"$output")"
    set_up "$clone"
    check "the choice is remembered" silent

    mkdir -p "$work/own/lib" "$work/own/include/ATen" "$work/own/include/torch/csrc/api/include/torch"
    touch "$work"/own/lib/libtorch_cpu.so "$work"/own/include/ATen/ATen.h \
        "$work"/own/include/torch/csrc/api/include/torch/torch.h
    echo 2.10.0+cpu >"$work/own/build-version"
    local stamp
    stamp=$(cat "$clone/.setup/stamp")
    ELBO_LIBTORCH=$work/own set_up "$clone"
    check "another version is refused" refused
    check "in a line that names both" says "is libtorch 2.10.0+cpu; tch needs 2.11.0 exactly"
    check "nothing changed" test "$(cat "$clone/.setup/stamp")" == "$stamp"
    echo 2.11.0+cpu >"$work/own/build-version"
    ELBO_LIBTORCH=$work/own set_up "$clone"
    check "the right one is linked" test "$(readlink "$clone/.libtorch")" == "$work/own"
    ELBO_LIBTORCH=$work/nowhere set_up "$clone"
    check "no such folder" refused
    ELBO_LIBTORCH=auto set_up "$clone"
    check "and back" whole "$clone"
}

an_nvidia_driver_asks_for_the_cuda_set() {
    local clone site
    clone=$(finished_clone driver)
    site=$(echo "$clone"/.venv/lib/python3.*/site-packages)
    mkdir "$work/driver-lib"
    cc -shared -x c -o "$work/driver-lib/libcuda.so.1" - <<<'int cuInit(unsigned flags) { return (int)flags; }'
    set_up "$clone" # for the folder it was copied to; after this only the driver is new
    LD_LIBRARY_PATH=$work/driver-lib set_up "$clone"
    check "the CUDA set came" test -f "$site/nvidia/more/lib.so"
}

another_version_replaces_the_old_one() {
    local clone
    clone=$(finished_clone version)
    sed -i 's/torch==2.11.0/torch==2.12.0/' "$clone/scripts/libtorch-cpu.txt"
    set_up "$clone"
    check "replaced" grep -q 2.12.0 "$clone/.libtorch/version.py"
    check "said so" says "libtorch 2.12.0"
}

each_missing_prerequisite_is_a_line() {
    local clone
    clone=$(new_clone bare)
    export HOME=$work/home
    PATH=$(path_without cargo) set_up "$clone"
    check "no Rust" refused
    check "no Rust, in words" says "error: missing: Rust (cargo): install rustup"
    check "no Rust, in one line" lines_are 1
    PATH=$(path_without c++) set_up "$clone"
    check "no compiler" says "error: missing: a C++ compiler (c++): sudo apt-get install g++"
    check "no compiler, in one line" lines_are 1
    PATH=$(path_without python3) set_up "$clone"
    check "no Python" says "error: missing: python3, 3.10 or later, with its venv module: sudo apt-get install python3 python3-venv"
    PATH=$(path_without c++ cargo python3) set_up "$clone"
    check "three lines for three" lines_are 3
    check "nothing was made" test ! -e "$clone/.venv"

    local folder
    folder=$(path_without cargo python3)
    stub "$folder/python3" "309 whole"
    stub "$folder/cargo" "cargo 1.94.1 (0 2026-01-01)"
    PATH=$folder set_up "$clone"
    check "an old Python" says "error: missing: Python 3.10 to 3.14 (python3 is 3.9)"
    check "an old Rust" says "error: missing: Rust 1.95.0 (cargo 1.94.1 is too old)"
    stub "$folder/python3" "311 parts"
    PATH=$folder set_up "$clone"
    check "no venv module" says "error: missing: python3.11's venv module: sudo apt-get install python3.11-venv"
}

no_network_and_a_full_disk_are_one_line() {
    local clone
    clone=$(finished_clone offline)
    rm -r "$clone/.venv" "$clone/.setup"
    FAKE_PIP_SAYS="WARNING: Retrying: NewConnectionError('connection refused')
ERROR: No matching distribution found for torch==2.11.0" set_up "$clone"
    check "an error" test "$code" == 1
    check "in words" says "pip cannot reach the package index: check the network"
    check "in the last line" test "$(tail -n 1 <<<"$output" | grep -c "^error: ")" == 1
    FAKE_PIP_SAYS="ERROR: [Errno 28] No space left on device" set_up "$clone"
    check "a full disk" says "the disk is full; while it is unpacked the CPU set needs about 2 GB here"
    FAKE_PIP_SAYS="--- Logging error ---" set_up "$clone"
    check "a disk too full to say so" says "the disk is full"
    stub "$work/bin/df" $'Filesystem\ndisk 1000 900 100 90% /'
    set_up "$clone"
    check "a disk that will be full" says "MB of free disk here, found 100 MB"
    check "before it is fetched" test "$(tail -n 2 <<<"$output" | grep -c "MB to fetch")" == 1
    rm "$work/bin/df"
    FAKE_INDEX=$work/bin set_up "$clone"
    check "no such wheel" says "has no wheel of it for Python 3."
    FAKE_PIP_SAYS="ERROR: something else" set_up "$clone"
    check "anything else, in pip's words" says "ERROR: something else (all of it: .setup/pip.log)"
    set_up "$clone"
    check "and then it goes on" whole "$clone"
}

run a_new_clone_is_set_up_and_a_second_call_only_looks
run what_is_gone_is_brought_back
run a_set_up_that_was_killed_is_finished_by_the_next
run a_package_cut_off_by_a_kill_is_installed_anew
run calls_at_the_same_time_take_turns
run the_sets_and_a_folder_of_ones_own_are_chosen_and_remembered
run an_nvidia_driver_asks_for_the_cuda_set
run another_version_replaces_the_old_one
run no_network_and_a_full_disk_are_one_line
run each_missing_prerequisite_is_a_line
echo "set-up tests: $passed of $((passed + failed)) as they should be"
((failed == 0))

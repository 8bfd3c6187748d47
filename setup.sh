#!/usr/bin/env bash
# setup.sh demo: installs what is missing, builds build/lg and trains examples/digits.lg.
# setup.sh test: the same, then runs all tests; the last line is "N passed, N failed".
# Run again, both only do what is left to do. Works on Debian 12 as root or with sudo.
set -euo pipefail
cd "$(dirname "$0")"

packages=(gcc libc6-dev cmake ninja-build flex bison pkg-config libopenblas-dev liblapacke-dev
          libjansson-dev libffi-dev libpng-dev zlib1g-dev libedit-dev)

install_missing() {
    command -v dpkg-query >/dev/null || return 0 # not Debian: the packages are the user's task
    local missing=() p
    for p in "${packages[@]}"; do
        dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    echo "installing: ${missing[*]}"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || { echo "needs root or sudo to install: ${missing[*]}" >&2; exit 1; }
        as_root=(sudo)
    fi
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null
}

build() { # build DIR CMAKE-OPTIONS...
    local dir=$1
    shift
    [ -f "$dir/build.ninja" ] || cmake -S . -B "$dir" -G Ninja "$@" >"$dir.log" 2>&1 ||
        { cat "$dir.log" >&2; exit 1; }
    rm -f "$dir.log"
    cmake --build "$dir" >"$dir/build.log" 2>&1 || { tail -n 60 "$dir/build.log" >&2; exit 1; }
}

case "${1:-}" in
demo)
    install_missing
    build build
    exec build/lg run examples/digits.lg
    ;;
test)
    install_missing
    build build
    exec tests/run.sh build "${@:2}"
    ;;
*)
    echo "usage: ./setup.sh demo | test" >&2
    exit 2
    ;;
esac

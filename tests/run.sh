#!/usr/bin/env bash
# run.sh [BUILD-DIR [NAME ...]]: every test program and suite, found by listing, or only those named
# (test_mid_grad, lang ...; `test_*` are all programs), as many at once as there are processors
# (LG_TEST_JOBS). Each ends in a line "N passed, N failed"; one without it counts as a failure, and so
# does a name that names nothing. The last line sums them up.
set -u
cd "$(dirname "$0")/.."
build=$(cd "${1:-build}" && pwd) || exit 1
only=("${@:2}")
export LG=$build/lg
tmp=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$tmp"' EXIT
passed=0 failed=0
names=() commands=()
wanted() { # is NAME to be run?
    local k
    [ ${#only[@]} -eq 0 ] && return 0
    for k in "${!only[@]}"; do
        # shellcheck disable=SC2053
        [[ $1 == ${only[k]} ]] && found[k]=1 && return 0
    done
    return 1
}
add() { # add NAME COMMAND
    wanted "$1" || return 0
    names+=("$1")
    commands+=("$2")
}
run() { # run K: command K, its output and exit status in files that appear whole
    bash -c "${commands[$1]}" >"$tmp/$1.out" 2>&1 </dev/null
    echo $? >"$tmp/$1.new"
    mv "$tmp/$1.new" "$tmp/$1.status"
}
tell() { # tell K: the line of command K, and what failed in it
    local name=${names[$1]} out=$tmp/$1.out status last
    status=$(cat "$tmp/$1.status")
    last=$(tail -n 1 "$out")
    if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        local p=${BASH_REMATCH[1]} f=${BASH_REMATCH[2]}
        [ "$status" -ne 0 ] && [ "$f" -eq 0 ] && f=1
        passed=$((passed + p))
        failed=$((failed + f))
        printf '%-28s %6d passed %4d failed\n' "$name" "$p" "$f"
        [ "$f" -ne 0 ] && sed '$d' "$out" | grep -v '^ok ' | tail -n 60 | sed 's/^/    /'
    else
        failed=$((failed + 1))
        printf '%-28s no result, exit status %d\n' "$name" "$status"
        tail -n 20 "$out" | sed 's/^/    /'
    fi
}
found=()
for suite in tests/*/run.sh; do
    [ "$suite" = tests/slow/run.sh ] && continue # takes minutes
    add "$(dirname "${suite#tests/}")" "bash '$suite'"
done
for program in "$build"/test_*; do
    [ -f "$program" ] && [ -x "$program" ] && add "$(basename "$program")" "'$program'"
done
jobs=${LG_TEST_JOBS:-$(nproc)}
told=0
for k in "${!names[@]}"; do
    run "$k" &
    [ "$(jobs -rp | wc -l)" -ge "$jobs" ] && wait -n
    while [ -f "$tmp/$told.status" ]; do
        tell "$told"
        told=$((told + 1))
    done
done
wait
for ((; told < ${#names[@]}; told++)); do
    tell "$told"
done
for k in "${!only[@]}"; do
    [ "${found[k]:-0}" = 1 ] && continue
    echo "there is no test called ${only[k]}"
    failed=$((failed + 1))
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

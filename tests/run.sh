#!/usr/bin/env bash
# run.sh [BUILD-DIR [NAME ...]]: every test program and suite, found by listing, or only those named
# (test_mid_grad, lang ...; `test_*` are all programs). Each ends in a line "N passed, N failed"; one
# without it counts as a failure. The last line sums them up.
set -u
cd "$(dirname "$0")/.."
build=$(cd "${1:-build}" && pwd)
only=("${@:2}")
export LG=$build/lg
passed=0 failed=0
wanted() { # is NAME to be run?
    local n
    [ ${#only[@]} -eq 0 ] && return 0
    for n in "${only[@]}"; do
        # shellcheck disable=SC2053
        [[ $1 == $n ]] && return 0
    done
    return 1
}
run() { # run NAME COMMAND...
    local name=$1 out last status
    shift
    wanted "$name" || return 0
    out=$("$@" 2>&1 </dev/null)
    status=$?
    last=$(printf '%s\n' "$out" | tail -n 1)
    if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        local p=${BASH_REMATCH[1]} f=${BASH_REMATCH[2]}
        [ "$status" -ne 0 ] && [ "$f" -eq 0 ] && f=1
        passed=$((passed + p))
        failed=$((failed + f))
        printf '%-28s %6d passed %4d failed\n' "$name" "$p" "$f"
        [ "$f" -ne 0 ] && printf '%s\n' "$out" | sed '$d' | grep -v '^ok ' | tail -n 60 | sed 's/^/    /'
    else
        failed=$((failed + 1))
        printf '%-28s no result, exit status %d\n' "$name" "$status"
        printf '%s\n' "$out" | tail -n 20 | sed 's/^/    /'
    fi
}
for program in "$build"/test_*; do
    [ -f "$program" ] && [ -x "$program" ] && run "$(basename "$program")" "$program"
done
for suite in tests/*/run.sh; do
    [ "$suite" = tests/slow/run.sh ] && continue # takes minutes
    run "$(dirname "${suite#tests/}")" bash "$suite"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

#!/usr/bin/env bash
# The rules of the house that a look at the text can check: a file includes its own layer or an
# earlier one; every file opens with a comment; sources are in the canonical layout of `lg fmt`
# where they say so; no path of a machine stands in them.
set -u
cd "$(dirname "$0")/../.."
passed=0 failed=0
ok() { passed=$((passed + 1)); }
bad() {
    failed=$((failed + 1))
    echo "FAILED $*"
}

layers=(runtime ops compiler/front compiler/mid compiler/back compiler/host compiler/program
        compiler/driver)
rank() {
    local i
    for i in "${!layers[@]}"; do
        [ "${layers[$i]}" = "$1" ] && echo "$i" && return
    done
    echo 99
}
for f in runtime/*.[ch] ops/*.[ch] compiler/*/*.[chyl]; do
    own=$(rank "$(dirname "$f")")
    worst=$(sed -n 's/^#include "\([^"]*\)".*/\1/p' "$f" | while read -r h; do
        d=$(dirname "$h")
        case $d in
        runtime | ops | compiler/*) [ "$(rank "$d")" -gt "$own" ] && echo "$h" ;;
        esac
    done)
    [ -z "$worst" ] && ok || bad "$f includes a later layer: $worst"
done

for f in $(git ls-files '*.c' '*.h' '*.l' '*.y' '*.def' 2>/dev/null); do
    [ -f "$f" ] || continue
    head -n 12 "$f" | grep -q '/\*' && ok || bad "$f does not say what it is for"
done
for f in stdlib/*.lg examples/*.lg; do
    head -n 1 "$f" | grep -q '^#' && ok || bad "$f does not say what it is for"
done

# Passes know ops by class and traits: nothing outside ops/ compares an op's name.
hits=$(grep -nE 'strn?cmp\([^;]*op->name' compiler/*/*.c runtime/*.c || true)
[ -z "$hits" ] && ok || bad "an op is compared by name: $hits"

hits=$(git grep -nIE '(^|[^A-Za-z0-9_.])/(work|farm|home|root)/[a-z]' -- . ':!tests/house/run.sh' || true)
[ -z "$hits" ] && ok || bad "a path of a machine: $hits"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

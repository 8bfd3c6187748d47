#!/usr/bin/env bash
# Programs of this folder and of tests/host carry `# expect: TEXT` behind (or below) the line that
# prints it; a first line `# args: ...` gives the command line, `# status: N` the exit status, and
# each `# stderr: TEXT` a text that must occur among the diagnostics. Printed lines must be the
# expected ones, in order. Each program runs in an empty directory of its own; `# library: x.c` puts
# libx.so there, compiled from parts/x.c.
set -u
cd "$(dirname "$0")/../.."
root=$PWD
lg=$(realpath "${LG:-build/lg}")
passed=0 failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for f in tests/lang/*.lg tests/host/*.lg; do
    [ -e "$f" ] || continue
    args=$(sed -n 's/^# args: //p' "$f" | head -n 1)
    want_status=$(sed -n 's/^# status: //p' "$f" | head -n 1)
    sed -n 's/.*# expect: \{0,1\}//p' "$f" >"$scratch/want"
    rm -rf "$scratch/dir" && mkdir "$scratch/dir"
    library=$(sed -n 's/^# library: //p' "$f" | head -n 1)
    [ -z "$library" ] || "${CC:-cc}" -shared -fPIC -o "$scratch/dir/lib${library%.c}.so" \
        "$(dirname "$f")/parts/$library"
    # shellcheck disable=SC2086
    (cd "$scratch/dir" && timeout 120 "$lg" run "$root/$f" $args) \
        >"$scratch/got" 2>"$scratch/err" </dev/null
    status=$?
    said=yes
    while IFS= read -r text; do
        grep -qF -- "$text" "$scratch/err" || { said=no && echo "not on stderr: $text"; }
    done < <(sed -n 's/^# stderr: //p' "$f")
    if [ "$status" -eq "${want_status:-0}" ] && [ $said = yes ] &&
        diff "$scratch/want" "$scratch/got" >"$scratch/diff"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED $f (exit status $status)"
        head -n 8 "$scratch/diff" 2>/dev/null
        head -n 6 "$scratch/err"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

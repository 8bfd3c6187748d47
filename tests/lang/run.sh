#!/usr/bin/env bash
# Programs of this folder and of tests/host carry `# expect: TEXT` behind (or below) the line that
# prints it; a first line `# args: ...` gives the command line, `# status: N` the exit status.
# Their printed lines must be the expected ones, in order.
set -u
cd "$(dirname "$0")/../.."
lg=${LG:-build/lg}
passed=0 failed=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for f in tests/lang/*.lg tests/host/*.lg; do
    [ -e "$f" ] || continue
    args=$(sed -n 's/^# args: //p' "$f" | head -n 1)
    want_status=$(sed -n 's/^# status: //p' "$f" | head -n 1)
    sed -n 's/.*# expect: \{0,1\}//p' "$f" >"$scratch/want"
    # shellcheck disable=SC2086
    timeout 120 "$lg" run "$f" $args >"$scratch/got" 2>"$scratch/err" </dev/null
    status=$?
    if [ "$status" -eq "${want_status:-0}" ] && diff "$scratch/want" "$scratch/got" >"$scratch/diff"; then
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
